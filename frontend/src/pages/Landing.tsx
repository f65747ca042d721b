/** The app's first page: what is connected, what is wrong with it, where to go. */
import { type DataSourceInstanceSettings } from '@grafana/data';
import { PluginPage, config, getDataSourceSrv } from '@grafana/runtime';
import { Alert, Button, Combobox, EmptyState, LinkButton, LoadingPlaceholder, Stack } from '@grafana/ui';
import { useState } from 'react';

import { FLEET_TYPE } from '../datasource/types';
import { FleetSummary } from './FleetSummary';
import { NextSteps } from './NextSteps';
import { NodesTable } from './NodesTable';
import { fleetOf } from './fleet';
import { useInventory } from './useInventory';

const NEW_DATASOURCE = '/connections/datasources/podscope-fleet-datasource';

function addressOf(path: string): string {
  return `${config.appSubUrl}${path}`;
}

export default function Landing() {
  const datasources = getDataSourceSrv().getList({ type: FLEET_TYPE });
  const first = datasources.find(({ isDefault }) => isDefault) ?? datasources[0];
  const [chosen, setChosen] = useState<string>();
  const current = datasources.find(({ uid }) => uid === chosen) ?? first;

  if (current === undefined) {
    return (
      <PluginPage>
        <EmptyState
          variant="call-to-action"
          message="Nothing is connected yet"
          button={
            <LinkButton icon="plus" size="lg" href={addressOf(NEW_DATASOURCE)}>
              Add a Podscope data source
            </LinkButton>
          }
        >
          A data source of the type “Podscope fleet” names the agents to ask. Start <code>podscope-agent</code> on a
          node, then enter its URL there.
        </EmptyState>
      </PluginPage>
    );
  }
  return (
    <PluginPage
      actions={
        datasources.length > 1 && (
          <Combobox
            aria-label="Data source"
            width={30}
            options={datasources.map(({ uid, name }) => ({ value: uid, label: name }))}
            value={current.uid}
            onChange={({ value }) => {
              setChosen(value);
            }}
          />
        )
      }
    >
      <Connected key={current.uid} datasource={current} />
    </PluginPage>
  );
}

function Connected({ datasource }: { datasource: DataSourceInstanceSettings }) {
  const { state, refresh } = useInventory(datasource.uid);
  const settings = addressOf(`/connections/datasources/edit/${datasource.uid}`);

  switch (state.kind) {
    case 'loading':
      return <LoadingPlaceholder text="Asking the nodes who they are..." />;
    case 'failed':
      return (
        <Stack direction="column" gap={2}>
          <Alert severity="error" title={`The data source “${datasource.name}” could not be asked`} bottomSpacing={0}>
            <Stack direction="column" gap={1} alignItems="flex-start">
              <span>{state.error}</span>
              <Button icon="sync" variant="secondary" size="sm" onClick={refresh}>
                Try again
              </Button>
            </Stack>
          </Alert>
          <NextSteps datasourceUid={datasource.uid} settings={settings} connected={false} gpus={false} />
        </Stack>
      );
    case 'loaded': {
      const { inventory, atMs } = state;
      if (inventory.restricted === true) {
        const { answered, expected } = inventory;
        return (
          <Stack direction="column" gap={2}>
            <Alert
              severity={answered === expected ? 'success' : 'warning'}
              title={`${answered} of ${expected} nodes answer`}
              bottomSpacing={0}
            >
              This data source shows you what is yours: the GPUs, containers and jobs you hold, for the time you hold
              them.
            </Alert>
            <NextSteps datasourceUid={datasource.uid} settings={settings} connected={answered > 0} gpus={true} />
          </Stack>
        );
      }
      if (inventory.nodes.length === 0) {
        return (
          <EmptyState
            variant="call-to-action"
            message="The data source names no node yet"
            button={
              <LinkButton icon="plus" size="lg" href={settings}>
                Add nodes
              </LinkButton>
            }
          >
            Start <code>podscope-agent</code> on a node and enter its URL in the settings of “{datasource.name}”.
          </EmptyState>
        );
      }
      const fleet = fleetOf(inventory);
      return (
        <Stack direction="column" gap={3}>
          <FleetSummary fleet={fleet} nowMs={atMs} />
          <NextSteps
            datasourceUid={datasource.uid}
            settings={settings}
            connected={fleet.answered > 0}
            gpus={fleet.gpuCount > 0}
          />
          <NodesTable
            nodes={inventory.nodes}
            datasourceUid={datasource.uid}
            nowMs={atMs}
            actions={
              <Button icon="sync" variant="secondary" size="sm" onClick={refresh}>
                Ask again
              </Button>
            }
          />
        </Stack>
      );
    }
  }
}
