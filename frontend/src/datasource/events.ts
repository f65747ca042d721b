/** Events beside PromQL: what a query of each kind is made of when one switches between them. */
import { CoreApp } from '@grafana/data';

import { AUTO_LEGEND, type EventsFormat, type FleetQuery } from './types';

export type Mode = 'promql' | 'events';

export const MODES: { value: Mode; label: string; description: string }[] = [
  { value: 'promql', label: 'PromQL', description: 'Numbers over time.' },
  { value: 'events', label: 'Events', description: 'Incidents, changes, alarms, log lines and the like.' },
];

export const EVENT_FORMATS: { value: EventsFormat; label: string; description: string }[] = [
  { value: 'annotations', label: 'Annotations', description: 'Marks on time series, by the names annotations look for' },
  { value: 'table', label: 'Table', description: 'A row per event' },
  { value: 'logs', label: 'Logs', description: 'A line per event' },
];

/** The most events an answer may hold: the backend's own limit. */
export const MAX_EVENTS = 10_000;

export const NEW_EVENTS = { queryType: 'events', expr: '{kind=~"incident|change|alarm"}' } as const;

export function isEvents({ queryType }: Pick<FleetQuery, 'queryType'>): boolean {
  return queryType === 'events';
}

export function modeOf(query: Pick<FleetQuery, 'queryType'>): Mode {
  return isEvents(query) ? 'events' : 'promql';
}

/** The query after switching: what it has in common with the other kind stays. */
export function switchMode(query: FleetQuery, mode: Mode, app?: string): FleetQuery {
  const { refId, datasource, hide, key } = query;
  const common = {
    refId,
    ...(datasource !== undefined && { datasource }),
    ...(hide !== undefined && { hide }),
    ...(key !== undefined && { key }),
  };
  if (mode === modeOf(query)) {
    return query;
  }
  return mode === 'events'
    ? { ...common, ...NEW_EVENTS, format: formatFor(app, refId) }
    : { ...common, expr: '', range: true, legendFormat: AUTO_LEGEND };
}

/** What an events query is for, by where it stands. */
function formatFor(app: string | undefined, refId: string): EventsFormat {
  if (refId === 'Anno') {
    return 'annotations';
  }
  return app === (CoreApp.Explore as string) ? 'logs' : 'table';
}

/** What is wrong with a limit; empty is the backend's own. */
export function limitProblem(text: string): string | undefined {
  const trimmed = text.trim();
  const limit = Number(trimmed);
  return trimmed === '' || (/^\d+$/.test(trimmed) && limit >= 1 && limit <= MAX_EVENTS)
    ? undefined
    : `Must be a whole number from 1 to ${MAX_EVENTS}`;
}

/**
 * What is wrong with a selector, as far as the browser can tell: braces and quotes must close, and behind them only line
 * filters may stand. The backend says the rest.
 */
export function selectorProblem(text: string): string | undefined {
  const string = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|` + '`[^`]*`';
  const matcher = String.raw`\s*(?:[a-zA-Z_]\w*|${string})\s*(?:=~|!~|!=|=)\s*(?:${string})\s*`;
  const whole = String.raw`^\s*(?:\{(?:${matcher}(?:,${matcher})*,?)?\s*\})?(?:\s*(?:\|=|!=|\|~|!~)\s*(?:${string}))*\s*$`;
  // A template variable outside a string may stand for anything.
  const outside = text.replace(new RegExp(string, 'g'), '""');
  return outside.includes('$') || new RegExp(whole).test(text)
    ? undefined
    : 'Write label matchers in braces, then line filters: {kind="change"} |= "prefetch"';
}
