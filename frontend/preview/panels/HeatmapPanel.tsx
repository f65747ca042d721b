import { FieldType, getFieldDisplayName } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import { type ReactElement, useEffect, useRef } from 'react';

import type { PanelProps } from '.';

const LABEL_WIDTH = 70;

/** Bucket counts over time: one row per bucket, as the backend orders them. */
export function HeatmapPanel({ frames, range, width, height }: PanelProps): ReactElement {
  const theme = useTheme2();
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = frames.find(({ length }) => length > 0);

  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (frame === undefined || context === null || context === undefined) {
      return;
    }
    const times = frame.fields.find(({ type }) => type === FieldType.time)?.values as number[] | undefined;
    const rows = frame.fields.filter(({ type }) => type === FieldType.number);
    if (times === undefined || rows.length === 0) {
      return;
    }
    const highest = Math.max(...rows.flatMap(({ values }) => (values as (number | null)[]).map((value) => value ?? 0)));
    const begin = range.from.valueOf();
    const scale = (width - LABEL_WIDTH) / Math.max(1, range.to.valueOf() - begin);
    const rowHeight = height / rows.length;
    const cell = Math.max(1, ((times[1] ?? range.to.valueOf()) - (times[0] ?? begin)) * scale);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${theme.typography.fontFamily}`;
    rows.forEach((field, index) => {
      const top = height - (index + 1) * rowHeight;
      context.fillStyle = theme.colors.text.secondary;
      context.fillText(getFieldDisplayName(field, frame, frames), 0, top + rowHeight / 2 + 4);
      times.forEach((time, at) => {
        const value = (field.values as (number | null)[])[at] ?? 0;
        if (value > 0 && highest > 0) {
          context.fillStyle = `hsl(${String(30 - 30 * (value / highest))} 90% ${String(20 + 45 * (value / highest))}%)`;
          context.fillRect(LABEL_WIDTH + (time - begin) * scale, top, cell, rowHeight - 1);
        }
      });
    });
  }, [frame, frames, height, range, theme, width]);

  if (frame === undefined) {
    return <p className="no-data">No data</p>;
  }
  return <canvas ref={canvas} width={width} height={height} />;
}
