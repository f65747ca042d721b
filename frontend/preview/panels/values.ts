/** The single values that stat, gauge and bar gauge panels show. */
import { type DataFrame, type FieldDisplay, getFieldDisplayValues, type GrafanaTheme2, type ReduceDataOptions } from '@grafana/data';

import type { Panel } from '../model';

const LAST: ReduceDataOptions = { calcs: ['lastNotNull'], fields: '', values: false };

export function displayValues(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  replace: (text: string) => string,
  sparkline: boolean
): FieldDisplay[] {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    reduceOptions: (panel.options?.reduceOptions as ReduceDataOptions | undefined) ?? LAST,
    replaceVariables: replace,
    theme,
    timeZone: 'browser',
    sparkline,
  });
}
