/** The query editor of panels, Explore, alert rules and annotations. */
import { CoreApp, type QueryEditorProps } from '@grafana/data';
import { FieldValidationMessage, Icon, LoadingPlaceholder, RadioButtonGroup, Stack, Text } from '@grafana/ui';
import { Suspense, lazy, useState } from 'react';

import { type FleetDataSource } from '../datasource';
import { MODES, modeOf, switchMode } from '../events';
import { type FleetOptions, type FleetQuery } from '../types';
import { EventsFields } from './EventsFields';
import { QueryOptions } from './QueryOptions';

const PromqlField = lazy(() => import('./PromqlField'));

export type Props = QueryEditorProps<FleetDataSource, FleetQuery, FleetOptions>;

export function QueryEditor(props: Props) {
  const { query, app, onChange, onRunQuery } = props;
  const mode = modeOf(query);
  // An alert rule needs numbers.
  const choice = app !== CoreApp.UnifiedAlerting && app !== CoreApp.CloudAlerting;
  return (
    <Stack direction="column" gap={0.5}>
      {choice && (
        <RadioButtonGroup
          size="sm"
          options={MODES}
          value={mode}
          onChange={(next) => {
            onChange(switchMode(query, next, app));
            onRunQuery();
          }}
        />
      )}
      {mode === 'events' ? (
        <EventsFields
          query={query}
          onChange={(patch) => {
            onChange({ ...query, ...patch });
            onRunQuery();
          }}
          onRun={onRunQuery}
        />
      ) : (
        <PromqlFields {...props} />
      )}
    </Stack>
  );
}

function PromqlFields({ datasource, query, range, onChange, onRunQuery }: Props) {
  const [problem, setProblem] = useState<string>();
  const [noCompletion, setNoCompletion] = useState<string>();
  // A query just added to a panel has no expression at all.
  const expr = (query as Partial<FleetQuery>).expr ?? '';

  return (
    <Stack direction="column" gap={0.5}>
      <Suspense fallback={<LoadingPlaceholder text="Loading the editor..." />}>
        <PromqlField
          datasource={datasource}
          value={expr}
          range={range}
          label="PromQL query"
          onCommit={(text, run) => {
            if (text !== expr) {
              onChange({ ...query, expr: text });
              onRunQuery();
            } else if (run) {
              onRunQuery();
            }
          }}
          onProblem={setProblem}
          onCompletionState={setNoCompletion}
        />
      </Suspense>
      {problem !== undefined && <FieldValidationMessage>{problem}</FieldValidationMessage>}
      {noCompletion !== undefined && (
        <Text variant="bodySmall" color="warning">
          <Icon name="exclamation-triangle" /> No names to complete: {noCompletion}
        </Text>
      )}
      <QueryOptions
        query={query}
        onChange={(patch) => {
          onChange({ ...query, ...patch });
          onRunQuery();
        }}
      />
    </Stack>
  );
}
