/**
 * A variable's query. It is stored as the text Prometheus's variables have always been written in, so that a dashboard
 * made for Prometheus needs no change; the editor's fields are read from that text and written back to it.
 *
 * | text | values |
 * | --- | --- |
 * | `label_names()`, `label_names(part)` | label names, of the metrics whose name contains `part` |
 * | `label_values(label)`, `label_values(selector, label)` | values of a label |
 * | `metrics(regex)` | metric names |
 * | `query_result(expr)` | `name{label="value"} value time` of each result |
 * | anything else: a selector | the series it selects |
 */
import { type DataQuery } from '@grafana/schema';

export interface VariableQuery extends DataQuery {
  query: string;
}

export type VariableKind = 'label_names' | 'label_values' | 'metrics' | 'query_result' | 'series';

export type ParsedVariable =
  | { kind: 'label_names'; part: string }
  | { kind: 'label_values'; selector: string; label: string }
  | { kind: 'metrics'; regex: string }
  | { kind: 'query_result'; expr: string }
  | { kind: 'series'; selector: string };

/** The text of a stored query: a string, ours, or one of the object forms of Grafana's Prometheus datasource. */
export function textOf(stored: unknown): string {
  if (typeof stored === 'string') {
    return stored;
  }
  if (typeof stored === 'object' && stored !== null) {
    for (const key of ['query', 'expr', 'definition']) {
      const value = (stored as Record<string, unknown>)[key];
      if (typeof value === 'string' && value.trim() !== '') {
        return value;
      }
    }
  }
  return '';
}

export function parseVariable(text: string): ParsedVariable {
  const trimmed = text.trim();
  const call = /^(label_names|label_values|metrics|query_result)\s*\(([\s\S]*)\)$/.exec(trimmed);
  const inside = call?.[2]?.trim() ?? '';
  switch (call?.[1]) {
    case 'label_names':
      return { kind: 'label_names', part: inside };
    case 'label_values': {
      const { selector, label } = splitLabelValues(inside);
      return { kind: 'label_values', selector, label };
    }
    case 'metrics':
      return { kind: 'metrics', regex: inside };
    case 'query_result':
      return { kind: 'query_result', expr: inside };
    default:
      return { kind: 'series', selector: trimmed };
  }
}

/** The label is what follows the last comma outside of braces and strings; `{}` is no selector. */
function splitLabelValues(inside: string): { selector: string; label: string } {
  let depth = 0;
  let quote = '';
  let comma = -1;
  for (let at = 0; at < inside.length; at++) {
    const letter = inside.charAt(at);
    if (quote !== '') {
      if (letter === '\\' && quote !== '`') {
        at++;
      } else if (letter === quote) {
        quote = '';
      }
    } else if (letter === '"' || letter === "'" || letter === '`') {
      quote = letter;
    } else if ('{(['.includes(letter)) {
      depth++;
    } else if ('})]'.includes(letter)) {
      depth--;
    } else if (letter === ',' && depth === 0) {
      comma = at;
    }
  }
  const selector = comma < 0 ? '' : inside.slice(0, comma).trim();
  const label = inside.slice(comma + 1).trim();
  return { selector: /^\{\s*\}$/.test(selector) ? '' : selector, label: unquote(label) };
}

function unquote(label: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(label);
  return quoted ? (quoted[1] ?? '').replace(/\\(["\\])/g, '$1') : label;
}

export function writeVariable(variable: ParsedVariable): string {
  switch (variable.kind) {
    case 'label_names':
      return `label_names(${variable.part})`;
    case 'label_values': {
      const label = /^[\w${}:]*$/.test(variable.label) ? variable.label : JSON.stringify(variable.label);
      return variable.selector === '' ? `label_values(${label})` : `label_values(${variable.selector}, ${label})`;
    }
    case 'metrics':
      return `metrics(${variable.regex})`;
    case 'query_result':
      return `query_result(${variable.expr})`;
    case 'series':
      return variable.selector;
  }
}

/** The same question under another kind: what is written is kept where it means something there. */
export function changeKind(variable: ParsedVariable, kind: VariableKind): ParsedVariable {
  const selector =
    'selector' in variable ? variable.selector : variable.kind === 'query_result' ? variable.expr : '';
  switch (kind) {
    case 'label_names':
      return { kind, part: '' };
    case 'label_values':
      return { kind, selector: variable.kind === 'query_result' ? '' : selector, label: '' };
    case 'metrics':
      return { kind, regex: '' };
    case 'query_result':
      return { kind, expr: selector };
    case 'series':
      return { kind, selector: variable.kind === 'query_result' ? '' : selector };
  }
}

/** Whether there is enough to ask. */
export function isComplete(variable: ParsedVariable): boolean {
  switch (variable.kind) {
    case 'label_names':
      return true;
    case 'label_values':
      return variable.label !== '';
    case 'metrics':
      return variable.regex !== '';
    case 'query_result':
      return variable.expr !== '';
    case 'series':
      return variable.selector !== '';
  }
}
