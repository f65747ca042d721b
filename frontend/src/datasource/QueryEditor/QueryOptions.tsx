/** The options of a query, folded to one line until asked for. */
import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { Combobox, Icon, InlineField, RadioButtonGroup, Stack, useStyles2 } from '@grafana/ui';
import { useId, useState } from 'react';

import { AUTO_LEGEND, type FleetQuery, type Format } from '../types';
import { CommitInput } from './CommitInput';
import {
  FORMATS,
  KINDS,
  LEGENDS,
  type LegendMode,
  cellsOf,
  flagsOf,
  kindOf,
  legendOf,
  stepProblem,
  summary,
} from './options';

interface Props {
  query: FleetQuery;
  /** Takes a change and runs the query. */
  onChange: (patch: Partial<FleetQuery>) => void;
}

const NEW_LEGEND = '{{instance}}';

export function QueryOptions({ query, onChange }: Props) {
  const styles = useStyles2(getStyles);
  const id = useId();
  const [open, setOpen] = useState(false);
  const legend = legendOf(query);
  const setLegend = (mode: LegendMode) => {
    onChange({ legendFormat: { auto: AUTO_LEGEND, verbose: '', custom: NEW_LEGEND }[mode] });
  };
  return (
    <div>
      <button
        type="button"
        className={styles.fold}
        aria-expanded={open}
        aria-controls={id}
        onClick={() => {
          setOpen(!open);
        }}
      >
        <Icon name={open ? 'angle-down' : 'angle-right'} />
        <span className={styles.title}>Options</span>
        {!open && summary(query).map((text) => <span key={text}>{text}</span>)}
      </button>
      {open && (
        <div id={id} className={styles.body}>
          <Stack wrap="wrap" gap={0.5}>
            <InlineField label="Legend" tooltip="How series are named.">
              <Combobox
                id={`${id}-legend`}
                width={20}
                options={LEGENDS}
                value={legend}
                onChange={({ value }) => {
                  setLegend(value);
                }}
              />
            </InlineField>
            {legend === 'custom' && (
              <CommitInput
                label="Legend text"
                tooltip="{{label}} is replaced by the label's value."
                width={30}
                value={query.legendFormat ?? ''}
                onCommit={(legendFormat) => {
                  onChange({ legendFormat });
                }}
              />
            )}
            <InlineField label="Format" tooltip="Heatmap: series are the buckets of a histogram, by their label le.">
              <Combobox
                id={`${id}-format`}
                width={18}
                options={FORMATS}
                value={(query.format ?? 'time_series') as Format}
                onChange={({ value }) => {
                  onChange({ format: value });
                }}
              />
            </InlineField>
            <InlineField label="Type">
              <RadioButtonGroup
                options={KINDS}
                value={kindOf(query)}
                onChange={(kind) => {
                  onChange(flagsOf(kind));
                }}
              />
            </InlineField>
            <CommitInput
              label="Min step"
              tooltip="No smaller step is taken. Durations such as 15s, or $__rate_interval."
              width={16}
              value={query.interval ?? ''}
              placeholder="auto"
              problem={stepProblem}
              onCommit={(interval) => {
                onChange({ interval: interval === '' ? undefined : interval });
              }}
            />
            <CommitInput
              label="Max values"
              tooltip="An answer that would hold more gets a wider step. Empty: as the data source says. 0: no limit."
              width={16}
              value={query.maxCells === undefined ? '' : String(query.maxCells)}
              placeholder="data source"
              problem={(text) => (Number.isNaN(cellsOf(text)) ? 'Must be a whole number' : undefined)}
              onCommit={(text) => {
                onChange({ maxCells: cellsOf(text) });
              }}
            />
          </Stack>
        </div>
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  fold: css({
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    gap: theme.spacing(0, 2),
    padding: theme.spacing(0.5, 0),
    border: 'none',
    background: 'none',
    textAlign: 'left',
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    '&:hover': { color: theme.colors.text.primary },
  }),
  title: css({ fontWeight: theme.typography.fontWeightMedium, marginLeft: theme.spacing(-1.5) }),
  body: css({ paddingTop: theme.spacing(0.5) }),
});
