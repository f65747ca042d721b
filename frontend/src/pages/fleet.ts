/** What the landing page says about an inventory: plain facts, made from what the nodes answered. */
import { type Collector, type Inventory, type Node } from '../datasource/inventory';

export interface FailingCollector {
  node: string;
  collector: string;
  error: string;
}

export interface GpuModel {
  model: string;
  count: number;
}

export interface Fleet {
  expected: number;
  answered: number;
  silent: Node[];
  /** Versions of the agents, the most frequent first. */
  versions: { version: string; nodes: number }[];
  failing: FailingCollector[];
  gpus: GpuModel[];
  gpuCount: number;
  series: number;
  /** The oldest sample anywhere. */
  oldestMs?: number;
}

export function nameOf({ instance, url }: Node): string {
  return instance === undefined || instance === '' ? url : instance;
}

export function fleetOf({ nodes, expected, answered }: Inventory): Fleet {
  const answering = nodes.filter(({ ok }) => ok);
  const oldest = answering.flatMap(({ oldestMs }) => oldestMs ?? []);
  const gpus = count(answering.flatMap((node) => node.gpus ?? []).map(({ model }) => model));
  return {
    expected,
    answered,
    silent: nodes.filter(({ ok }) => !ok),
    versions: count(answering.map(({ version = 'unknown' }) => version)).map(([version, amount]) => ({
      version,
      nodes: amount,
    })),
    failing: answering.flatMap((node) =>
      (node.collectors ?? []).filter(isFailed).map(({ name, error }) => ({ node: nameOf(node), collector: name, error }))
    ),
    gpus: gpus.map(([model, amount]) => ({ model, count: amount })),
    gpuCount: gpus.reduce((sum, [, amount]) => sum + amount, 0),
    series: answering.reduce((sum, { series = 0 }) => sum + series, 0),
    oldestMs: oldest.length === 0 ? undefined : Math.min(...oldest),
  };
}

function isFailed(collector: Collector): collector is Collector & { state: 'failed'; error: string } {
  return collector.state === 'failed';
}

/** How often each text occurs, the most frequent first. */
function count(texts: string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
}

/** `3 nodes`, `1 node`. */
export function plural(amount: number, word: string): string {
  return `${amount.toLocaleString('en-US')} ${word}${amount === 1 ? '' : 's'}`;
}

/** How long ago, in the largest unit that fits. */
export function ago(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - sinceMs) / 1000));
  const units: [number, string][] = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
  ];
  for (const [length, unit] of units) {
    if (seconds >= length) {
      return plural(Math.floor(seconds / length), unit);
    }
  }
  return plural(seconds, 'second');
}
