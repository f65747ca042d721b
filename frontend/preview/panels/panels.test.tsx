import { createDataFrame, FieldType, dateTime } from '@grafana/data';
import { render, screen } from '@testing-library/react';

import { ALLOWED, type Panel } from '../model';
import { Visualization } from '.';
import { lines } from './LogsPanel';
import { layout } from './NodeGraphPanel';
import { arc, slices } from './PiePanel';

const range = {
  from: dateTime(0),
  to: dateTime(60_000),
  raw: { from: dateTime(0), to: dateTime(60_000) },
};

function panel(type: string): Panel {
  return { id: 1, type, title: type, gridPos: { x: 0, y: 0, w: 12, h: 8 } };
}

function draw(type: string, frames: ReturnType<typeof createDataFrame>[]): HTMLElement {
  return render(
    <Visualization panel={panel(type)} frames={frames} range={range} width={400} height={200} replace={(text) => text} />
  ).container;
}

describe('the pie', () => {
  it('shares the circle out by value and gives nothing to what is no positive number', () => {
    const parts = slices([1, Number.NaN, 3, -2]);
    const size = parts.map(({ from, to }) => (to - from) / (2 * Math.PI));
    expect(size.map((share) => Number(share.toFixed(6)))).toEqual([0.25, 0, 0.75, 0]);
    expect(parts.at(-1)?.to).toBeCloseTo(2 * Math.PI);
  });

  it('draws a lone slice as a whole ring, not as nothing', () => {
    const path = arc({ from: 0, to: 2 * Math.PI }, 10, 5);
    const [start, end] = [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)(?= A| L)/g)].map(([point]) => point);
    expect(start).not.toEqual(end);
  });

  it('shows every series with its name and value', () => {
    const frames = ['orchestration', 'atomic'].map((name, index) =>
      createDataFrame({ fields: [{ name, type: FieldType.number, values: [index + 1] }] })
    );
    const drawn = draw('piechart', frames);
    expect(drawn.querySelectorAll('path')).toHaveLength(2);
    expect(screen.getByText(/orchestration: 1/, { selector: 'li' })).toBeInTheDocument();
    expect(screen.getByText(/atomic: 2/, { selector: 'li' })).toBeInTheDocument();
  });
});

describe('log lines', () => {
  const frame = createDataFrame({
    fields: [
      { name: 'timestamp', type: FieldType.time, values: [1000, 3000, 2000] },
      { name: 'body', type: FieldType.string, values: ['first', 'third', 'second'] },
      { name: 'severity', type: FieldType.string, values: ['info', 'error', 'warn'] },
      { name: 'labels', type: FieldType.other, values: [{ kind: 'xid' }, {}, {}] },
    ],
  });

  it('come newest first with their labels', () => {
    expect(lines([frame]).map(({ body }) => body)).toEqual(['third', 'second', 'first']);
    expect(lines([frame]).at(-1)?.labels).toBe('kind=xid');
  });

  it('are drawn, and their absence is said', () => {
    draw('logs', [frame]);
    expect(screen.getByText('third')).toBeInTheDocument();
    draw('logs', [createDataFrame({ fields: [{ name: 'timestamp', type: FieldType.time, values: [] }] })]);
    expect(screen.getByText('No lines')).toBeInTheDocument();
  });
});

describe('the node graph', () => {
  it('puts nodes in layers by the longest way to them', () => {
    const nodes = layout(
      ['spine', 'leaf', 'node', 'gpu'],
      [
        { source: 'spine', target: 'leaf' },
        { source: 'leaf', target: 'node' },
        { source: 'spine', target: 'node' },
        { source: 'node', target: 'gpu' },
      ]
    );
    expect(nodes.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
  });

  it('ends on a cycle', () => {
    const nodes = layout(['a', 'b'], [{ source: 'a', target: 'b' }, { source: 'b', target: 'a' }, { source: 'a', target: 'a' }]);
    expect(nodes.every(({ layer }) => layer < 2)).toBe(true);
  });

  it('draws every node with its title and every edge between known nodes', () => {
    const nodes = createDataFrame({
      fields: [
        { name: 'id', type: FieldType.string, values: ['n1', 'n2'] },
        { name: 'title', type: FieldType.string, values: ['node 1', 'node 2'] },
      ],
    });
    const edges = createDataFrame({
      fields: [
        { name: 'id', type: FieldType.string, values: ['e1', 'e2'] },
        { name: 'source', type: FieldType.string, values: ['n1', 'n1'] },
        { name: 'target', type: FieldType.string, values: ['n2', 'gone'] },
      ],
    });
    const drawn = draw('nodeGraph', [nodes, edges]);
    expect(drawn.querySelectorAll('circle')).toHaveLength(2);
    expect(drawn.querySelectorAll('line')).toHaveLength(1);
    expect(screen.getByText('node 2')).toBeInTheDocument();
  });
});

it('every panel type a dashboard may use has a drawing', () => {
  for (const type of ALLOWED.panels.filter((name) => name !== 'row')) {
    const { container } = render(
      <Visualization panel={panel(type)} frames={[]} range={range} width={400} height={200} replace={(text) => text} />
    );
    expect(container.textContent).not.toContain('does not draw');
  }
});
