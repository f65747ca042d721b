/** The nodes: one row each. A pasted list fills as many rows as it has lines. */
import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { Button, FieldValidationMessage, IconButton, Input, Stack, useStyles2 } from '@grafana/ui';
import { type ClipboardEvent, useState } from 'react';

import { parseLabels, pastedTargets, targetProblems, writeLabels } from '../settings';
import { type Target } from '../types';

interface Row {
  id: number;
  url: string;
  instance: string;
  /** As it is being written. */
  labels: string;
}

interface Props {
  targets: Target[];
  disabled: boolean;
  onChange: (targets: Target[]) => void;
}

export function TargetsTable({ targets, disabled, onChange }: Props) {
  const styles = useStyles2(getStyles);
  const [rows, setRows] = useState<Row[]>(() => rowsOf(targets.length === 0 ? [{ url: '' }] : targets, 0));

  const update = (next: Row[]) => {
    setRows(next);
    onChange(next.filter(({ url }) => url.trim() !== '').map(targetOf));
  };
  const edit = (id: number, patch: Partial<Row>) => {
    update(rows.map((row) => (row.id === id ? { ...row, ...patch } : row)));
  };
  const nextId = Math.max(-1, ...rows.map(({ id }) => id)) + 1;
  const paste = (event: ClipboardEvent<HTMLInputElement>, id: number) => {
    const text = event.clipboardData.getData('text');
    const pasted = pastedTargets(text);
    if (pasted.length < 2 && !text.trim().startsWith('[')) {
      return;
    }
    event.preventDefault();
    update(rows.flatMap((row) => (row.id === id ? rowsOf(pasted, nextId) : [row])));
  };
  const problems = targetProblems(rows.map(targetOf));

  return (
    <Stack direction="column" gap={1} alignItems="flex-start">
      <table className={styles.table}>
        <thead>
          <tr>
            <th>URL</th>
            <th>Instance (optional)</th>
            <th>Labels (optional)</th>
            <th aria-label="Remove" />
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => {
            const labels = parseLabels(row.labels);
            const problem = problems[at];
            const labelProblem = 'problem' in labels ? labels.problem : undefined;
            return (
              <tr key={row.id}>
                <td>
                  <Input
                    aria-label={`URL of node ${at + 1}`}
                    value={row.url}
                    placeholder="http://gpu-01:9477"
                    disabled={disabled}
                    invalid={problem !== undefined}
                    onPaste={(event) => {
                      paste(event, row.id);
                    }}
                    onChange={({ currentTarget }) => {
                      edit(row.id, { url: currentTarget.value });
                    }}
                  />
                  {problem && <FieldValidationMessage>{problem}</FieldValidationMessage>}
                </td>
                <td>
                  <Input
                    aria-label={`Instance name of node ${at + 1}`}
                    value={row.instance}
                    placeholder="the agent's own name"
                    disabled={disabled}
                    onChange={({ currentTarget }) => {
                      edit(row.id, { instance: currentTarget.value });
                    }}
                  />
                </td>
                <td>
                  <Input
                    aria-label={`Labels of node ${at + 1}`}
                    value={row.labels}
                    placeholder="cluster=a, rack=12"
                    disabled={disabled}
                    invalid={labelProblem !== undefined}
                    onChange={({ currentTarget }) => {
                      edit(row.id, { labels: currentTarget.value });
                    }}
                  />
                  {labelProblem && <FieldValidationMessage>{labelProblem}</FieldValidationMessage>}
                </td>
                <td>
                  <IconButton
                    name="trash-alt"
                    tooltip={`Remove node ${at + 1}`}
                    disabled={disabled}
                    onClick={() => {
                      update(rows.filter(({ id }) => id !== row.id));
                    }}
                  />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <Button
        icon="plus"
        variant="secondary"
        disabled={disabled}
        onClick={() => {
          update([...rows, ...rowsOf([{ url: '' }], nextId)]);
        }}
      >
        Add node
      </Button>
    </Stack>
  );
}

function rowsOf(targets: Target[], firstId: number): Row[] {
  return targets.map(({ url, instance = '', labels }, at) => ({
    id: firstId + at,
    url,
    instance,
    labels: writeLabels(labels),
  }));
}

/** Labels that cannot be read are left out: the row says what is wrong with them. */
function targetOf({ url, instance, labels }: Row): Target {
  const parsed = parseLabels(labels);
  return {
    url: url.trim(),
    ...(instance.trim() !== '' && { instance: instance.trim() }),
    ...('labels' in parsed && Object.keys(parsed.labels).length > 0 && { labels: parsed.labels }),
  };
}

const getStyles = (theme: GrafanaTheme2) => ({
  table: css({
    width: '100%',
    maxWidth: 980,
    tableLayout: 'fixed',
    th: {
      ...theme.typography.bodySmall,
      color: theme.colors.text.secondary,
      fontWeight: theme.typography.fontWeightMedium,
      padding: theme.spacing(0, 1, 0.5, 0),
    },
    td: { padding: theme.spacing(0, 1, 1, 0), verticalAlign: 'top' },
    'th:last-child, td:last-child': { width: theme.spacing(4), padding: 0 },
    'td:last-child': { paddingTop: theme.spacing(1) },
    'th:first-child': { width: '42%' },
  }),
});
