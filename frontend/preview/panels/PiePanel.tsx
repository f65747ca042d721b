import { formattedValueToString } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';
import { displayValues } from './values';

export interface Slice {
  /** Radians clockwise from twelve o'clock. */
  from: number;
  to: number;
}

/** The whole circle shared out by value; what is not a positive number gets nothing. */
export function slices(values: readonly number[]): Slice[] {
  const weights = values.map((value) => (Number.isFinite(value) && value > 0 ? value : 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let at = 0;
  return weights.map((weight) => {
    const from = at;
    at += total === 0 ? 0 : (weight / total) * 2 * Math.PI;
    return { from, to: at };
  });
}

/** A ring segment as an SVG path around 0, 0. */
export function arc({ from, to }: Slice, outer: number, inner: number): string {
  // A full turn begins where it ends: SVG would draw nothing.
  const end = Math.min(to, from + 2 * Math.PI - 1e-4);
  const point = (radius: number, angle: number): string =>
    `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
  const large = end - from > Math.PI ? '1' : '0';
  const out = `M ${point(outer, from)} A ${String(outer)} ${String(outer)} 0 ${large} 1 ${point(outer, end)}`;
  return inner > 0
    ? `${out} L ${point(inner, end)} A ${String(inner)} ${String(inner)} 0 ${large} 0 ${point(inner, from)} Z`
    : `${out} L 0 0 Z`;
}

/** Shares of a whole: a pie or a ring, with a legend of names and values. */
export function PiePanel({ panel, frames, width, height, replace }: PanelProps): ReactElement {
  const theme = useTheme2();
  const shown = displayValues(panel, frames, theme, replace, false).filter(({ display }) => display.numeric > 0);
  if (shown.length === 0) {
    return <p className="no-data">No data</p>;
  }
  const radius = Math.max(10, Math.min(height, width / 2) / 2 - 4);
  const inner = panel.options?.pieType === 'donut' ? radius * 0.6 : 0;
  const parts = slices(shown.map(({ display }) => display.numeric));
  const colour = (index: number): string =>
    shown[index]?.display.color ?? theme.visualization.getColorByName(theme.visualization.palette[index] ?? 'green');
  return (
    <div className="pie">
      <svg width={2 * radius + 8} height={height} role="img">
        <g transform={`translate(${String(radius + 4)} ${String(height / 2)})`}>
          {parts.map((part, index) => (
            <path key={index} d={arc(part, radius, inner)} fill={colour(index)}>
              <title>{`${shown[index]?.display.title ?? ''}: ${formattedValueToString(shown[index]?.display ?? { text: '' })}`}</title>
            </path>
          ))}
        </g>
      </svg>
      <ul>
        {shown.map(({ display }, index) => (
          <li key={index}>
            <span style={{ background: colour(index) }} />
            {display.title ?? ''}: {formattedValueToString(display)}
          </li>
        ))}
      </ul>
    </div>
  );
}
