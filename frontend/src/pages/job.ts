/** How a job is told: durations, colours of states, and where more of its nodes is to be seen. */
import { type BadgeColor } from '@grafana/ui';

import { type Job } from '../datasource/jobs';

/** Seconds as the two largest units: `2 h 14 min`. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined) {
    return '-';
  }
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) {
    return `${days} d ${hours % 24} h`;
  }
  if (hours > 0) {
    return `${hours} h ${minutes % 60} min`;
  }
  return minutes > 0 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

export function stateColor(state: string): BadgeColor {
  switch (state) {
    case 'RUNNING':
    case 'COMPLETED':
      return 'green';
    case 'PENDING':
    case 'CONFIGURING':
    case 'COMPLETING':
      return 'blue';
    case 'CANCELLED':
    case 'PREEMPTED':
    case 'SUSPENDED':
      return 'darkgrey';
    default:
      return 'red';
  }
}

export interface Panel {
  title: string;
  expr: string;
}

/** A regular expression that matches exactly these nodes. */
export function nodesMatcher(job: Job): string {
  const names = (job.placement ?? []).map(({ node }) => node.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\\$&`));
  return names.join('|');
}

/** The time a job is looked at: from its start, or its submission, to its end or now. */
export function rangeOf(job: Job, nowMs: number): { from: number; to: number } {
  const to = job.end_ms ?? nowMs;
  return { from: Math.min(job.start_ms ?? job.submit_ms ?? to - 3_600_000, to - 60_000), to };
}
