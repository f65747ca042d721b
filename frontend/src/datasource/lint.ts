/**
 * What is wrong with an expression, while it is written. The backend's parser has the last word, since it will evaluate
 * the expression; when it cannot be asked, the grammar in the browser speaks.
 */
import { type Diagnostic } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { LanguageType, promQLLanguage } from '@prometheus-io/codemirror-promql';
import { Parser } from '@prometheus-io/codemirror-promql/dist/esm/parser';

import { type ParseAnswer } from './client';
import { hasOpenVariables, maskMacros } from './templating';

export interface Checker {
  parse: (expr: string) => Promise<ParseAnswer>;
  /** Replaces template variables by their present values. */
  interpolate: (expr: string) => string;
}

const language = promQLLanguage(LanguageType.PromQL);

/** The problems of an expression, in the positions of the text as written. */
export async function problemsOf(expr: string, checker: Checker): Promise<Diagnostic[]> {
  if (expr.trim() === '') {
    return [];
  }
  // A variable outside of strings may stand for anything: only the whole, with values in place, can be checked.
  const open = hasOpenVariables(expr);
  const checked = maskMacros(open ? checker.interpolate(expr) : expr);
  let answer: ParseAnswer;
  try {
    answer = await checker.parse(checked);
  } catch {
    return open ? [] : localProblems(checked);
  }
  if (answer.ok) {
    return [];
  }
  const at = answer.position === undefined || open ? undefined : utf16(checked, answer.position);
  return [{ severity: 'error', message: answer.error, ...extent(expr, at, open ? [] : localProblems(checked)) }];
}

/** What the grammar in the browser finds. */
export function localProblems(expr: string): Diagnostic[] {
  const parser = new Parser(EditorState.create({ doc: expr, extensions: [language] }));
  parser.analyze();
  return parser.getDiagnostics();
}

/** From a position to the end of the word there; without one, where the local grammar stumbles, else everything. */
function extent(expr: string, at: number | null | undefined, local: Diagnostic[]): { from: number; to: number } {
  if (at === undefined || at === null || at > expr.length) {
    const [first] = local;
    return first ? { from: first.from, to: first.to } : { from: 0, to: expr.length };
  }
  const word = /^[\w:.]+|^\S/.exec(expr.slice(at))?.[0] ?? '';
  return word === '' ? { from: Math.max(0, at - 1), to: at } : { from: at, to: at + word.length };
}

/** A byte offset in UTF-8 as an offset in a string. */
function utf16(text: string, bytes: number | null): number | null {
  return bytes === null ? null : new TextDecoder().decode(new TextEncoder().encode(text).slice(0, bytes)).length;
}
