/** What the options of a query are called, and how they are stored. */
import { AUTO_LEGEND, type FleetQuery, type Format } from '../types';

export type QueryKind = 'range' | 'instant' | 'both';
export type LegendMode = 'auto' | 'verbose' | 'custom';

export const KINDS: { value: QueryKind; label: string; description: string }[] = [
  { value: 'range', label: 'Range', description: 'Evaluate at every step of the time range.' },
  { value: 'instant', label: 'Instant', description: 'Evaluate once, at the end of the time range.' },
  { value: 'both', label: 'Both', description: 'A range query and an instant query.' },
];

export const FORMATS: { value: Format; label: string }[] = [
  { value: 'time_series', label: 'Time series' },
  { value: 'table', label: 'Table' },
  { value: 'heatmap', label: 'Heatmap' },
];

export const LEGENDS: { value: LegendMode; label: string; description: string }[] = [
  { value: 'auto', label: 'Auto', description: 'The labels that differ' },
  { value: 'verbose', label: 'Verbose', description: 'All labels' },
  { value: 'custom', label: 'Custom', description: 'A text with {{label}}' },
];

/** Neither flag set means range. */
export function kindOf({ range, instant }: Pick<FleetQuery, 'range' | 'instant'>): QueryKind {
  if (instant === true) {
    return range === true ? 'both' : 'instant';
  }
  return 'range';
}

export function flagsOf(kind: QueryKind): { range: boolean; instant: boolean } {
  return { range: kind !== 'instant', instant: kind !== 'range' };
}

export function legendOf({ legendFormat }: Pick<FleetQuery, 'legendFormat'>): LegendMode {
  if (legendFormat === AUTO_LEGEND) {
    return 'auto';
  }
  return legendFormat === undefined || legendFormat === '' ? 'verbose' : 'custom';
}

/** What the folded options say. */
export function summary(query: FleetQuery): string[] {
  const legend = legendOf(query);
  return [
    `Legend: ${legend === 'custom' ? (query.legendFormat ?? '') : labelOf(LEGENDS, legend)}`,
    `Format: ${labelOf<string>(FORMATS, query.format ?? 'time_series')}`,
    `Step: ${(query.interval ?? '') || 'auto'}`,
    `Type: ${labelOf(KINDS, kindOf(query))}`,
    ...(query.maxCells === undefined ? [] : [`Values: ${query.maxCells === 0 ? 'no limit' : query.maxCells}`]),
  ];
}

function labelOf<T>(list: readonly { value: T; label: string }[], value: T): string {
  return list.find((item) => item.value === value)?.label ?? String(value);
}

/** What is wrong with a smallest step: a duration, one of the interval macros or a template variable is right. */
export function stepProblem(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed === '' || /^(\d+(\.\d+)?(ms|s|m|h|d|w|M|y))+$|^\d+$|^\$|^\[\[/.test(trimmed)
    ? undefined
    : 'Must be a duration such as 15s or 1m, or a variable';
}

/** `undefined` for the datasource's own limit, `NaN` for what is no number. */
export function cellsOf(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '') {
    return undefined;
  }
  return /^\d+$/.test(trimmed) ? Number(trimmed) : NaN;
}
