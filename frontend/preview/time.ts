/** Relative time ranges, refresh intervals and query steps. */
import { dateMath, dateTime, rangeUtil, type TimeRange } from '@grafana/data';

export interface Range {
  from: string;
  to: string;
}

export interface Bounds {
  from: number;
  to: number;
}

function milliseconds(text: string, roundUp: boolean): number {
  if (/^\d+$/.test(text)) {
    return Number(text);
  }
  const time = dateMath.toDateTime(text, { roundUp }) ?? dateTime(text);
  return time.isValid() ? time.valueOf() : Date.now();
}

/** `now-1h` and the like as epoch milliseconds. */
export function parseTime(range: Range): Bounds {
  return { from: milliseconds(range.from, false), to: milliseconds(range.to, true) };
}

/** The form Grafana's components want. */
export function timeRange(range: Range): TimeRange {
  const { from, to } = parseTime(range);
  return { from: dateTime(from), to: dateTime(to), raw: range };
}

/** The step for a panel of this width, as Grafana's query runner computes it. */
export function step(bounds: Bounds, points: number, least: string | undefined): { interval: string; intervalMs: number } {
  const range = { from: dateTime(bounds.from), to: dateTime(bounds.to), raw: { from: '', to: '' } };
  const { interval, intervalMs } = rangeUtil.calculateInterval(range, Math.max(1, points), least ?? '1s');
  return { interval, intervalMs };
}

/** `10s`, `1m` as milliseconds; undefined when refreshing is off. */
export function refreshMs(text: string | undefined): number | undefined {
  if (text === undefined || text === '') {
    return undefined;
  }
  try {
    return rangeUtil.intervalToMs(text);
  } catch {
    return undefined;
  }
}
