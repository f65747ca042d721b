/** Panels at their places on Grafana's 24-column grid, rows that fold, and panels that load when they come into view. */
import { type ReactElement, useEffect, useRef, useState } from 'react';

import { Marks, useMarks } from './annotations';
import type { Dashboard, Panel } from './model';
import { PanelView } from './PanelView';
import type { Range } from './time';
import type { Choices } from './variables';

const COLUMNS = 24;
/** Grafana's grid cell height and gap, in pixels. */
const CELL = 30;
const GAP = 8;

interface Placed {
  panel: Panel;
  y: number;
}

/** Panels with their rows, folded rows taken out and what lies below moved up. */
export function place(panels: readonly Panel[], folded: ReadonlySet<number>): Placed[] {
  const placed: Placed[] = [];
  let lift = 0;
  let hiding = false;
  let bottom = 0;
  const sorted = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  for (const panel of sorted) {
    if (panel.type === 'row') {
      hiding = folded.has(panel.id);
      lift = panel.gridPos.y - bottom;
    } else if (hiding) {
      continue;
    }
    const y = panel.gridPos.y - lift;
    placed.push({ panel, y });
    bottom = Math.max(bottom, y + panel.gridPos.h);
  }
  return placed;
}

export function DashboardGrid({
  dashboard,
  choices,
  range,
  tick,
}: {
  dashboard: Dashboard;
  choices: Choices;
  range: Range;
  tick: number;
}): ReactElement {
  const [width, setWidth] = useState(() => document.documentElement.clientWidth - 2 * GAP);
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());

  useEffect(() => {
    const resize = (): void => {
      setWidth(document.documentElement.clientWidth - 2 * GAP);
    };
    window.addEventListener('resize', resize);
    return () => {
      window.removeEventListener('resize', resize);
    };
  }, []);

  const { marks, problem } = useMarks(dashboard, choices, range, tick);
  const placed = place(dashboard.panels, folded);
  const bottom = Math.max(0, ...placed.map(({ panel, y }) => y + panel.gridPos.h));
  const column = (width + GAP) / COLUMNS;
  return (
    <Marks.Provider value={marks}>
      {problem !== undefined && (
        <p role="alert" className="page-error">
          Annotations: {problem}
        </p>
      )}
      <main className="grid" style={{ height: bottom * (CELL + GAP) }}>
      {placed.map(({ panel, y }) => {
        const { x, w, h } = panel.gridPos;
        const style = {
          left: x * column,
          top: y * (CELL + GAP),
          width: w * column - GAP,
          height: h * (CELL + GAP) - GAP,
        };
        return (
          <div key={`${dashboard.uid}-${String(panel.id)}`} className="cell" style={style}>
            {panel.type === 'row' ? (
              <button
                type="button"
                className="row-title"
                aria-expanded={!folded.has(panel.id)}
                onClick={() => {
                  const next = new Set(folded);
                  if (!next.delete(panel.id)) {
                    next.add(panel.id);
                  }
                  setFolded(next);
                }}
              >
                {folded.has(panel.id) ? '▸' : '▾'} {panel.title}
              </button>
            ) : (
              <InView>
                <PanelView
                  panel={panel}
                  choices={choices}
                  range={range}
                  tick={tick}
                  width={style.width}
                  height={style.height}
                />
              </InView>
            )}
          </div>
        );
      })}
      </main>
    </Marks.Provider>
  );
}

/** Renders its children once they have been near the visible part of the page. */
function InView({ children }: { children: ReactElement }): ReactElement {
  const holder = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const node = holder.current;
    if (node === null || seen) {
      return;
    }
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) {
          setSeen(true);
        }
      },
      { rootMargin: '400px' }
    );
    observer.observe(node);
    return () => {
      observer.disconnect();
    };
  }, [seen]);
  return (
    <div ref={holder} className="in-view">
      {seen ? children : null}
    </div>
  );
}
