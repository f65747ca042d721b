/** How the nodes know Grafana, and how Grafana knows the nodes: bearer token and TLS. */
import { Alert, Field, InlineField, InlineSwitch, Input, SecretInput, SecretTextArea } from '@grafana/ui';

import { type FleetOptions, type FleetSecrets } from '../types';

interface Props {
  options: FleetOptions;
  secrets: FleetSecrets;
  /** Which secrets are stored already; their text never comes back. */
  stored: Record<string, boolean | undefined>;
  disabled: boolean;
  onChange: (patch: Partial<FleetOptions>) => void;
  onSecret: (key: keyof FleetSecrets, text: string) => void;
  onReset: (key: keyof FleetSecrets) => void;
}

const LABEL_WIDTH = 30;

export function Access({ options, secrets, stored, disabled, onChange, onSecret, onReset }: Props) {
  const pem = (key: 'tlsCACert' | 'tlsClientCert' | 'tlsClientKey', label: string, kind: string) => (
    <Field noMargin={false} label={label} description="Stored encrypted, never shown again.">
      <SecretTextArea
        id={key}
        aria-label={label}
        isConfigured={stored[key] === true}
        disabled={disabled}
        value={secrets[key] ?? ''}
        rows={5}
        cols={68}
        placeholder={`-----BEGIN ${kind}-----`}
        onChange={({ currentTarget }) => {
          onSecret(key, currentTarget.value);
        }}
        onReset={() => {
          onReset(key);
        }}
      />
    </Field>
  );
  const flag = (key: 'tlsAuthWithCACert' | 'tlsAuth' | 'tlsSkipVerify', label: string, tooltip: string) => (
    <InlineField label={label} tooltip={tooltip} labelWidth={LABEL_WIDTH} disabled={disabled}>
      <InlineSwitch
        id={key}
        value={options[key] === true}
        onChange={({ currentTarget }) => {
          onChange({ [key]: currentTarget.checked });
        }}
      />
    </InlineField>
  );
  return (
    <>
      <InlineField
        label="Bearer token"
        tooltip="What the agents have under [http] token. Agents beyond loopback insist on one."
        labelWidth={LABEL_WIDTH}
        disabled={disabled}
      >
        <SecretInput
          id="token"
          aria-label="Bearer token"
          width={50}
          isConfigured={stored.token === true}
          value={secrets.token ?? ''}
          placeholder="none"
          onChange={({ currentTarget }) => {
            onSecret('token', currentTarget.value);
          }}
          onReset={() => {
            onReset('token');
          }}
        />
      </InlineField>
      {flag(
        'tlsAuthWithCACert',
        'Own certificate authority',
        "Trust only the certificates below instead of the system's: for agents with certificates of your own."
      )}
      {options.tlsAuthWithCACert && pem('tlsCACert', 'CA certificate', 'CERTIFICATE')}
      {flag('tlsAuth', 'Mutual TLS', 'Show the agents a client certificate.')}
      {options.tlsAuth && pem('tlsClientCert', 'Client certificate', 'CERTIFICATE')}
      {options.tlsAuth && pem('tlsClientKey', 'Client key', 'PRIVATE KEY')}
      <InlineField
        label="Server name"
        tooltip="The name in the agents' certificates, where it is not the host of their URL."
        labelWidth={LABEL_WIDTH}
        disabled={disabled}
      >
        <Input
          id="serverName"
          width={50}
          value={options.serverName ?? ''}
          placeholder="the URL's host"
          onChange={({ currentTarget }) => {
            onChange({ serverName: currentTarget.value === '' ? undefined : currentTarget.value });
          }}
        />
      </InlineField>
      {flag('tlsSkipVerify', 'Skip verification', 'Accept any certificate. Anyone on the way can read and change answers.')}
      {options.tlsSkipVerify && (
        <Alert severity="warning" title="Certificates are not verified">
          Anybody between Grafana and the nodes can read the token and change the answers. Give the CA certificate
          above instead.
        </Alert>
      )}
    </>
  );
}
