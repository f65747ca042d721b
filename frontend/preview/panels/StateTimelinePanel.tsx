import { FieldType, formattedValueToString, getDisplayProcessor, getFieldDisplayName } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';

interface Span {
  from: number;
  to: number;
  text: string;
  color: string;
}

const LABEL_WIDTH = 140;

/** One lane per series: runs of equal values as coloured bars. */
export function StateTimelinePanel({ frames, range, width, height }: PanelProps): ReactElement {
  const theme = useTheme2();
  const begin = range.from.valueOf();
  const scale = Math.max(1, width - LABEL_WIDTH) / Math.max(1, range.to.valueOf() - begin);
  const lanes = frames.flatMap((frame) => {
    const times = frame.fields.find(({ type }) => type === FieldType.time)?.values as number[] | undefined;
    if (times === undefined) {
      return [];
    }
    return frame.fields
      .filter(({ type }) => type !== FieldType.time)
      .map((field) => {
        const display = field.display ?? getDisplayProcessor({ field, theme });
        const spans: Span[] = [];
        times.forEach((time, index) => {
          const value: unknown = field.values[index];
          const last = spans.at(-1);
          if (value === null || value === undefined) {
            return;
          }
          const shown = display(value);
          const text = formattedValueToString(shown);
          const next = times[index + 1] ?? range.to.valueOf();
          if (last?.text === text && last.to === time) {
            last.to = next;
          } else {
            spans.push({ from: time, to: next, text, color: shown.color ?? theme.colors.text.disabled });
          }
        });
        return { name: getFieldDisplayName(field, frame, frames), spans };
      });
  });
  if (lanes.length === 0) {
    return <p className="no-data">No data</p>;
  }
  const lane = Math.max(10, Math.min(28, height / lanes.length));
  return (
    <svg width={width} height={Math.max(height, lane * lanes.length)} role="img">
      {lanes.map(({ name, spans }, row) => (
        <g key={name} transform={`translate(0 ${String(row * lane)})`}>
          <text x={0} y={lane / 2 + 4} fontSize={11} fill={theme.colors.text.secondary}>
            {name}
          </text>
          {spans.map((span) => (
            <rect
              key={span.from}
              x={LABEL_WIDTH + Math.max(0, span.from - begin) * scale}
              y={1}
              width={Math.max(1, (span.to - Math.max(span.from, begin)) * scale)}
              height={lane - 2}
              fill={span.color}
            >
              <title>{`${name}: ${span.text}`}</title>
            </rect>
          ))}
        </g>
      ))}
    </svg>
  );
}
