/** One panel: asks for its data, and shows loading, error, empty and drawn states. */
import { type DataFrame, LoadingState } from '@grafana/data';
import { PanelChrome, useTheme2 } from '@grafana/ui';
import { type ReactElement, useEffect, useMemo, useState } from 'react';

import { query } from './api';
import { prepare } from './fields';
import type { Panel } from './model';
import { Visualization } from './panels';
import { parseTime, type Range, step, timeRange } from './time';
import { type Choices, interpolate } from './variables';

interface Props {
  panel: Panel;
  choices: Choices;
  range: Range;
  /** Counts up with every refresh. */
  tick: number;
  width: number;
  height: number;
}

interface Loaded {
  frames: DataFrame[];
  range: Range;
  errors: string[];
  notices: string[];
}

function notices(frames: readonly DataFrame[]): string[] {
  return [...new Set(frames.flatMap(({ meta }) => (meta?.notices ?? []).map(({ text }) => text)))];
}

export function PanelView({ panel, choices, range, tick, width, height }: Props): ReactElement {
  const theme = useTheme2();
  const [loaded, setLoaded] = useState<Loaded>();
  const [loading, setLoading] = useState(true);
  const [fault, setFault] = useState<string>();
  const replace = useMemo(() => (text: string) => interpolate(text, choices), [choices]);

  useEffect(() => {
    const abort = new AbortController();
    const load = async (): Promise<void> => {
      setLoading(true);
      const bounds = parseTime(range);
      const points = panel.maxDataPoints ?? Math.max(100, Math.floor(width));
      const targets = (panel.targets ?? [])
        .filter(({ hide }) => hide !== true)
        .map((target) => ({
          ...target,
          datasource: { uid: 'podscope', type: 'podscope-fleet-datasource' },
          expr: replace(target.expr ?? ''),
          maxDataPoints: points,
          ...step(bounds, points, panel.interval ?? target.interval),
          ...(target.interval === undefined ? {} : { interval: target.interval }),
        }));
      try {
        const answers = targets.length === 0 ? new Map<string, never>() : await query(targets, bounds, abort.signal);
        const results = targets.map(({ refId }) => [refId, answers.get(refId)] as const);
        const raw = results.flatMap(([, result]) => result?.frames ?? []);
        const frames = await prepare(panel, raw.filter(({ fields }) => fields.length > 0), theme, replace);
        const errors = results.flatMap(([refId, result]) =>
          result?.error === undefined ? [] : [`${refId}: ${result.error}`]
        );
        setLoaded({
          frames,
          range: { from: String(bounds.from), to: String(bounds.to) },
          errors,
          notices: notices(raw),
        });
        setFault(undefined);
        setLoading(false);
      } catch (error) {
        if (!abort.signal.aborted) {
          setFault(error instanceof Error ? error.message : String(error));
          setLoading(false);
        }
      }
    };
    void load();
    return () => {
      abort.abort();
    };
    // A change of width alone is not worth a query; the next refresh asks with it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [panel, replace, range, tick, theme]);

  const errors = [...(fault === undefined ? [] : [fault]), ...(loaded?.errors ?? [])];
  const empty = loaded !== undefined && loaded.frames.every(({ length }) => length === 0) && panel.type !== 'text';
  const noValue = panel.fieldConfig?.defaults.noValue;
  // A panel that says itself what its emptiness means has nothing to show; any other one lacks its data.
  const emptiness = noValue === undefined ? 'empty' : 'nothing';
  const state = errors.length > 0 ? 'error' : loading && loaded === undefined ? 'loading' : empty ? emptiness : 'done';
  return (
    <section data-panel={panel.id} data-state={state} data-title={panel.title}>
      <PanelChrome
        title={replace(panel.title ?? '')}
        {...(panel.description === undefined ? {} : { description: panel.description })}
        width={width}
        height={height}
        loadingState={loading ? LoadingState.Loading : LoadingState.Done}
        {...(errors.length > 0 ? { statusMessage: errors.join('\n') } : {})}
      >
        {(innerWidth, innerHeight) => {
          if (errors.length > 0 && (loaded === undefined || loaded.frames.length === 0)) {
            return (
              <div role="alert" className="panel-error">
                {errors.join('\n')}
              </div>
            );
          }
          if (loaded === undefined) {
            return <p className="no-data">Loading</p>;
          }
          if (empty) {
            return <p className="no-data">{loaded.notices[0] ?? noValue ?? 'No data'}</p>;
          }
          return (
            <>
              <Visualization
                panel={panel}
                frames={loaded.frames}
                range={timeRange(loaded.range)}
                width={innerWidth}
                height={innerHeight}
                replace={replace}
              />
              {loaded.notices.length > 0 && (
                <span className="panel-notice" title={loaded.notices.join('\n')}>
                  {loaded.notices[0]}
                </span>
              )}
            </>
          );
        }}
      </PanelChrome>
    </section>
  );
}
