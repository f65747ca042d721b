/** The preview page: one dashboard at a time, with its variables, time range and refresh. */
import { type ReactElement, useCallback, useEffect, useMemo, useState } from 'react';

import { type DashboardEntry, listDashboards, loadDashboard } from './api';
import { DashboardGrid } from './DashboardGrid';
import { type Dashboard, notAllowed } from './model';
import { type Range, refreshMs } from './time';
import { ALL, type Choice, type Choices, resolve } from './variables';

const RANGES = ['now-5m', 'now-15m', 'now-1h', 'now-6h', 'now-24h'];
const REFRESH = ['', '1s', '5s', '10s', '30s', '1m'];

type Request = 'list' | 'dashboard' | 'variables';

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Place {
  uid: string;
  search: URLSearchParams;
}

function place(): Place {
  const uid = /^\/d\/([^/]+)/.exec(window.location.pathname)?.[1] ?? '';
  return { uid: decodeURIComponent(uid), search: new URLSearchParams(window.location.search) };
}

export function App(): ReactElement {
  const [where, setWhere] = useState(place);
  const [list, setList] = useState<DashboardEntry[]>([]);
  const [dashboard, setDashboard] = useState<Dashboard>();
  // With the dashboard they belong to: another dashboard's variables must not be put into this one's queries.
  const [resolved, setResolved] = useState<{ uid: string; choices: Choices }>();
  // One for each request, so that the success of one does not hide the failure of another.
  const [failures, setFailures] = useState<Partial<Record<Request, string>>>({});
  const [tick, setTick] = useState(0);

  const range: Range = useMemo(
    () => ({
      from: where.search.get('from') ?? dashboard?.time?.from ?? 'now-1h',
      to: where.search.get('to') ?? dashboard?.time?.to ?? 'now',
    }),
    [where, dashboard]
  );
  const refresh = where.search.get('refresh') ?? dashboard?.refresh ?? '';

  const go = useCallback((uid: string, change: (search: URLSearchParams) => void) => {
    const search = new URLSearchParams(window.location.search);
    change(search);
    const text = search.toString();
    window.history.pushState(null, '', `/d/${uid}${text === '' ? '' : `?${text}`}`);
    setWhere(place());
  }, []);

  useEffect(() => {
    const back = (): void => {
      setWhere(place());
    };
    window.addEventListener('popstate', back);
    return () => {
      window.removeEventListener('popstate', back);
    };
  }, []);

  useEffect(() => {
    listDashboards()
      .then(setList)
      .catch((error: unknown) => {
        setFailures((known) => ({ ...known, list: message(error) }));
      });
  }, []);

  useEffect(() => {
    const uid = where.uid === '' ? list[0]?.uid : where.uid;
    if (uid === undefined || dashboard?.uid === uid) {
      return;
    }
    loadDashboard(uid)
      .then((loaded) => {
        setDashboard(loaded);
        setFailures(({ list: kept }) => (kept === undefined ? {} : { list: kept }));
        document.title = `${loaded.title} - preview without Grafana`;
      })
      .catch((error: unknown) => {
        setFailures((known) => ({ ...known, dashboard: message(error) }));
      });
  }, [where.uid, list, dashboard]);

  useEffect(() => {
    if (dashboard === undefined) {
      return;
    }
    let current = true;
    resolve(dashboard, range, where.search)
      .then((choices) => {
        if (current) {
          setResolved({ uid: dashboard.uid, choices });
        }
      })
      .catch((error: unknown) => {
        setFailures((known) => ({ ...known, variables: message(error) }));
      });
    return () => {
      current = false;
    };
  }, [dashboard, range, where.search]);

  useEffect(() => {
    const interval = refreshMs(refresh);
    if (interval === undefined) {
      return;
    }
    const timer = window.setInterval(() => {
      setTick((count) => count + 1);
    }, interval);
    return () => {
      window.clearInterval(timer);
    };
  }, [refresh]);

  const uid = dashboard?.uid ?? where.uid;
  const choices = resolved?.uid === uid ? resolved.choices : undefined;
  const faults = dashboard === undefined ? [] : notAllowed(dashboard);
  return (
    <>
      <header className="bar">
        <strong>Podscope</strong>
        <span className="preview-mark">preview without Grafana</span>
        <select
          aria-label="Dashboard"
          value={uid}
          onChange={({ target }) => {
            go(target.value, (search) => {
              for (const key of [...search.keys()].filter((name) => name.startsWith('var-'))) {
                search.delete(key);
              }
            });
          }}
        >
          {list.map((entry) => (
            <option key={entry.uid} value={entry.uid}>
              {entry.title}
            </option>
          ))}
        </select>
        {[...(choices?.values() ?? [])]
          .filter(({ variable }) => variable.type !== 'datasource' && variable.hide !== 2)
          .map((choice) => (
            <VariableSelect
              key={choice.variable.name}
              choice={choice}
              onChange={(values) => {
                go(uid, (search) => {
                  search.delete(`var-${choice.variable.name}`);
                  for (const value of values) {
                    search.append(`var-${choice.variable.name}`, value);
                  }
                });
              }}
            />
          ))}
        <span className="spread" />
        <select
          aria-label="Time range"
          value={range.from}
          onChange={({ target }) => {
            go(uid, (search) => {
              search.set('from', target.value);
              search.set('to', 'now');
            });
          }}
        >
          {[...new Set([...RANGES, range.from])].map((from) => (
            <option key={from} value={from}>
              {from.startsWith('now-') ? `Last ${from.slice(4)}` : `Since ${from}`}
            </option>
          ))}
        </select>
        <select
          aria-label="Refresh"
          value={refresh}
          onChange={({ target }) => {
            go(uid, (search) => {
              search.set('refresh', target.value);
            });
          }}
        >
          {[...new Set([...REFRESH, refresh])].map((interval) => (
            <option key={interval} value={interval}>
              {interval === '' ? 'No refresh' : `Every ${interval}`}
            </option>
          ))}
        </select>
      </header>
      {Object.entries(failures).map(([request, text]) => (
        <p key={request} role="alert" className="page-error">
          {text}
        </p>
      ))}
      {faults.length > 0 && (
        <p role="alert" className="page-error">
          Not drawn in the preview: {faults.join('; ')}
        </p>
      )}
      {dashboard === undefined || choices === undefined ? (
        Object.keys(failures).length === 0 && <p className="no-data">Loading</p>
      ) : (
        <DashboardGrid dashboard={dashboard} choices={choices} range={range} tick={tick} />
      )}
    </>
  );
}

function VariableSelect({
  choice,
  onChange,
}: {
  choice: Choice;
  onChange: (values: string[]) => void;
}): ReactElement {
  const { variable, options, chosen, error } = choice;
  const label = variable.label ?? variable.name;
  return (
    <label className="variable" title={error}>
      {label}
      <select
        aria-label={label}
        value={chosen[0] ?? ''}
        onChange={({ target }) => {
          onChange([target.value]);
        }}
      >
        {variable.includeAll === true && <option value={ALL}>All</option>}
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
        {options.length === 0 && variable.includeAll !== true && <option value="">{error ?? 'no values'}</option>}
      </select>
    </label>
  );
}
