// Generated from the metric catalog by `cargo xtask generate`; do not edit.

export interface CatalogEntry {
  kind: string;
  /** Grafana's id of the unit. */
  unit: string;
  help: string;
}

export const CATALOG: Readonly<Record<string, CatalogEntry>> = {
};
