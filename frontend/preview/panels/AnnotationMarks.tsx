/** Lines and spans of events over a time series, as Grafana draws annotations. */
import { useTheme2, type UPlotConfigBuilder } from '@grafana/ui';
import { useLayoutEffect, useRef } from 'react';
import type uPlot from 'uplot';

import type { Mark } from '../annotations';

export function AnnotationMarks({ config, marks }: { config: UPlotConfigBuilder; marks: readonly Mark[] }): null {
  const theme = useTheme2();
  const latest = useRef(marks);
  const drawn = useRef<uPlot | undefined>(undefined);

  useLayoutEffect(() => {
    config.addHook('init', (plot) => {
      drawn.current = plot;
    });
    config.addHook('draw', (plot) => {
      paint(plot, latest.current, (color) => theme.visualization.getColorByName(color));
    });
  }, [config, theme]);

  useLayoutEffect(() => {
    latest.current = marks;
    drawn.current?.redraw(false);
  }, [marks]);
  return null;
}

function paint(plot: uPlot, marks: readonly Mark[], colorOf: (name: string) => string): void {
  const { ctx, bbox } = plot;
  const [first, last] = [plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 0];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, color } of marks) {
    if (to < first || from > last) {
      continue;
    }
    const [left, right] = [plot.valToPos(from, 'x', true), plot.valToPos(to, 'x', true)];
    ctx.fillStyle = colorOf(color);
    ctx.strokeStyle = ctx.fillStyle;
    if (right - left > 1) {
      ctx.globalAlpha = 0.1;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
    }
    ctx.lineWidth = Math.max(1, window.devicePixelRatio);
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    for (const x of right - left > 1 ? [left, right] : [left]) {
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
    }
    ctx.stroke();
  }
  ctx.restore();
}
