import { type FieldDisplay, VizOrientation } from '@grafana/data';
import { BarGaugeDisplayMode, BarGaugeValueMode } from '@grafana/schema';
import { BarGauge, useTheme2, VizRepeater, type VizRepeaterRenderValueProps } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';
import { displayValues } from './values';

/** One bar per series. */
export function BarGaugePanel({ panel, frames, width, height, replace }: PanelProps): ReactElement {
  const theme = useTheme2();
  const orientation = (panel.options?.orientation as VizOrientation | undefined) ?? VizOrientation.Horizontal;
  return (
    <VizRepeater
      getValues={() => displayValues(panel, frames, theme, replace, false)}
      source={frames}
      width={width}
      height={height}
      itemSpacing={8}
      minVizHeight={16}
      orientation={orientation}
      renderCounter={0}
      renderValue={({ value, width: w, height: h }: VizRepeaterRenderValueProps<FieldDisplay>) => (
        <BarGauge
          value={value.display}
          field={value.field}
          {...(value.view === undefined ? {} : { display: value.view.getFieldDisplayProcessor(value.colIndex ?? 0) })}
          width={w}
          height={h}
          theme={theme}
          orientation={orientation}
          displayMode={(panel.options?.displayMode as BarGaugeDisplayMode | undefined) ?? BarGaugeDisplayMode.Basic}
          valueDisplayMode={BarGaugeValueMode.Text}
          showUnfilled={panel.options?.showUnfilled !== false}
          itemSpacing={8}
        />
      )}
    />
  );
}
