import { type DataFrame, type Field, formattedValueToString, getDisplayProcessor } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';

export interface GraphNode {
  id: string;
  row: number;
  /** Distance from the nodes nothing leads to. */
  layer: number;
  /** Place within its layer. */
  place: number;
}

export interface GraphEdge {
  source: string;
  target: string;
}

/**
 * Layers by the longest way from a node without incoming edges; what lies on a cycle stays where it was reached first.
 * Within a layer, in the order of the frame.
 */
export function layout(ids: readonly string[], edges: readonly GraphEdge[]): GraphNode[] {
  const layer = new Map(ids.map((id) => [id, 0]));
  // The longest simple path has fewer edges than there are nodes; a cycle stops there too.
  for (let round = 1; round < ids.length; round += 1) {
    let moved = false;
    for (const { source, target } of edges) {
      const from = layer.get(source);
      const to = layer.get(target);
      if (from !== undefined && to !== undefined && source !== target && to < from + 1 && from + 1 < ids.length) {
        layer.set(target, from + 1);
        moved = true;
      }
    }
    if (!moved) {
      break;
    }
  }
  const filled = new Map<number, number>();
  return ids.map((id, row) => {
    const at = layer.get(id) ?? 0;
    const place = filled.get(at) ?? 0;
    filled.set(at, place + 1);
    return { id, row, layer: at, place };
  });
}

function field(frame: DataFrame | undefined, name: string): Field | undefined {
  return frame?.fields.find((candidate) => candidate.name.toLowerCase() === name);
}

const MOST_NODES = 400;

/** Nodes and the edges between them, in layers from left to right. */
export function NodeGraphPanel({ frames, width, height }: PanelProps): ReactElement {
  const theme = useTheme2();
  const edgeFrame = frames.find((frame) => field(frame, 'source') !== undefined && field(frame, 'target') !== undefined);
  const nodeFrame = frames.find((frame) => frame !== edgeFrame && field(frame, 'id') !== undefined);
  const ids = ((field(nodeFrame, 'id')?.values ?? []) as unknown[]).map(String);
  if (ids.length === 0) {
    return <p className="no-data">No nodes</p>;
  }
  if (ids.length > MOST_NODES) {
    return <p className="no-data">{`${String(ids.length)} nodes: the preview draws up to ${String(MOST_NODES)}; narrow the query`}</p>;
  }
  const sources = (field(edgeFrame, 'source')?.values ?? []) as unknown[];
  const targets = (field(edgeFrame, 'target')?.values ?? []) as unknown[];
  const edges = sources.map((source, index) => ({ source: String(source), target: String(targets[index]) }));
  const nodes = layout(ids, edges);
  const layers = Math.max(...nodes.map(({ layer }) => layer)) + 1;
  const counts = new Map<number, number>();
  for (const { layer } of nodes) {
    counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  const tallest = Math.max(height, Math.max(...counts.values()) * 34);
  const x = ({ layer }: GraphNode): number => ((layer + 0.5) * width) / layers;
  const y = ({ layer, place }: GraphNode): number => ((place + 0.5) * tallest) / (counts.get(layer) ?? 1);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const text = (name: string, row: number): string => {
    const found = field(nodeFrame, name);
    const value: unknown = found?.values[row];
    if (found === undefined || value === null || value === undefined) {
      return '';
    }
    return formattedValueToString((found.display ?? getDisplayProcessor({ field: found, theme }))(value));
  };
  const colour = (row: number): string => {
    const named = field(nodeFrame, 'color');
    const value: unknown = named?.values[row];
    return typeof value === 'string' ? theme.visualization.getColorByName(value) : theme.colors.primary.main;
  };
  return (
    <div style={{ width, height, overflow: 'auto' }}>
      <svg width={width} height={tallest} role="img">
        {edges.map(({ source, target }, index) => {
          const from = byId.get(source);
          const to = byId.get(target);
          return from === undefined || to === undefined ? null : (
            <line key={index} x1={x(from)} y1={y(from)} x2={x(to)} y2={y(to)} stroke={theme.colors.border.strong} />
          );
        })}
        {nodes.map((node) => (
          <g key={node.id} transform={`translate(${String(x(node))} ${String(y(node))})`}>
            <circle r={9} fill={theme.colors.background.primary} stroke={colour(node.row)} strokeWidth={3} />
            <text x={13} y={4} fontSize={11} fill={theme.colors.text.primary}>
              {[text('title', node.row) || node.id, text('mainstat', node.row)].filter((part) => part !== '').join(' · ')}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}
