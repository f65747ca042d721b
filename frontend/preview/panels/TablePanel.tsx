import { Table } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';

/** A table; several frames are shown by their first, as Grafana does until one is chosen. */
export function TablePanel({ frames, width, height }: PanelProps): ReactElement {
  const frame = frames.find(({ fields, length }) => fields.length > 0 && length > 0);
  if (frame === undefined) {
    return <p className="no-data">No data</p>;
  }
  return <Table data={frame} width={width} height={height} />;
}
