/** The datasource's settings page. */
import { type DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { Alert, TextLink } from '@grafana/ui';

import { targetCount } from '../settings';
import { type FleetOptions, type FleetSecrets } from '../types';
import { Access } from './Access';
import { LimitsFields } from './LimitsFields';
import { Section } from './Section';
import { StoresFields } from './StoresFields';
import { TargetsTable } from './TargetsTable';
import { VastFields } from './VastFields';
import { Visibility } from './Visibility';

export type Props = DataSourcePluginOptionsEditorProps<FleetOptions, FleetSecrets>;

export function ConfigEditor({ options, onOptionsChange }: Props) {
  const { jsonData, secureJsonData = {}, secureJsonFields, readOnly } = options;
  const change = (patch: Partial<FleetOptions>) => {
    onOptionsChange({ ...options, jsonData: { ...jsonData, ...patch } });
  };
  const secret = (key: keyof FleetSecrets, text: string) => {
    onOptionsChange({ ...options, secureJsonData: { ...secureJsonData, [key]: text } });
  };
  const reset = (key: keyof FleetSecrets) => {
    onOptionsChange({
      ...options,
      secureJsonData: { ...secureJsonData, [key]: '' },
      secureJsonFields: { ...secureJsonFields, [key]: false },
    });
  };
  const count = targetCount(jsonData, options.url);
  const elsewhere = count - targetCount({ targets: jsonData.targets }, '');

  return (
    <>
      {count === 0 ? (
        <Alert severity="info" title="Name at least one node">
          Start <code>podscope-agent</code> on a node (it listens on port 9477) and enter its URL below; a hub stands
          for all nodes behind it. Then press <strong>Save &amp; test</strong>.
        </Alert>
      ) : (
        <Alert severity="info" title="What to do next">
          Press <strong>Save &amp; test</strong>: every node is asked who it is. Then open the{' '}
          <TextLink inline href="/a/podscope-warroom-app">
            Podscope page
          </TextLink>
          , which shows what is connected and leads to the dashboards.
        </Alert>
      )}
      <Section
        title="Nodes"
        description={
          "The agents and hubs to ask. Instance and labels go onto every series of a node, as in Prometheus's target " +
          'list. Pasting a list (one URL a line, or file_sd JSON) into a URL fills the rows.'
        }
      >
        <TargetsTable
          targets={jsonData.targets ?? []}
          disabled={readOnly}
          onChange={(targets) => {
            change({ targets });
          }}
        />
        {elsewhere > 0 && (
          <Alert severity="info" title={`And ${elsewhere} more from provisioning`}>
            The settings <code>urls</code> and <code>url</code> of this data source name them; they are changed where
            they were written.
          </Alert>
        )}
      </Section>
      <Section title="Access" description="Secrets are stored encrypted by Grafana and never leave it but for the nodes.">
        <Access
          options={jsonData}
          secrets={secureJsonData}
          stored={secureJsonFields}
          disabled={readOnly}
          onChange={change}
          onSecret={secret}
          onReset={reset}
        />
      </Section>
      <Section
        title="Who sees what"
        description="Decided in the backend by the person's role and name, for panels, variables and lists alike. Alert rules see everything."
      >
        <Visibility options={jsonData} disabled={readOnly} onChange={change} />
      </Section>
      <Section
        title="Stores"
        description={
          'Prometheus-compatible servers beside the agents: series of other exporters, and the past before what the nodes ' +
          'keep. One expression reads one source, never two at once.'
        }
      >
        <StoresFields
          stores={jsonData.stores ?? []}
          secrets={secureJsonData}
          stored={secureJsonFields}
          disabled={readOnly}
          onChange={change}
          onSecret={secret}
          onReset={reset}
        />
      </Section>
      <Section
        title="VAST clusters"
        description={
          'Storage, read from its management server: latency, bandwidth, CNodes, capacity, who is busiest, events and alarms. ' +
          'Only ever read, at most once per cadence however many look at it.'
        }
      >
        <VastFields
          servers={jsonData.vast ?? []}
          secrets={secureJsonData}
          stored={secureJsonFields}
          disabled={readOnly}
          onChange={change}
          onSecret={secret}
          onReset={reset}
        />
      </Section>
      <Section title="Limits" description="Empty fields take the defaults they show.">
        <LimitsFields options={jsonData} disabled={readOnly} onChange={change} />
      </Section>
    </>
  );
}
