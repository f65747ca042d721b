import { type FieldDisplay, VizOrientation } from '@grafana/data';
import {
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  useTheme2,
  VizRepeater,
  type VizRepeaterRenderValueProps,
} from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';
import { displayValues } from './values';

/** One big number per series. */
export function StatPanel({ panel, frames, width, height, replace }: PanelProps): ReactElement {
  const theme = useTheme2();
  const graphMode = (panel.options?.graphMode as BigValueGraphMode | undefined) ?? BigValueGraphMode.None;
  const values = (): FieldDisplay[] =>
    displayValues(panel, frames, theme, replace, graphMode !== BigValueGraphMode.None);
  const count = values().length;
  return (
    <VizRepeater
      getValues={values}
      source={frames}
      width={width}
      height={height}
      itemSpacing={3}
      orientation={VizOrientation.Auto}
      renderCounter={0}
      autoGrid
      renderValue={({ value, width: w, height: h }: VizRepeaterRenderValueProps<FieldDisplay>) => (
        <BigValue
          value={value.display}
          {...(value.sparkline === undefined ? {} : { sparkline: value.sparkline })}
          count={count}
          width={w}
          height={h}
          theme={theme}
          graphMode={graphMode}
          colorMode={(panel.options?.colorMode as BigValueColorMode | undefined) ?? BigValueColorMode.Value}
          justifyMode={BigValueJustifyMode.Auto}
          textMode={(panel.options?.textMode as BigValueTextMode | undefined) ?? BigValueTextMode.Auto}
        />
      )}
    />
  );
}
