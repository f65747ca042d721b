/** Dashboard variables: finding their values and putting them into queries, as Grafana does for our datasource. */
import { parseTime, type Range } from './time';
import type { Dashboard, Variable } from './model';
import { labelValues } from './api';

/** The value that stands for all values. */
export const ALL = '$__all';

export interface Choice {
  variable: Variable;
  /** Values on offer. */
  options: string[];
  /** Values chosen; `[ALL]` for all. */
  chosen: string[];
  error?: string;
}

export type Choices = ReadonlyMap<string, Choice>;

/** `label_values(selector, label)` or `label_values(label)`, taken apart. */
export function parseLabelValues(query: string): { selector?: string; label: string } | undefined {
  const inside = /^\s*label_values\(\s*(?:([\s\S]*),\s*)?([a-zA-Z_][a-zA-Z0-9_]*)\s*\)\s*$/.exec(query);
  const label = inside?.[2];
  if (label === undefined) {
    return undefined;
  }
  const selector = inside?.[1]?.trim();
  return selector === undefined || selector === '' ? { label } : { selector, label };
}

/** Escapes a value for use inside a PromQL regular expression in double quotes. */
function escapeRegex(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/\\/g, '\\\\');
}

/** What a variable stands for in a query text. */
export function render(choice: Choice): string {
  const { variable, chosen, options } = choice;
  if (chosen.includes(ALL)) {
    return variable.allValue ?? `(${options.map(escapeRegex).join('|')})`;
  }
  if (variable.multi === true) {
    const parts = chosen.map(escapeRegex);
    return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join('|')})`;
  }
  return chosen[0] ?? '';
}

/** Replaces `$name`, `${name}` and `${name:format}`; the backend's own `$__...` macros stay. */
export function interpolate(text: string, choices: Choices): string {
  return text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole: string, braced?: string, bare?: string) => {
    const choice = choices.get(braced ?? bare ?? '');
    return choice === undefined ? whole : render(choice);
  });
}

/** Fills the variables in order, since a later one may use an earlier one; `search` is the page's query string. */
export async function resolve(dashboard: Dashboard, range: Range, search: URLSearchParams): Promise<Choices> {
  const choices = new Map<string, Choice>();
  for (const variable of dashboard.templating?.list ?? []) {
    const choice: Choice = { variable, options: [], chosen: [] };
    if (variable.type === 'datasource') {
      choice.options = ['podscope'];
    } else if (variable.type === 'query') {
      const text = typeof variable.query === 'string' ? variable.query : '';
      const parsed = parseLabelValues(interpolate(text, choices));
      if (parsed === undefined) {
        choice.error = `the preview does not know the query ${JSON.stringify(variable.query)}`;
      } else {
        try {
          choice.options = await labelValues(parsed.label, parsed.selector, parseTime(range));
        } catch (error) {
          choice.error = error instanceof Error ? error.message : String(error);
        }
      }
    } else {
      choice.options = (variable.options ?? []).map(({ value }) => value);
    }
    const wanted = search.getAll(`var-${variable.name}`).filter((value) => value === ALL || choice.options.includes(value));
    const byDefault = variable.includeAll === true ? [ALL] : choice.options.slice(0, 1);
    choice.chosen = wanted.length > 0 ? wanted : byDefault;
    choices.set(variable.name, choice);
  }
  return choices;
}
