/** The fields of an events query. */
import { Combobox, FieldValidationMessage, InlineField, Input, Stack } from '@grafana/ui';
import { useId, useState } from 'react';

import { EVENT_FORMATS, limitProblem, selectorProblem } from '../events';
import { type EventsFormat, type FleetQuery } from '../types';
import { CommitInput } from './CommitInput';

interface Props {
  query: FleetQuery;
  /** Takes a change and runs the query. */
  onChange: (patch: Partial<FleetQuery>) => void;
  onRun: () => void;
}

export function EventsFields({ query, onChange, onRun }: Props) {
  const id = useId();
  const expr = (query as Partial<FleetQuery>).expr ?? '';
  const [draft, setDraft] = useState<string>();
  const text = draft ?? expr;
  const problem = selectorProblem(text);
  const commit = (run: boolean) => {
    if (problem !== undefined) {
      return;
    }
    setDraft(undefined);
    if (text !== expr) {
      onChange({ expr: text });
    } else if (run) {
      onRun();
    }
  };
  return (
    <Stack direction="column" gap={0.5}>
      <Input
        aria-label="Event selector"
        value={text}
        placeholder={'{kind="change"} |= "prefetch"'}
        invalid={problem !== undefined}
        onChange={({ currentTarget }) => {
          setDraft(currentTarget.value);
        }}
        onBlur={() => {
          commit(false);
        }}
        onKeyDown={({ key }) => {
          if (key === 'Enter') {
            commit(true);
          }
        }}
      />
      {problem !== undefined && <FieldValidationMessage>{problem}</FieldValidationMessage>}
      <Stack wrap="wrap" gap={0.5}>
        <InlineField label="Format" tooltip="Annotations: marks on time series. Logs: lines, also in Explore.">
          <Combobox
            id={`${id}-format`}
            width={18}
            options={EVENT_FORMATS}
            value={(query.format ?? 'annotations') as EventsFormat}
            onChange={({ value }) => {
              onChange({ format: value });
            }}
          />
        </InlineField>
        <CommitInput
          label="Limit"
          tooltip="The newest so many events; a notice says when there are more."
          width={12}
          value={query.limit === undefined ? '' : String(query.limit)}
          placeholder="1000"
          problem={limitProblem}
          onCommit={(limit) => {
            onChange({ limit: limit === '' ? undefined : Number(limit) });
          }}
        />
      </Stack>
    </Stack>
  );
}
