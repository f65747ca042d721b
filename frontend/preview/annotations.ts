/** A dashboard's annotations: which events it wants marked, and the marks they become on time series. */
import { type DataFrame } from '@grafana/data';
import { createContext, useContext, useEffect, useMemo, useState } from 'react';

import { query, type QueryResult } from './api';
import type { AnnotationQuery, Dashboard, Panel, Target } from './model';
import { parseTime, type Range } from './time';
import { type Choices, interpolate } from './variables';

/** A point or a span of time, in epoch milliseconds. */
export interface Mark {
  from: number;
  to: number;
  title: string;
  color: string;
  /** Which panels it is for. */
  query: AnnotationQuery;
}

export const Marks = createContext<readonly Mark[]>([]);

/** Grafana's own default. */
const DEFAULT_COLOR = 'rgb(0, 211, 255)';

/** The queries that are switched on, each with a refId of its own. */
export function wanted(dashboard: Dashboard, replace: (text: string) => string): { mark: AnnotationQuery; target: Target }[] {
  return (dashboard.annotations?.list ?? []).flatMap((mark, at) =>
    mark.enable === false || mark.target?.queryType !== 'events'
      ? []
      : [
          {
            mark,
            target: {
              ...mark.target,
              refId: `Anno${String(at)}`,
              datasource: { uid: 'podscope', type: 'podscope-fleet-datasource' },
              expr: replace(mark.target.expr ?? ''),
              format: 'annotations',
            },
          },
        ]
  );
}

/** The marks of one answer. */
export function marksOf(frames: readonly DataFrame[], mark: AnnotationQuery): Mark[] {
  return frames.flatMap((frame) => {
    const column = (name: string): unknown[] => frame.fields.find((field) => field.name === name)?.values ?? [];
    const [times, ends, titles] = [column('time'), column('timeEnd'), column('title')];
    return times.flatMap((from, at) => {
      const [to, title] = [ends[at], titles[at]];
      return typeof from === 'number'
        ? [
            {
              from,
              to: typeof to === 'number' ? Math.max(from, to) : from,
              title: typeof title === 'string' ? title : '',
              color: mark.iconColor ?? DEFAULT_COLOR,
              query: mark,
            },
          ]
        : [];
    });
  });
}

/** Whether an annotation is for this panel: all panels, only those listed, or all but those. */
export function isFor(panel: Panel, { filter }: AnnotationQuery): boolean {
  const listed = filter?.ids?.includes(panel.id) ?? false;
  return filter === undefined || (filter.exclude === true ? !listed : listed);
}

/** The marks of a dashboard, asked again with every refresh. What fails is said, and draws nothing. */
export function useMarks(
  dashboard: Dashboard,
  choices: Choices,
  range: Range,
  tick: number
): { marks: readonly Mark[]; problem: string | undefined } {
  const [marks, setMarks] = useState<readonly Mark[]>([]);
  const [problem, setProblem] = useState<string>();
  const queries = useMemo(() => wanted(dashboard, (text) => interpolate(text, choices)), [dashboard, choices]);
  useEffect(() => {
    const abort = new AbortController();
    const targets = queries.map(({ target }) => target);
    const asking = targets.length === 0 ? Promise.resolve(new Map<string, QueryResult>()) : query(targets, parseTime(range), abort.signal);
    asking
      .then((answers) => {
        const results = queries.map(({ mark, target }) => ({ mark, result: answers.get(target.refId) }));
        setMarks(results.flatMap(({ mark, result }) => marksOf(result?.frames ?? [], mark)));
        setProblem(
          results.flatMap(({ mark, result }) => (result?.error === undefined ? [] : [`${mark.name}: ${result.error}`]))[0]
        );
      })
      .catch((error: unknown) => {
        if (!abort.signal.aborted) {
          setProblem(error instanceof Error ? error.message : String(error));
        }
      });
    return () => {
      abort.abort();
    };
  }, [queries, range, tick]);
  return { marks, problem };
}

/** The marks that are for one panel. */
export function useMarksOf(panel: Panel): readonly Mark[] {
  const marks = useContext(Marks);
  return useMemo(() => marks.filter(({ query: mark }) => isFor(panel, mark)), [marks, panel]);
}
