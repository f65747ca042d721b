/** The part of Grafana's classic dashboard JSON that the preview draws, and the check that a dashboard uses nothing else. */
import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Target {
  refId: string;
  hide?: boolean;
  expr?: string;
  interval?: string;
  [key: string]: unknown;
}

export interface Panel {
  id: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: GridPos;
  targets?: Target[];
  options?: Record<string, unknown>;
  fieldConfig?: FieldConfigSource;
  transformations?: DataTransformerConfig[];
  interval?: string;
  maxDataPoints?: number;
  collapsed?: boolean;
  panels?: Panel[];
}

export interface Variable {
  name: string;
  type: string;
  label?: string;
  query?: unknown;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string;
  current?: { text: string | string[]; value: string | string[] };
  options?: { text: string; value: string }[];
  hide?: number;
}

/** Events marked on the time series of a dashboard. */
export interface AnnotationQuery {
  name: string;
  enable?: boolean;
  iconColor?: string;
  target?: Partial<Target>;
  filter?: { exclude?: boolean; ids?: number[] };
}

export interface Dashboard {
  uid: string;
  title: string;
  description?: string;
  panels: Panel[];
  templating?: { list?: Variable[] };
  annotations?: { list?: AnnotationQuery[] };
  time?: { from: string; to: string };
  refresh?: string;
}

/** What shipped dashboards may use; `allowed.test.ts` holds every committed dashboard against it. */
export const ALLOWED = {
  panels: [
    'row',
    'text',
    'timeseries',
    'stat',
    'gauge',
    'bargauge',
    'table',
    'heatmap',
    'state-timeline',
    'piechart',
    'logs',
    'nodeGraph',
  ],
  transformations: ['organize', 'joinByField', 'merge', 'sortBy', 'filterFieldsByName', 'reduce', 'limit'],
  variables: ['datasource', 'query', 'custom', 'constant', 'textbox'],
} as const;

/** Every use of something the preview does not draw, as sentences. */
export function notAllowed(dashboard: Dashboard): string[] {
  const faults: string[] = [];
  const has = (list: readonly string[], value: string): boolean => list.includes(value);
  for (const panel of allPanels(dashboard.panels)) {
    const name = `panel ${String(panel.id)} (${panel.title ?? 'untitled'})`;
    if (!has(ALLOWED.panels, panel.type)) {
      faults.push(`${name}: panel type "${panel.type}"`);
    }
    for (const { id } of panel.transformations ?? []) {
      if (!has(ALLOWED.transformations, id)) {
        faults.push(`${name}: transformation "${id}"`);
      }
    }
  }
  for (const variable of dashboard.templating?.list ?? []) {
    if (!has(ALLOWED.variables, variable.type)) {
      faults.push(`variable ${variable.name}: type "${variable.type}"`);
    }
  }
  return faults;
}

/** Panels with those inside collapsed rows. */
export function allPanels(panels: readonly Panel[]): Panel[] {
  return panels.flatMap((panel) => [panel, ...allPanels(panel.panels ?? [])]);
}
