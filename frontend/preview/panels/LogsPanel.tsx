import { type DataFrame, dateTimeFormat, FieldType } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';

export interface Line {
  time: number;
  body: string;
  severity: string;
  labels: string;
}

const MOST_LINES = 1000;

function labelText(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([name, label]) => `${name}=${String(label)}`)
        .join(' ')
    : '';
}

/** Log lines of every frame, newest first: Grafana's log-lines frames, else the first time and text fields of a frame. */
export function lines(frames: readonly DataFrame[]): Line[] {
  const found = frames.flatMap((frame) => {
    const named = (name: string): DataFrame['fields'][number] | undefined =>
      frame.fields.find((field) => field.name === name);
    const time = named('timestamp') ?? frame.fields.find(({ type }) => type === FieldType.time);
    const body = named('body') ?? frame.fields.find(({ type }) => type === FieldType.string);
    if (time === undefined || body === undefined) {
      return [];
    }
    const severity = named('severity') ?? named('level');
    const labels = named('labels');
    return Array.from({ length: frame.length }, (_, row) => ({
      time: Number(time.values[row]),
      body: String(body.values[row] ?? ''),
      severity: String(severity?.values[row] ?? ''),
      labels: labelText(labels?.values[row]),
    }));
  });
  return found.sort((a, b) => b.time - a.time).slice(0, MOST_LINES);
}

/** Log lines with their time, level and labels. */
export function LogsPanel({ panel, frames, height }: PanelProps): ReactElement {
  const theme = useTheme2();
  const shown = lines(frames);
  if (shown.length === 0) {
    return <p className="no-data">No lines</p>;
  }
  const colours: Readonly<Record<string, string>> = {
    critical: theme.colors.error.main,
    error: theme.colors.error.main,
    warning: theme.colors.warning.main,
    warn: theme.colors.warning.main,
    info: theme.colors.success.main,
  };
  const wrap = panel.options?.wrapLogMessage === true ? 'pre-wrap' : 'pre';
  return (
    <ol className="logs" style={{ height }}>
      {shown.map(({ time, body, severity, labels }, index) => (
        <li key={index} style={{ borderLeftColor: colours[severity.toLowerCase()] ?? theme.colors.border.medium }}>
          <time>{dateTimeFormat(time, { timeZone: 'browser' })}</time>
          <span style={{ whiteSpace: wrap }} title={labels}>
            {body}
          </span>
        </li>
      ))}
    </ol>
  );
}
