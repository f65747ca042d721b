/** Checks of the settings page: the same rules as the backend's `src/settings.rs`, said while one types. */
import { type FleetOptions, type Target } from './types';

/** What is wrong with a node's URL; `undefined` when nothing is. Empty is not wrong: a row not yet filled in. */
export function urlProblem(text: string): string | undefined {
  const url = text.trim();
  if (url === '') {
    return undefined;
  }
  if (!url.includes('://')) {
    return `The scheme is missing: write http://${url} or https://${url}`;
  }
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return 'This is not a URL. Example: http://gpu-01:9477';
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    return `Agents speak http and https, not ${parsed.protocol.replace(':', '')}`;
  }
  if (parsed.username !== '' || parsed.password !== '') {
    return 'Credentials do not belong in the URL, it is stored in clear: use the bearer token below';
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    return 'A node is an address without a query: remove everything from the first ? or #';
  }
  return undefined;
}

/** What is wrong with a store's name; `others` are those before it. */
export function storeNameProblem(name: string, others: readonly { name: string }[]): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) {
    return 'A store is named with letters, digits, - and _';
  }
  return others.some((other) => other.name === name) ? `There is another store named ${name}` : undefined;
}

/** Reads `cluster=a, rack="b 1"`; commas and quotes inside quotes are the value's own. */
export function parseLabels(text: string): { labels: Record<string, string> } | { problem: string } {
  const labels: Record<string, string> = {};
  let rest = text.trim();
  while (rest !== '') {
    const pair = /^([^\s=,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,"]*))\s*(?:,\s*|$)/.exec(rest);
    const [whole = '', name = '', quoted, plain = ''] = pair ?? [];
    if (name === '') {
      return { problem: `Write labels as name=value, name=value; this is not one: ${rest}` };
    }
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      return { problem: `A label name has letters, digits and _ only and begins with no digit: ${name}` };
    }
    if (name === '__name__' || name === 'instance' || name === 'job') {
      return { problem: `${name} is set by Podscope itself${name === 'instance' ? ': use the column Instance' : ''}` };
    }
    if (name in labels) {
      return { problem: `${name} is given twice` };
    }
    labels[name] = quoted?.replace(/\\(.)/g, '$1') ?? plain.trim();
    rest = rest.slice(whole.length);
  }
  return { labels };
}

export function writeLabels(labels: Record<string, string> = {}): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${/[",\s]/.test(value) || value === '' ? JSON.stringify(value) : value}`)
    .join(', ');
}

/**
 * The nodes in a pasted text: one URL a line (`#` begins a comment), or the JSON of Prometheus's file service
 * discovery. Addresses without a scheme get `http://`.
 */
export function pastedTargets(text: string): Target[] {
  const trimmed = text.trim();
  if (trimmed.startsWith('[')) {
    try {
      return fileSd(JSON.parse(trimmed));
    } catch {
      return [];
    }
  }
  return trimmed
    .split(/[\n,]/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => ({ url: withScheme(line) }));
}

function fileSd(groups: unknown): Target[] {
  if (!Array.isArray(groups)) {
    return [];
  }
  return groups.flatMap((group: unknown) => {
    const { targets, labels } = (group ?? {}) as { targets?: unknown; labels?: unknown };
    const { instance, job: _job, ...others } = textValues(labels);
    return (Array.isArray(targets) ? targets : [])
      .filter((target): target is string => typeof target === 'string')
      .map((target) => ({
        url: withScheme(target),
        ...(instance !== undefined && { instance }),
        ...(Object.keys(others).length > 0 && { labels: others }),
      }));
  });
}

function textValues(labels: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries((labels ?? {}) as Record<string, unknown>).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string' && !pair[0].startsWith('__')
    )
  );
}

function withScheme(address: string): string {
  return address.includes('://') ? address : `http://${address}`;
}

/** What is wrong with a list of nodes, by row. */
export function targetProblems(targets: readonly Target[]): (string | undefined)[] {
  const address = ({ url }: Target) => url.trim().replace(/\/+$/, '').toLowerCase();
  return targets.map((target, at) => {
    const problem = urlProblem(target.url);
    if (problem !== undefined || target.url.trim() === '') {
      return problem;
    }
    const first = targets.findIndex((other) => address(other) === address(target));
    if (first < at) {
      return `The same node as in row ${first + 1}`;
    }
    const instance = target.instance?.trim();
    const namesake = targets.findIndex((other) => instance && other.instance?.trim() === instance);
    return namesake >= 0 && namesake < at ? `Row ${namesake + 1} has the same instance name` : undefined;
  });
}

/** Number settings with their bounds. */
export const NUMBERS = {
  timeoutMs: { least: 100, most: 600_000, whole: true },
  connectTimeoutMs: { least: 10, most: 600_000, whole: true },
  completeness: { least: 0, most: 1, whole: false },
  maxCells: { least: 0, most: 1e9, whole: true },
  lookbackMs: { least: 1, most: 86_400_000, whole: true },
} as const;

export type NumberSetting = keyof typeof NUMBERS;

export function numberProblem(setting: NumberSetting, value: number | undefined): string | undefined {
  const { least, most, whole } = NUMBERS[setting];
  if (value === undefined) {
    return undefined;
  }
  if (!Number.isFinite(value)) {
    return 'This is not a number';
  }
  if (value < least || value > most) {
    return `Must be between ${least} and ${most}`;
  }
  return whole && !Number.isInteger(value) ? 'Must be a whole number' : undefined;
}

/** What is wrong with a duration such as `15s` or `1m30s`. */
export function durationProblem(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? '';
  return trimmed === '' || /^(\d+(\.\d+)?(ms|s|m|h|d|w|M|y))+$/.test(trimmed)
    ? undefined
    : 'Must be a duration such as 15s, 1m or 1h30m';
}

/** Reads `login = user` lines; `#` begins a comment. */
export function parsePeople(text: string): { people: Record<string, string> } | { problem: string } {
  const people: Record<string, string> = {};
  for (const line of text.split('\n').map((each) => each.replace(/#.*/, '').trim())) {
    if (line === '') {
      continue;
    }
    const at = line.indexOf('=');
    const [person, user] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    if (at < 0 || person === '' || user === '') {
      return { problem: `Write login = user, one a line; this is not one: ${line}` };
    }
    if (person in people) {
      return { problem: `${person} is given twice` };
    }
    people[person] = user;
  }
  return { people };
}

export function writePeople(people: Record<string, string> = {}): string {
  return Object.entries(people)
    .map(([person, user]) => `${person} = ${user}`)
    .join('\n');
}

/** What is wrong with an entry of the public metrics; empty is not wrong. */
export function publicMetricProblem(name: string): string | undefined {
  return name === '' || /^[a-zA-Z0-9_:]+\*?$/.test(name)
    ? undefined
    : `Write a metric's name, or the beginning of one and a * at its end: ${name}`;
}

/** How many nodes a datasource names, in all three places one may write them. */
export function targetCount(options: FleetOptions, url: string): number {
  const lines = (options.urls ?? '').split(/[\n,]/).filter((line) => line.replace(/#.*/, '').trim() !== '');
  const rows = (options.targets ?? []).filter((target) => target.url.trim() !== '');
  return rows.length + lines.length + (url.trim() === '' ? 0 : 1);
}
