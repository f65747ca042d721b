/** Who sees whose rows: everybody everything, or Viewers only what is theirs. */
import { Alert, Field, InlineField, RadioButtonGroup, TextArea } from '@grafana/ui';
import { useState } from 'react';

import { parsePeople, publicMetricProblem, writePeople } from '../settings';
import { type FleetOptions, type ScopeBy } from '../types';

interface Props {
  options: FleetOptions;
  disabled: boolean;
  onChange: (patch: Partial<FleetOptions>) => void;
}

const LABEL_WIDTH = 30;

const SCOPES: { label: string; value: 'off' | 'viewers'; description: string }[] = [
  { label: 'Everything', value: 'off', description: 'Whoever may use this data source sees every series.' },
  {
    label: 'Only what is theirs',
    value: 'viewers',
    description: 'Viewers see the GPUs, containers and jobs they hold, for the time they hold them. Editors and Admins see all.',
  },
];

const NAMES: { label: string; value: ScopeBy }[] = [
  { label: 'Login', value: 'login' },
  { label: 'E-mail', value: 'email' },
  { label: 'E-mail before the @', value: 'emailName' },
];

export function Visibility({ options, disabled, onChange }: Props) {
  const [people, setPeople] = useState(() => writePeople(options.scopeUsers));
  const [metrics, setMetrics] = useState(() => (options.publicMetrics ?? []).join('\n'));
  const parsed = parsePeople(people);
  const held = options.scope === 'viewers';
  const names = metrics.split(/[\n,]/).map((name) => name.trim());
  const problem = names.map(publicMetricProblem).find((found) => found !== undefined);
  return (
    <>
      <InlineField label="Viewers see" labelWidth={LABEL_WIDTH} disabled={disabled}>
        <RadioButtonGroup
          id="scope"
          options={SCOPES}
          value={options.scope ?? 'off'}
          onChange={(scope) => {
            onChange({ scope: scope === 'off' ? undefined : scope });
          }}
        />
      </InlineField>
      {held && (
        <>
          <Alert severity="info" title="The agents must insist on a token">
            Grafana holds Viewers to their own rows; an agent that answers without a token does not.{' '}
            <strong>Save &amp; test</strong> fails while one does.
          </Alert>
          <InlineField
            label="A person is known by"
            tooltip="What of a Grafana user is the value of the label user in the series."
            labelWidth={LABEL_WIDTH}
            disabled={disabled}
          >
            <RadioButtonGroup
              id="scopeBy"
              options={NAMES}
              value={options.scopeBy ?? 'login'}
              onChange={(scopeBy) => {
                onChange({ scopeBy });
              }}
            />
          </InlineField>
          <Field
            label="Other names"
            description="One a line: login or e-mail = user. These go before the choice above."
            invalid={'problem' in parsed}
            error={'problem' in parsed ? parsed.problem : undefined}
            disabled={disabled}
            noMargin={false}
          >
            <TextArea
              id="scopeUsers"
              aria-label="Other names"
              rows={3}
              cols={50}
              value={people}
              placeholder="asmith = alice"
              onChange={({ currentTarget }) => {
                setPeople(currentTarget.value);
                const typed = parsePeople(currentTarget.value);
                if ('people' in typed) {
                  onChange({ scopeUsers: Object.keys(typed.people).length === 0 ? undefined : typed.people });
                }
              }}
            />
          </Field>
          <Field
            label="Metrics everybody may see"
            description="One a line; a name may end in *."
            invalid={problem !== undefined}
            error={problem}
            disabled={disabled}
            noMargin={false}
          >
            <TextArea
              id="publicMetrics"
              aria-label="Metrics everybody may see"
              rows={3}
              cols={50}
              value={metrics}
              placeholder={'up\nslurm_*'}
              onChange={({ currentTarget }) => {
                setMetrics(currentTarget.value);
                const typed = currentTarget.value
                  .split(/[\n,]/)
                  .map((name) => name.trim())
                  .filter((name) => name !== '' && publicMetricProblem(name) === undefined);
                onChange({ publicMetrics: typed.length === 0 ? undefined : typed });
              }}
            />
          </Field>
        </>
      )}
    </>
  );
}
