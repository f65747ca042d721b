/** VAST clusters: where their management servers are, how they know Grafana, what more is read of them. */
import { Button, Checkbox, Combobox, Field, FieldValidationMessage, IconButton, Input, SecretInput, SecretTextArea, Stack, TextArea } from '@grafana/ui';

import { parseLabels, storeNameProblem, urlProblem, writeLabels } from '../settings';
import { type FleetOptions, type FleetSecrets, type VastAuth, type VastOptions, VAST_DEFAULTS } from '../types';

interface Props {
  servers: VastOptions[];
  secrets: FleetSecrets;
  /** Which secrets are stored already; their text never comes back. */
  stored: Record<string, boolean | undefined>;
  disabled: boolean;
  onChange: (patch: Partial<FleetOptions>) => void;
  onSecret: (key: keyof FleetSecrets, text: string) => void;
  onReset: (key: keyof FleetSecrets) => void;
}

const WIDTH = 50;
const AUTHS: { value: VastAuth; label: string; description: string }[] = [
  { value: 'basic', label: 'User and password', description: 'Sent with every call' },
  { value: 'jwt', label: 'User and password for a token', description: 'Traded for a JWT, which is renewed' },
  { value: 'apiToken', label: 'API token', description: 'Made in VMS for a user; VAST 5.3 and later' },
];

export function VastFields({ servers, secrets, stored, disabled, onChange, onSecret, onReset }: Props) {
  const edit = (at: number, patch: Partial<VastOptions>) => {
    onChange({ vast: servers.map((server, index) => (index === at ? { ...server, ...patch } : server)) });
  };
  return (
    <Stack direction="column" gap={3} alignItems="flex-start">
      {servers.map((server, at) => {
        const who = `VAST cluster ${at + 1}`;
        const auth = server.auth ?? 'basic';
        const problems = [storeNameProblem(server.name, servers.slice(0, at)), urlProblem(server.url)].filter(
          (problem) => problem !== undefined
        );
        const text = (key: 'name' | 'url' | 'user' | 'tenant' | 'serverName', label: string, hint: string, description?: string) => (
          <Field noMargin label={label} description={description}>
            <Input
              aria-label={`${label} of ${who}`}
              width={WIDTH}
              value={server[key] ?? ''}
              placeholder={hint}
              disabled={disabled}
              onChange={({ currentTarget }) => {
                edit(at, { [key]: currentTarget.value });
              }}
            />
          </Field>
        );
        const number = (key: 'clusterId' | 'callsPerMinute' | 'concurrency' | 'timeoutMs', label: string, hint: string) => (
          <Field noMargin label={label}>
            <Input
              aria-label={`${label} of ${who}`}
              width={20}
              type="number"
              value={server[key] ?? ''}
              placeholder={hint}
              disabled={disabled}
              onChange={({ currentTarget }) => {
                const value = currentTarget.value.trim();
                edit(at, { [key]: value === '' ? undefined : Number(value) });
              }}
            />
          </Field>
        );
        const secret = (key: `vastPassword_${string}` | `vastToken_${string}`, label: string) => (
          <Field noMargin label={label}>
            <SecretInput
              aria-label={`${label} of ${who}`}
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
        const ca: `vastCACert_${string}` = `vastCACert_${server.name}`;
        return (
          // Servers have no identity but their place; the fields hold no state of their own.
          <Stack key={at} direction="column" gap={1}>
            <Stack alignItems="flex-end" gap={1}>
              {text('name', 'Name', 'vast')}
              {text('url', 'URL', 'https://vms.example.com')}
              <IconButton
                name="trash-alt"
                tooltip={`Remove ${who}`}
                disabled={disabled}
                onClick={() => {
                  onChange({ vast: servers.filter((_, index) => index !== at) });
                }}
              />
            </Stack>
            {problems.map((problem) => (
              <FieldValidationMessage key={problem}>{problem}</FieldValidationMessage>
            ))}
            <Stack gap={1} wrap="wrap">
              <Field noMargin label="Signs in with" description="A read-only role is enough: nothing is ever written.">
                <Combobox
                  aria-label={`Sign-in of ${who}`}
                  width={WIDTH}
                  options={AUTHS}
                  value={auth}
                  disabled={disabled}
                  onChange={({ value }) => {
                    edit(at, { auth: value });
                  }}
                />
              </Field>
              {auth !== 'apiToken' && text('user', 'User', 'podscope')}
              {auth !== 'apiToken' && secret(`vastPassword_${server.name}`, 'Password')}
              {auth === 'apiToken' && secret(`vastToken_${server.name}`, 'API token')}
              {text('tenant', 'Tenant', 'none', 'Sent as X-Tenant-Name.')}
            </Stack>
            <Stack gap={1} wrap="wrap">
              {number('clusterId', 'Cluster id', 'the first')}
              {number('callsPerMinute', 'Calls a minute', String(VAST_DEFAULTS.callsPerMinute))}
              {number('concurrency', 'Calls at once', String(VAST_DEFAULTS.concurrency))}
              {number('timeoutMs', 'Timeout (ms)', String(VAST_DEFAULTS.timeoutMs))}
            </Stack>
            <Field noMargin label="Labels" description="Go onto every series of the cluster: name=value, name=value.">
              <Input
                aria-label={`Labels of ${who}`}
                width={WIDTH}
                defaultValue={writeLabels(server.labels)}
                placeholder="pod=pod-2"
                disabled={disabled}
                onBlur={({ currentTarget }) => {
                  const read = parseLabels(currentTarget.value);
                  if ('labels' in read) {
                    edit(at, { labels: Object.keys(read.labels).length > 0 ? read.labels : undefined });
                  }
                }}
              />
            </Field>
            <Field
              noMargin
              label="Further properties"
              description="One a line: the type of object (cluster, cnode, nic, ssd) and the property's full name. They appear under the names VAST's exporter would give them."
            >
              <TextArea
                aria-label={`Properties of ${who}`}
                cols={60}
                rows={2}
                value={(server.properties ?? []).join('\n')}
                placeholder="cnode BlockMetrics,qos_volumes_cache_hit_rate__rate"
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  const lines = currentTarget.value.split('\n');
                  edit(at, { properties: lines.some((line) => line.trim() !== '') ? lines : undefined });
                }}
              />
            </Field>
            <Stack gap={3} wrap="wrap">
              <Checkbox
                label={`Somebody scrapes its exporter (${who})`}
                description="The series read directly are left out. Where the agents or a store have them, this is found without being told."
                value={server.scraped === true}
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  edit(at, { scraped: currentTarget.checked });
                }}
              />
              <Checkbox
                label={`Trust a CA of its own (${who})`}
                value={server.tlsAuthWithCACert === true}
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  edit(at, { tlsAuthWithCACert: currentTarget.checked });
                }}
              />
              <Checkbox
                label={`Accept any certificate (${who})`}
                value={server.tlsSkipVerify === true}
                disabled={disabled}
                onChange={({ currentTarget }) => {
                  edit(at, { tlsSkipVerify: currentTarget.checked });
                }}
              />
            </Stack>
            {server.tlsAuthWithCACert === true && (
              <Stack gap={1} wrap="wrap">
                <Field noMargin label="CA certificate">
                  <SecretTextArea
                    aria-label={`CA certificate of ${who}`}
                    cols={60}
                    rows={4}
                    isConfigured={stored[ca] === true}
                    disabled={disabled}
                    placeholder="-----BEGIN CERTIFICATE-----"
                    onChange={({ currentTarget }) => {
                      onSecret(ca, currentTarget.value);
                    }}
                    onReset={() => {
                      onReset(ca);
                    }}
                  />
                </Field>
                {text('serverName', 'Server name', "the URL's host", 'The name its certificate carries.')}
              </Stack>
            )}
          </Stack>
        );
      })}
      <Button
        icon="plus"
        variant="secondary"
        disabled={disabled}
        onClick={() => {
          onChange({ vast: [...servers, { name: servers.length === 0 ? 'vast' : `vast-${servers.length + 1}`, url: '' }] });
        }}
      >
        Add VAST cluster
      </Button>
    </Stack>
  );
}
