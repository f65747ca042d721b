/**
 * Template variables in PromQL. A value is escaped for the place it stands in: inside a string its quotes and
 * backslashes, and for variables that may hold several values the regular expression's own signs too, so that
 * `{instance=~"$node"}` matches exactly what was chosen. Outside strings (a metric name, a number, a whole expression)
 * a value is taken as it is. The time macros stay as they are: the backend replaces them after it has widened the step.
 */
import { type ScopedVars, type TimeRange } from '@grafana/data';

/** How Grafana describes a variable to a formatter; only these two matter. */
export interface VariableTraits {
  multi?: boolean;
  includeAll?: boolean;
}

export type Formatter = (value: unknown, variable: VariableTraits) => string;

/** `templateSrv.replace`. */
export type Replace = (text: string, scopedVars: ScopedVars | undefined, format: Formatter) => string;

type Quote = '"' | "'" | '`' | '';

export interface Segment {
  text: string;
  /** The quote of the string literal the text stands in, without the quotes themselves; empty outside. */
  quote: Quote;
}

const MACRO =
  /\$__(?:rate_interval|interval|range)(?:_ms|_s)?(?![A-Za-z0-9_])|\$\{__(?:rate_interval|interval|range)(?:_ms|_s)?(?::[^{}]*)?\}|\[\[__(?:rate_interval|interval|range)(?:_ms|_s)?(?::[^[\]]*)?\]\]/g;

/** Splits an expression into what lies inside and outside string literals; comments count as outside. */
export function splitStrings(expr: string): Segment[] {
  const segments: Segment[] = [];
  let quote: Quote = '';
  let start = 0;
  let comment = false;
  const cut = (end: number) => {
    if (end > start) {
      segments.push({ text: expr.slice(start, end), quote });
    }
    start = end;
  };
  for (let at = 0; at < expr.length; at++) {
    const letter = expr[at];
    if (comment) {
      comment = letter !== '\n';
    } else if (quote === '') {
      if (letter === '#') {
        comment = true;
      } else if (letter === '"' || letter === "'" || letter === '`') {
        cut(at + 1);
        quote = letter;
      }
    } else if (letter === '\\' && quote !== '`') {
      at++;
    } else if (letter === quote) {
      cut(at);
      quote = '';
    }
  }
  cut(expr.length);
  return segments;
}

/** Escapes a text for a place inside a string literal. */
export function escapeString(text: string, quote: Quote): string {
  switch (quote) {
    case '':
    case '`':
      return text;
    case '"':
    case "'":
      return text.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`).replaceAll('\n', '\\n');
  }
}

/** Escapes the signs of RE2. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The formatter for variables in a place with this quote. */
export function formatter(quote: Quote): Formatter {
  return (value, { multi, includeAll }) => {
    const values = (Array.isArray(value) ? value : [value]).map((item) => asText(item));
    const [first = ''] = values;
    if (quote === '') {
      return values.length > 1 ? `(${values.join('|')})` : first;
    }
    const regex = multi === true || includeAll === true || values.length > 1;
    const escaped = values.map((text) => escapeString(regex ? escapeRegex(text) : text, quote));
    return escaped.length > 1 ? `(${escaped.join('|')})` : (escaped[0] ?? '');
  };
}

function asText(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

/** Replaces the template variables of an expression; the time macros stay. */
export function interpolate(expr: string, replace: Replace, scopedVars?: ScopedVars): string {
  return splitStrings(expr)
    .map(({ text, quote }) => aroundMacros(text, (part) => replace(part, scopedVars, formatter(quote)), keepMacro))
    .join('');
}

/** Whether an expression has template variables other than the time macros outside its strings. */
export function hasOpenVariables(expr: string): boolean {
  return splitStrings(expr).some(
    ({ text, quote }) => quote === '' && /\$\{?[A-Za-z_]|\[\[[A-Za-z_]/.test(text.replace(MACRO, ''))
  );
}

/**
 * Writes something of the same length and kind in place of each time macro, so that a parser that knows no macros
 * reports positions that hold in the text the user sees.
 */
export function maskMacros(expr: string): string {
  return expr.replace(MACRO, (macro) => {
    const digits = '1'.repeat(macro.length);
    return /_m?s\W*$/.test(macro) ? digits : `${digits.slice(1)}s`;
  });
}

/** Replaces the time macros where no step exists for the backend to take: in a variable's query. */
export function expandMacros(text: string, range: TimeRange): string {
  const rangeMs = Math.max(range.to.valueOf() - range.from.valueOf(), 1000);
  // A variable has no step. One minute holds samples of every collector; a rate over it never comes out empty.
  const times = { __range: rangeMs, __interval: 60_000, __rate_interval: 60_000 };
  return text.replace(MACRO, (macro) => {
    const [, name = '', form = ''] = /(__(?:range|interval|rate_interval))(_ms|_s)?/.exec(macro) ?? [];
    const ms = times[name as keyof typeof times];
    return form === '_ms' ? String(ms) : `${Math.round(ms / 1000)}${form === '_s' ? '' : 's'}`;
  });
}

function aroundMacros(text: string, replace: (part: string) => string, keep: (macro: string, next: string) => string) {
  let out = '';
  let start = 0;
  for (const match of text.matchAll(MACRO)) {
    const end = match.index + match[0].length;
    out += replace(text.slice(start, match.index)) + keep(match[0], text.slice(end, end + 1));
    start = end;
  }
  return out + replace(text.slice(start));
}

/** Any spelling of a macro as `$name`, or `${name}` where a letter follows. */
function keepMacro(macro: string, next: string): string {
  const name = /__[a-z_]+/.exec(macro)?.[0] ?? '';
  return /[A-Za-z0-9_]/.test(next) ? `\${${name}}` : `$${name}`;
}
