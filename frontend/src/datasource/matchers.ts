/**
 * Label matchers added to every selector of an expression: ad-hoc filters, and Explore's "filter for value". The
 * expression is parsed, so that matchers land in selectors only, never in strings, comments or `by (...)` lists.
 */
import { type AdHocVariableFilter } from '@grafana/data';
import { LabelMatchers, VectorSelector, parser } from '@prometheus-io/lezer-promql';

import { escapeRegex, escapeString, maskMacros } from './templating';

export type MatchOperator = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  label: string;
  operator: MatchOperator;
  value: string;
}

/** The matcher of one ad-hoc filter; `undefined` for one that is still being written or has no meaning in PromQL. */
export function matcherOf(filter: AdHocVariableFilter): Matcher | undefined {
  const { key: label, operator, value } = filter;
  if (label === '') {
    return undefined;
  }
  const oneOf = () => (filter.values ?? [value]).map(escapeRegex).join('|');
  switch (operator) {
    case '=':
    case '!=':
    case '=~':
    case '!~':
      return { label, operator, value };
    // "One of" and "not one of".
    case '=|':
      return { label, operator: '=~', value: oneOf() };
    case '!=|':
      return { label, operator: '!~', value: oneOf() };
    default:
      return undefined;
  }
}

/** `label="value"`; a label that is no classic name is quoted, as Prometheus 3 writes it. */
export function writeMatcher({ label, operator, value }: Matcher): string {
  const name = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) ? label : `"${escapeString(label, '"')}"`;
  return `${name}${operator}"${escapeString(value, '"')}"`;
}

/** Where the selectors of an expression are: the end of the name, and of the braces if there are any. */
function selectors(expr: string): { from: number; to: number; braces?: { from: number; to: number } }[] {
  const found: { from: number; to: number; braces?: { from: number; to: number } }[] = [];
  parser.parse(maskMacros(expr)).iterate({
    enter: (node) => {
      if (node.type.id !== VectorSelector) {
        return true;
      }
      const braces = node.node.getChild(LabelMatchers);
      found.push({ from: node.from, to: node.to, braces: braces ? { from: braces.from, to: braces.to } : undefined });
      return false;
    },
  });
  return found;
}

/** Adds matchers to every selector; one that a selector already has, word for word, is not repeated. */
export function addMatchers(expr: string, matchers: readonly Matcher[]): string {
  if (matchers.length === 0) {
    return expr;
  }
  let out = expr;
  // From the end, so that earlier positions hold.
  for (const { to, braces } of selectors(expr).reverse()) {
    const inside = braces ? expr.slice(braces.from + 1, braces.to - 1) : '';
    const missing = matchers.map(writeMatcher).filter((text) => !insideMatchers(inside).includes(text));
    if (missing.length === 0) {
      continue;
    }
    const added = missing.join(',');
    if (braces === undefined) {
      out = `${out.slice(0, to)}{${added}}${out.slice(to)}`;
    } else {
      const kept = inside.trim().replace(/,$/, '');
      const all = kept === '' ? added : `${kept},${added}`;
      out = `${out.slice(0, braces.from)}{${all}}${out.slice(braces.to)}`;
    }
  }
  return out;
}

/** Takes matchers out again, wherever they stand word for word. */
export function removeMatchers(expr: string, matchers: readonly Matcher[]): string {
  const unwanted = new Set(matchers.map(writeMatcher));
  let out = expr;
  for (const { from, braces } of selectors(expr).reverse()) {
    if (braces === undefined) {
      continue;
    }
    const kept = insideMatchers(expr.slice(braces.from + 1, braces.to - 1)).filter((text) => !unwanted.has(text));
    // `{}` selects nothing legal unless a name stands before it.
    const written = kept.length === 0 && braces.from > from ? '' : `{${kept.join(',')}}`;
    out = out.slice(0, braces.from) + written + out.slice(braces.to);
  }
  return out;
}

/** Whether every selector has the matcher. */
export function hasMatcher(expr: string, matcher: Matcher): boolean {
  const found = selectors(expr);
  const text = writeMatcher(matcher);
  return (
    found.length > 0 &&
    found.every(({ braces }) => braces && insideMatchers(expr.slice(braces.from + 1, braces.to - 1)).includes(text))
  );
}

/** The matchers between braces, each normalised to `label="value"` where it is written otherwise. */
function insideMatchers(inside: string): string[] {
  const pattern = /\s*((?:"(?:[^"\\]|\\.)*"|[\w.:]+)\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|"(?:[^"\\]|\\.)*")\s*(?:,|$)/gy;
  return Array.from(inside.matchAll(pattern), (match) =>
    (match[1] ?? '').replace(/^("(?:[^"\\]|\\.)*"|[\w.:]+)\s*(=~|!~|!=|=)\s*/, '$1$2')
  );
}
