/** What the resource `inventory` answers: every target of the datasource, and what the ones that answered are. */

export type CollectorState =
  | { state: 'ok' }
  | { state: 'failed'; error: string }
  | { state: 'not_present'; reason: string }
  | { state: 'pending' };

export type Collector = CollectorState & {
  name: string;
  interval_ms: number;
  last_duration_us: number;
  series: number;
};

export interface Gpu {
  index: number;
  uuid: string;
  model: string;
  pci_bus_id: string;
}

export interface Node {
  url: string;
  instance?: string;
  ok: boolean;
  /** Why it did not answer. */
  error?: string;
  version?: string;
  collectors?: Collector[];
  gpus?: Gpu[];
  oldestMs?: number | null;
  newestMs?: number | null;
  series?: number;
}

export interface Inventory {
  nodes: Node[];
  expected: number;
  answered: number;
  /** The person is held to what is theirs: nodes are not listed. */
  restricted?: boolean;
}
