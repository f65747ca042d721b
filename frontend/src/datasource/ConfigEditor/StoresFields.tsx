/** Prometheus-compatible servers beside the agents: where they are, what they serve, how they know Grafana. */
import { Button, Field, FieldValidationMessage, IconButton, Input, SecretInput, Stack, TextArea } from '@grafana/ui';

import { durationProblem, storeNameProblem, urlProblem } from '../settings';
import { type FleetOptions, type FleetSecrets, type StoreOptions } from '../types';

interface Props {
  stores: StoreOptions[];
  secrets: FleetSecrets;
  /** Which secrets are stored already; their text never comes back. */
  stored: Record<string, boolean | undefined>;
  disabled: boolean;
  onChange: (patch: Partial<FleetOptions>) => void;
  onSecret: (key: keyof FleetSecrets, text: string) => void;
  onReset: (key: keyof FleetSecrets) => void;
}

const WIDTH = 50;

export function StoresFields({ stores, secrets, stored, disabled, onChange, onSecret, onReset }: Props) {
  const edit = (at: number, patch: Partial<StoreOptions>) => {
    onChange({ stores: stores.map((store, index) => (index === at ? { ...store, ...patch } : store)) });
  };
  const secret = (key: `storeToken_${string}` | `storePassword_${string}`, label: string) => (
    <Field noMargin label={label}>
      <SecretInput
        aria-label={label}
        width={WIDTH}
        isConfigured={stored[key] === true}
        disabled={disabled}
        value={secrets[key] ?? ''}
        placeholder="none"
        onChange={({ currentTarget }) => {
          onSecret(key, currentTarget.value);
        }}
        onReset={() => {
          onReset(key);
        }}
      />
    </Field>
  );
  return (
    <Stack direction="column" gap={3} alignItems="flex-start">
      {stores.map((store, at) => {
        const who = `store ${at + 1}`;
        const problems = [
          storeNameProblem(store.name, stores.slice(0, at)),
          urlProblem(store.url),
          durationProblem(store.longTermAfter),
        ].filter((problem) => problem !== undefined);
        const text = (key: 'name' | 'url' | 'longTermAfter' | 'basicAuthUser' | 'tenant', label: string, hint: string, description?: string) => (
          <Field noMargin label={label} description={description}>
            <Input
              aria-label={`${label} of ${who}`}
              width={WIDTH}
              value={store[key] ?? ''}
              placeholder={hint}
              disabled={disabled}
              onChange={({ currentTarget }) => {
                edit(at, { [key]: currentTarget.value });
              }}
            />
          </Field>
        );
        return (
          // Stores have no identity but their place; the fields hold no state of their own.
          <Stack key={at} direction="column" gap={1}>
            <Stack alignItems="flex-end" gap={1}>
              {text('name', 'Name', 'prometheus')}
              {text('url', 'URL', 'http://prometheus:9090')}
              <IconButton
                name="trash-alt"
                tooltip={`Remove ${who}`}
                disabled={disabled}
                onClick={() => {
                  onChange({ stores: stores.filter((_, index) => index !== at) });
                }}
              />
            </Stack>
            {problems.map((problem) => (
              <FieldValidationMessage key={problem}>{problem}</FieldValidationMessage>
            ))}
            <Field
              noMargin
              label="Serves"
              description="Selectors, one a line, asked of this store before anybody else. Empty: what neither the catalog nor an agent knows."
            >
              <TextArea
                aria-label={`Selectors of ${who}`}
                cols={60}
                rows={2}
                value={(store.match ?? []).join('\n')}
                placeholder={'{job="kube-state-metrics"}'}
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  const lines = currentTarget.value.split('\n');
                  edit(at, { match: lines.some((line) => line.trim() !== '') ? lines : undefined });
                }}
              />
            </Field>
            {text(
              'longTermAfter',
              'Long term after',
              'never',
              "It holds the agents' series too: what looks further back than this (such as 30d) is asked of it. One store only."
            )}
            <Field noMargin label="Labels taken off" description="Labels it adds to every series, separated by commas.">
              <Input
                aria-label={`Labels taken off of ${who}`}
                width={WIDTH}
                value={(store.dropLabels ?? []).join(', ')}
                placeholder="prometheus, prometheus_replica"
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  const labels = currentTarget.value.split(',').map((label) => label.trimStart());
                  edit(at, { dropLabels: labels.some((label) => label.trim() !== '') ? labels : undefined });
                }}
              />
            </Field>
            <Stack gap={1} wrap="wrap">
              {text('basicAuthUser', 'User', 'none')}
              {secret(`storePassword_${store.name}`, `Password of ${who}`)}
              {secret(`storeToken_${store.name}`, `Token of ${who}`)}
              {text('tenant', 'Tenant', 'none')}
            </Stack>
          </Stack>
        );
      })}
      <Button
        icon="plus"
        variant="secondary"
        disabled={disabled}
        onClick={() => {
          onChange({ stores: [...stores, { name: stores.length === 0 ? 'prometheus' : `store-${stores.length + 1}`, url: '' }] });
        }}
      >
        Add store
      </Button>
    </Stack>
  );
}
