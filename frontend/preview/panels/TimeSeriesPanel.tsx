import { FieldType } from '@grafana/data';
import { LegendDisplayMode, SortOrder, TooltipDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { PanelContextProvider, TimeSeries, TooltipPlugin } from '@grafana/ui';
import { EventBusSrv } from '@grafana/data';
import { type ReactElement, useMemo } from 'react';

import type { PanelProps } from '.';
import { useMarksOf } from '../annotations';
import { AnnotationMarks } from './AnnotationMarks';

const NO_LEGEND: VizLegendOptions = {
  showLegend: false,
  displayMode: LegendDisplayMode.List,
  placement: 'bottom',
  calcs: [],
};

/** Lines over time, drawn by Grafana's own component. */
export function TimeSeriesPanel({ panel, frames, range, width, height }: PanelProps): ReactElement {
  const drawable = useMemo(
    () => frames.filter(({ fields }) => fields.some(({ type }) => type === FieldType.number)),
    [frames]
  );
  const marks = useMarksOf(panel);
  const context = useMemo(() => ({ eventsScope: 'preview', eventBus: new EventBusSrv() }), []);
  if (drawable.length === 0) {
    return <p className="no-data">No data</p>;
  }
  const legend = (panel.options?.legend as VizLegendOptions | undefined) ?? NO_LEGEND;
  return (
    <PanelContextProvider value={context}>
      <TimeSeries frames={drawable} timeRange={range} timeZone="browser" width={width} height={height} legend={legend}>
        {(config, aligned) => (
          <>
            <AnnotationMarks config={config} marks={marks} />
            <TooltipPlugin
              config={config}
              data={aligned}
              frames={drawable}
              mode={TooltipDisplayMode.Multi}
              sortOrder={SortOrder.Descending}
              timeZone="browser"
            />
          </>
        )}
      </TimeSeries>
    </PanelContextProvider>
  );
}
