/** The facts on top: how many nodes answer, with what, and what is wrong. */
import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { Alert, Text, useStyles2 } from '@grafana/ui';
import { type ReactNode } from 'react';

import { type Fleet, ago, nameOf, plural } from './fleet';

/** How many names a sentence lists before it counts. */
const NAMED = 5;

export function FleetSummary({ fleet, nowMs }: { fleet: Fleet; nowMs: number }) {
  const styles = useStyles2(getStyles);
  const { expected, answered, silent, versions, failing, gpus, gpuCount, series, oldestMs } = fleet;
  return (
    <div>
      <div className={styles.facts}>
        <Fact
          title="Nodes answering"
          value={`${answered} of ${expected}`}
          tone={answered === expected ? 'success' : answered === 0 ? 'error' : 'warning'}
          detail={answered === expected ? 'all of them' : `${plural(expected - answered, 'node')} silent`}
        />
        <Fact
          title="GPUs"
          value={gpuCount.toLocaleString('en-US')}
          detail={gpuCount === 0 ? 'none found' : gpus.map(({ model, count }) => `${count} × ${model}`).join(', ')}
        />
        <Fact
          title="Collectors failing"
          value={String(failing.length)}
          tone={failing.length === 0 ? 'success' : 'warning'}
          detail={failing.length === 0 ? 'none' : [...new Set(failing.map(({ collector }) => collector))].join(', ')}
        />
        <Fact
          title="History"
          value={oldestMs === undefined ? 'empty' : ago(oldestMs, nowMs)}
          detail={`${plural(series, 'series').replace(/seriess$/, 'series')} now`}
        />
        <Fact
          title={versions.length > 1 ? 'Agent versions' : 'Agent version'}
          value={versions[0]?.version ?? 'unknown'}
          tone={versions.length > 1 ? 'warning' : undefined}
          detail={
            versions.length > 1
              ? versions.map(({ version, nodes }) => `${version}: ${plural(nodes, 'node')}`).join(', ')
              : 'the same everywhere'
          }
        />
      </div>
      {silent.length > 0 && (
        <Alert severity={answered === 0 ? 'error' : 'warning'} title={`${plural(silent.length, 'node')} did not answer`}>
          <Lines
            items={silent.map((node) => (
              <>
                <strong>{nameOf(node)}</strong> ({node.url}): {node.error ?? 'no reason known'}
              </>
            ))}
          />
        </Alert>
      )}
      {failing.length > 0 && (
        <Alert severity="warning" title={`${plural(failing.length, 'collector')} failing`}>
          <Lines
            items={failing.map(({ node, collector, error }) => (
              <>
                <strong>{collector}</strong> on {node}: {error}
              </>
            ))}
          />
        </Alert>
      )}
    </div>
  );
}

function Lines({ items }: { items: ReactNode[] }) {
  return (
    <ul>
      {items.slice(0, NAMED).map((item, at) => (
        <li key={at}>{item}</li>
      ))}
      {items.length > NAMED && <li>and {items.length - NAMED} more, in the table below</li>}
    </ul>
  );
}

interface FactProps {
  title: string;
  value: string;
  detail: string;
  tone?: 'success' | 'warning' | 'error';
}

function Fact({ title, value, detail, tone }: FactProps) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.fact} role="group" aria-label={title}>
      <Text variant="bodySmall" color="secondary">
        {title}
      </Text>
      <Text element="p" variant="h2" color={tone ?? 'primary'}>
        {value}
      </Text>
      <Text variant="bodySmall" color="secondary">
        {detail}
      </Text>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  facts: css({
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(190px, 1fr))',
    gap: theme.spacing(2),
    marginBottom: theme.spacing(2),
  }),
  fact: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(0.5),
    padding: theme.spacing(2),
    borderRadius: theme.shape.radius.default,
    background: theme.colors.background.secondary,
    overflowWrap: 'anywhere',
    p: { margin: 0 },
  }),
});
