/** The editor of a query variable: which kind of values, and of what. */
import { type QueryEditorProps, getDefaultTimeRange } from '@grafana/data';
import { Alert, Combobox, type ComboboxOption, Field, Input, Stack } from '@grafana/ui';
import { useState } from 'react';

import { type FleetDataSource } from './datasource';
import { errorText } from './errors';
import { type FleetOptions, type FleetQuery } from './types';
import {
  type ParsedVariable,
  type VariableKind,
  type VariableQuery,
  changeKind,
  parseVariable,
  textOf,
  writeVariable,
} from './variableQuery';

export type Props = QueryEditorProps<FleetDataSource, FleetQuery, FleetOptions, VariableQuery>;

const KINDS: ComboboxOption<VariableKind>[] = [
  { value: 'label_values', label: 'Label values', description: 'Values of one label, of all series or of some' },
  { value: 'label_names', label: 'Label names', description: 'Names of labels' },
  { value: 'metrics', label: 'Metrics', description: 'Metric names that match a regular expression' },
  { value: 'query_result', label: 'Query result', description: 'What a PromQL query answers, to be cut by a regex' },
  { value: 'series', label: 'Series', description: 'The series a selector selects' },
];

/** The most options a menu gets at once. */
const MENU = 1000;

export function VariableEditor({ datasource, query, range, onChange }: Props) {
  const [error, setError] = useState<string>();
  const stored = textOf(query);
  const variable: ParsedVariable = stored === '' ? { kind: 'label_values', selector: '', label: '' } : parseVariable(stored);

  const set = (next: ParsedVariable) => {
    // A bare text of old dashboards becomes an object when it is first changed.
    const before = typeof query === 'object' ? query : {};
    onChange({ ...before, refId: query.refId || 'FleetVariable', query: writeVariable(next) });
  };
  /** Options for a menu out of what the nodes have. */
  const names = async (typed: string, ask: () => Promise<string[]>): Promise<ComboboxOption[]> => {
    try {
      const all = await ask();
      setError(undefined);
      const wanted = typed.toLowerCase();
      return all
        .filter((name) => name.toLowerCase().includes(wanted))
        .slice(0, MENU)
        .map((value) => ({ value }));
    } catch (thrown) {
      setError(errorText(thrown));
      return [];
    }
  };
  const within = range ?? getDefaultTimeRange();
  const selectors = (selector: string) => (selector === '' ? [] : [datasource.interpolate(selector)]);

  return (
    <Stack direction="column" gap={0}>
      <Field label="Query type">
        <Combobox
          id="variable-kind"
          width={40}
          options={KINDS}
          value={variable.kind}
          onChange={({ value }) => {
            set(changeKind(variable, value));
          }}
        />
      </Field>
      {variable.kind === 'label_values' && (
        <>
          <Field label="Metric or selector" description="Optional: only values that its series have, for example up{job=&quot;node&quot;}">
            <Combobox
              id="variable-selector"
              width={60}
              isClearable
              createCustomValue
              placeholder="all series"
              value={variable.selector === '' ? null : variable.selector}
              options={(typed) => names(typed, () => datasource.client.labelValues('__name__', [], within))}
              onChange={(option) => {
                set({ ...variable, selector: option?.value.trim() ?? '' });
              }}
            />
          </Field>
          <Field label="Label" required>
            <Combobox
              key={variable.selector}
              id="variable-label"
              width={40}
              createCustomValue
              placeholder="Select a label"
              value={variable.label === '' ? null : variable.label}
              options={(typed) => names(typed, () => datasource.client.labelNames(selectors(variable.selector), within))}
              onChange={({ value }) => {
                set({ ...variable, label: value.trim() });
              }}
            />
          </Field>
        </>
      )}
      {variable.kind === 'label_names' && (
        <TextField
          key="label_names"
          label="Part of a metric name"
          description="Optional: only labels of metrics whose name contains it."
          value={variable.part}
          placeholder="all metrics"
          onCommit={(part) => {
            set({ kind: 'label_names', part });
          }}
        />
      )}
      {variable.kind === 'metrics' && (
        <TextField
          key="metrics"
          label="Regular expression"
          description="It must match the whole name."
          value={variable.regex}
          placeholder="DCGM_FI_DEV_.*"
          onCommit={(regex) => {
            set({ kind: 'metrics', regex });
          }}
        />
      )}
      {variable.kind === 'query_result' && (
        <TextField
          key="query_result"
          label="PromQL query"
          description={'Answers name{label="value"} value time for each result; the regex below takes out what is wanted.'}
          value={variable.expr}
          placeholder="topk(5, DCGM_FI_DEV_GPU_TEMP)"
          onCommit={(expr) => {
            set({ kind: 'query_result', expr });
          }}
        />
      )}
      {variable.kind === 'series' && (
        <TextField
          key="series"
          label="Selector"
          description="The series it selects, written as name{label=&quot;value&quot;}."
          value={variable.selector}
          placeholder={'up{job="node"}'}
          onCommit={(selector) => {
            set({ kind: 'series', selector });
          }}
        />
      )}
      {error !== undefined && (
        <Alert severity="warning" title="The names could not be read">
          {error}
        </Alert>
      )}
    </Stack>
  );
}

interface TextFieldProps {
  label: string;
  description: string;
  value: string;
  placeholder: string;
  onCommit: (text: string) => void;
}

/** A text that counts when the field is left or Enter is pressed. */
function TextField({ label, description, value, placeholder, onCommit }: TextFieldProps) {
  const [draft, setDraft] = useState<string>();
  const commit = () => {
    if (draft !== undefined && draft.trim() !== value) {
      onCommit(draft.trim());
    }
    setDraft(undefined);
  };
  return (
    <Field label={label} description={description}>
      <Input
        id="variable-text"
        width={60}
        value={draft ?? value}
        placeholder={placeholder}
        onChange={({ currentTarget }) => {
          setDraft(currentTarget.value);
        }}
        onBlur={commit}
        onKeyDown={({ key }) => {
          if (key === 'Enter') {
            commit();
          }
        }}
      />
    </Field>
  );
}
