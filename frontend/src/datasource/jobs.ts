/** What the resource `jobs` answers: the jobs of each scheduler that an agent asks. */

export interface JobNode {
  node: string;
  /** Indices of its GPUs; empty where Slurm does not say. */
  gpus: number[];
}

export interface Job {
  id: number;
  shown_id: string;
  tasks: number;
  name: string;
  user: string;
  account: string;
  partition: string;
  qos: string;
  state: string;
  reason: string;
  class: string;
  submit_ms?: number;
  eligible_ms?: number;
  start_ms?: number;
  end_ms?: number;
  wait_seconds?: number;
  limit_seconds?: number;
  nodes: string;
  node_count: number;
  cpus: number;
  gpus: number;
  restarts: number;
  /** Where it runs; only where one job was asked for. */
  placement?: JobNode[];
}

export interface Scheduler {
  instance: string;
  cluster: string;
  as_of_ms?: number | null;
  /** Why it does not answer at the moment. */
  error?: string;
  jobs: Job[];
  truncated: boolean;
}

export interface Jobs {
  schedulers: Scheduler[];
  /** Which agents did not answer. */
  missing?: string | null;
}
