/** What the datasource stores and asks: the same names as the backend's (`src/query/model.rs`, `src/settings.rs`). */
import { type DataQuery, type DataSourceJsonData } from '@grafana/schema';

export const FLEET_TYPE = 'podscope-fleet-datasource';
export const APP_ID = 'podscope-warroom-app';

export type Format = 'time_series' | 'table' | 'heatmap';

/** The forms events come in. */
export type EventsFormat = 'annotations' | 'table' | 'logs';

/** `__auto`: Grafana shows the labels that differ. Empty: the whole series. Else a text with `{{label}}`. */
export const AUTO_LEGEND = '__auto';

/**
 * A query. The field names are those of Grafana's Prometheus datasource, so that a panel moves over by changing its
 * datasource; its other fields (`editorMode`, `exemplar`, ...) are kept and ignored.
 */
export interface FleetQuery extends DataQuery {
  queryType?: 'promql' | 'events' | 'inventory';
  /** Of an inventory: what is listed. */
  what?: 'flows';
  /** PromQL; for events a selector with line filters, such as `{kind="change"} |= "prefetch"`. */
  expr: string;
  range?: boolean;
  instant?: boolean;
  format?: Format | EventsFormat;
  /** Events an answer may hold. */
  limit?: number;
  legendFormat?: string;
  /** The smallest step, as a duration. */
  interval?: string;
  /** Values the answer may hold before its step is widened; absent: the datasource's; 0: no limit. */
  maxCells?: number;
  /** The browser's offset from UTC, by which steps are aligned to local midnight. */
  utcOffsetSec?: number;
}

/** One agent or hub, in the form of Prometheus's file service discovery. */
export interface Target {
  url: string;
  /** The `instance` label; absent: the name the agent reports. */
  instance?: string;
  labels?: Record<string, string>;
}

export type ScopeBy = 'login' | 'email' | 'emailName';
/** A Prometheus-compatible server beside the agents. */
export interface StoreOptions {
  /** In notices and errors, and in the keys of its secrets. */
  name: string;
  url: string;
  /** Selectors it serves before anybody else is considered; empty: what neither catalog nor agents know. */
  match?: string[];
  /** Steps that look further back than this are asked of it. */
  longTermAfter?: string;
  /** Labels it adds to every series, taken off again. */
  dropLabels?: string[];
  basicAuthUser?: string;
  tenant?: string;
  timeoutMs?: number;
  tlsSkipVerify?: boolean;
}

export type VastAuth = 'basic' | 'jwt' | 'apiToken';

/** A VAST cluster's management server, with the backend's names. */
export interface VastOptions {
  name: string;
  url: string;
  auth?: VastAuth;
  user?: string;
  tenant?: string;
  clusterId?: number;
  labels?: Record<string, string>;
  /** Lines of object type and fully qualified name. */
  properties?: string[];
  /** Its own exporter is scraped by somebody. */
  scraped?: boolean;
  callsPerMinute?: number;
  concurrency?: number;
  timeoutMs?: number;
  tlsAuthWithCACert?: boolean;
  serverName?: string;
  tlsSkipVerify?: boolean;
}

/** What the backend takes when a setting of a VAST cluster is absent. */
export const VAST_DEFAULTS = { callsPerMinute: 120, concurrency: 2, timeoutMs: 8_000 } as const;

export interface FleetOptions extends DataSourceJsonData {
  targets?: Target[];
  stores?: StoreOptions[];
  vast?: VastOptions[];
  /** Targets as text, one URL a line: what provisioning files may use. */
  urls?: string;
  timeoutMs?: number;
  connectTimeoutMs?: number;
  /** The share of nodes that must answer before an alert may decide. */
  completeness?: number;
  maxCells?: number;
  lookbackMs?: number;
  /** The smallest step of a query that says nothing else. */
  timeInterval?: string;
  tlsAuth?: boolean;
  tlsAuthWithCACert?: boolean;
  tlsSkipVerify?: boolean;
  serverName?: string;
  /** `viewers`: everybody but Admins and Editors sees only what is theirs. */
  scope?: 'off' | 'viewers';
  /** What of a person is the `user` label. */
  scopeBy?: ScopeBy;
  /** Login or e-mail address -> `user` label. */
  scopeUsers?: Record<string, string>;
  /** Metrics everybody may see; a name may end in `*`. */
  publicMetrics?: string[];
}

export interface FleetSecrets {
  token?: string;
  tlsCACert?: string;
  tlsClientCert?: string;
  tlsClientKey?: string;
  /** `storeToken_<name>` and `storePassword_<name>` of each store. */
  [store: `storeToken_${string}` | `storePassword_${string}`]: string | undefined;
  /** Of each VAST cluster. */
  [vast: `vastPassword_${string}` | `vastToken_${string}` | `vastCACert_${string}`]: string | undefined;
}

/** What the backend takes when a setting is absent. */
export const DEFAULTS = {
  timeoutMs: 10_000,
  connectTimeoutMs: 1_000,
  completeness: 0.9,
  maxCells: 100_000,
  lookbackMs: 300_000,
  timeInterval: '1s',
} as const;
