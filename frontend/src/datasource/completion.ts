/**
 * What the editor offers while one types: metrics, labels and values as the nodes have them, the functions the backend
 * knows, template variables and time macros. The grammar's part (what may stand where) is codemirror-promql's.
 */
import { type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { type TimeRange } from '@grafana/data';
import { newCompleteStrategy } from '@prometheus-io/codemirror-promql';
import { type PrometheusClient } from '@prometheus-io/codemirror-promql/dist/esm/client/prometheus';
import { type Matcher } from '@prometheus-io/codemirror-promql/dist/esm/types';
import { EqlRegex, EqlSingle, Neq, NeqRegex } from '@prometheus-io/lezer-promql';

import { CATALOG } from '../generated/catalog';
import { type FleetClient, type MetricMetadata } from './client';
import { errorText } from './errors';
import { type MatchOperator, writeMatcher } from './matchers';

/** Answers are kept this long: names change when nodes come and go, not while one types. */
const KEEP_MS = 60_000;

const OPERATORS: Record<number, MatchOperator> = {
  [EqlSingle]: '=',
  [Neq]: '!=',
  [EqlRegex]: '=~',
  [NeqRegex]: '!~',
};

/** Where the names come from, with a memory. Failures are told once and answered with nothing. */
export class CompletionSource implements PrometheusClient {
  private readonly kept = new Map<string, { until: number; answer: Promise<unknown> }>();

  constructor(
    private readonly client: FleetClient,
    /** Replaces template variables in a selector. */
    private readonly interpolate: (selector: string) => string,
    /** The range names are asked for. */
    private readonly range: () => TimeRange | undefined,
    /** `undefined`: the last question was answered. */
    private readonly onState: (error: string | undefined) => void = () => undefined,
    private readonly now: () => number = Date.now
  ) {}

  labelNames(metricName = ''): Promise<string[]> {
    const selectors = this.selectors(metricName);
    return this.ask(`labels ${selectors.join()}`, [], () => this.client.labelNames(selectors, this.range()));
  }

  labelValues(label: string, metricName = '', matchers: Matcher[] = []): Promise<string[]> {
    // The matcher being written must not narrow its own values.
    const selectors = this.selectors(
      metricName,
      matchers.filter(({ name }) => name !== label)
    );
    return this.ask(`values ${label} ${selectors.join()}`, [], () =>
      this.client.labelValues(label, selectors, this.range())
    );
  }

  metricMetadata(): Promise<Record<string, MetricMetadata[]>> {
    return this.ask('metadata', fromCatalog(), async () => ({ ...fromCatalog(), ...(await this.client.metadata()) }));
  }

  async series(metricName: string, matchers: Matcher[] = []): Promise<Map<string, string>[]> {
    const selectors = this.selectors(metricName, matchers);
    const series = await this.ask(`series ${selectors.join()}`, [], () => this.client.series(selectors, this.range()));
    return series.map((labels) => new Map(Object.entries(labels)));
  }

  metricNames(): Promise<string[]> {
    return this.labelValues('__name__');
  }

  /** Functions of the backend; nothing when it cannot say. */
  functions(): Promise<string[]> {
    return this.ask('functions', [], () => this.client.functions());
  }

  flags(): Promise<Record<string, string>> {
    return Promise.resolve({});
  }

  private selectors(metricName: string, matchers: Matcher[] = []): string[] {
    const written = matchers.flatMap(({ type, name, value }) => {
      const operator = OPERATORS[type];
      return operator === undefined || value === '' ? [] : [writeMatcher({ label: name, operator, value })];
    });
    if (metricName !== '') {
      written.unshift(writeMatcher({ label: '__name__', operator: '=', value: metricName }));
    }
    return written.length === 0 ? [] : [this.interpolate(`{${written.join(',')}}`)];
  }

  private async ask<T>(key: string, otherwise: T, question: () => Promise<T>): Promise<T> {
    const now = this.now();
    const kept = this.kept.get(key);
    if (kept && kept.until > now) {
      return kept.answer as Promise<T>;
    }
    const answer = question().then(
      (value) => {
        this.onState(undefined);
        return value;
      },
      (error: unknown) => {
        this.kept.delete(key);
        this.onState(errorText(error));
        return otherwise;
      }
    );
    this.kept.set(key, { until: now + KEEP_MS, answer });
    return answer;
  }
}

function fromCatalog(): Record<string, MetricMetadata[]> {
  return Object.fromEntries(
    Object.entries(CATALOG).map(([name, { kind, unit, help }]) => [name, [{ type: kind, unit, help }]])
  );
}

const MACROS: Completion[] = [
  { label: '$__rate_interval', detail: 'macro', info: 'The window for rate() and increase(): never too short for a value.' },
  { label: '$__interval', detail: 'macro', info: 'The step of the panel.' },
  { label: '$__range', detail: 'macro', info: "The dashboard's time range." },
  { label: '$__interval_ms', detail: 'macro', info: 'The step in milliseconds.' },
  { label: '$__range_s', detail: 'macro', info: "The dashboard's time range in seconds." },
  { label: '$__range_ms', detail: 'macro', info: "The dashboard's time range in milliseconds." },
];

/** `$name` behind a dollar sign: template variables and macros. */
export function completeVariables(context: CompletionContext, variables: readonly string[]): CompletionResult | null {
  const before = context.matchBefore(/\$\{?\w*/);
  if (before === null) {
    return null;
  }
  const options = [...variables.map((name) => ({ label: `$${name}`, detail: 'variable' })), ...MACROS];
  return {
    from: before.from,
    options: options.map((option) => ({ ...option, type: 'variable', boost: 1 })),
    validFor: /^\$\w*$/,
  };
}

/** The source of completions for the editor. */
export function completePromql(source: CompletionSource, variables: () => readonly string[]) {
  const strategy = newCompleteStrategy({ remote: source });
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const named = completeVariables(context, variables());
    if (named !== null) {
      return named;
    }
    const [result, functions] = await Promise.all([strategy.promQL(context), source.functions()]);
    return result && onlyKnown(result, new Set(functions));
  };
}

/** Words newer than what the backend speaks: it would answer "not supported". */
const REFUSED = new Set(['fill', 'fill_left', 'fill_right', 'anchored', 'smoothed', 'step()', 'range()']);

/** Leaves out what the backend would refuse. */
function onlyKnown(result: CompletionResult, functions: ReadonlySet<string>): CompletionResult {
  const known = ({ type, label }: Completion) =>
    !REFUSED.has(label) && (type !== 'function' || functions.size === 0 || functions.has(label));
  return { ...result, options: result.options.filter(known) };
}
