import { type FieldDisplay, VizOrientation } from '@grafana/data';
import { Gauge, useTheme2, VizRepeater, type VizRepeaterRenderValueProps } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';
import { displayValues } from './values';

/** One dial per series. */
export function GaugePanel({ panel, frames, width, height, replace }: PanelProps): ReactElement {
  const theme = useTheme2();
  return (
    <VizRepeater
      getValues={() => displayValues(panel, frames, theme, replace, false)}
      source={frames}
      width={width}
      height={height}
      itemSpacing={8}
      orientation={VizOrientation.Auto}
      renderCounter={0}
      autoGrid
      renderValue={({ value, width: w, height: h }: VizRepeaterRenderValueProps<FieldDisplay>) => (
        <Gauge
          value={value.display}
          field={value.field}
          width={w}
          height={h}
          theme={theme}
          showThresholdLabels={panel.options?.showThresholdLabels === true}
          showThresholdMarkers={panel.options?.showThresholdMarkers !== false}
        />
      )}
    />
  );
}
