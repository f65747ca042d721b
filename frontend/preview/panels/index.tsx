/** One component per panel type the preview draws. */
import type { DataFrame, TimeRange } from '@grafana/data';
import type { ReactElement } from 'react';

import type { Panel } from '../model';
import { BarGaugePanel } from './BarGaugePanel';
import { GaugePanel } from './GaugePanel';
import { HeatmapPanel } from './HeatmapPanel';
import { LogsPanel } from './LogsPanel';
import { NodeGraphPanel } from './NodeGraphPanel';
import { PiePanel } from './PiePanel';
import { StatPanel } from './StatPanel';
import { StateTimelinePanel } from './StateTimelinePanel';
import { TablePanel } from './TablePanel';
import { TextPanel } from './TextPanel';
import { TimeSeriesPanel } from './TimeSeriesPanel';

export interface PanelProps {
  panel: Panel;
  frames: DataFrame[];
  range: TimeRange;
  width: number;
  height: number;
  replace: (text: string) => string;
}

const PANELS: Readonly<Record<string, (props: PanelProps) => ReactElement>> = {
  bargauge: BarGaugePanel,
  gauge: GaugePanel,
  heatmap: HeatmapPanel,
  logs: LogsPanel,
  nodeGraph: NodeGraphPanel,
  piechart: PiePanel,
  stat: StatPanel,
  'state-timeline': StateTimelinePanel,
  table: TablePanel,
  text: TextPanel,
  timeseries: TimeSeriesPanel,
};

/** Draws a panel's data; a type that is not drawn says so. */
export function Visualization(props: PanelProps): ReactElement {
  const Component = PANELS[props.panel.type];
  if (Component === undefined) {
    return <p>The preview does not draw panels of the type “{props.panel.type}”.</p>;
  }
  return <Component {...props} />;
}
