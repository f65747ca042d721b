import { CompletionContext } from '@codemirror/autocomplete';
import { EditorState } from '@codemirror/state';
import { LanguageType, promQLLanguage } from '@prometheus-io/codemirror-promql';

import { FleetClient } from './client';
import { CompletionSource, completePromql } from './completion';

const ANSWERS: Record<string, unknown> = {
  'api/v1/label/__name__/values': ['node_load1', 'up'],
  'api/v1/labels': ['instance', 'job'],
  'api/v1/label/instance/values': ['gpu-01', 'gpu-02'],
  'api/v1/metadata': { node_load1: [{ type: 'gauge', help: '1m load average.' }] },
  functions: ['rate', 'avg_over_time'],
};

function source(answers: Record<string, unknown> = ANSWERS) {
  const asked: [string, Record<string, unknown> | undefined][] = [];
  const states: (string | undefined)[] = [];
  let now = 0;
  const client = new FleetClient((path, params) => {
    asked.push([path, params]);
    if (!(path in answers)) {
      return Promise.reject(new Error(`cannot reach the backend for ${path}`));
    }
    const data = answers[path];
    return Promise.resolve(path === 'functions' ? data : { status: 'success', data });
  });
  const completion = new CompletionSource(
    client,
    (selector) => selector.replace('$node', 'gpu-01'),
    () => undefined,
    (error) => states.push(error),
    () => now
  );
  return { completion, asked, states, later: (ms: number) => (now += ms) };
}

/** What is offered at the end of a text. */
async function offered(text: string, completion: CompletionSource, at = text.length): Promise<string[]> {
  const state = EditorState.create({ doc: text, extensions: [promQLLanguage(LanguageType.PromQL)] });
  const result = await completePromql(completion, () => ['node'])(new CompletionContext(state, at, true));
  return result?.options.map(({ label }) => label) ?? [];
}

describe('completion', () => {
  it('offers metrics and the functions the backend knows', async () => {
    const options = await offered('ra', source().completion);
    expect(options).toEqual(expect.arrayContaining(['node_load1', 'up', 'rate', 'avg_over_time', 'sum']));
    expect(options).not.toContain('holt_winters');
    expect(options).not.toContain('irate');
  });

  it('offers labels of the metric and values of the label', async () => {
    const { completion, asked } = source();
    expect(await offered('up{}', completion, 3)).toEqual(expect.arrayContaining(['instance', 'job']));
    expect(await offered('up{job="x",instance="$node"}', completion, 'up{job="x",instance="'.length)).toEqual(
      expect.arrayContaining(['gpu-01', 'gpu-02'])
    );
    expect(asked).toContainEqual(['api/v1/labels', { 'match[]': ['{__name__="up"}'] }]);
    expect(asked).toContainEqual(['api/v1/label/instance/values', { 'match[]': ['{__name__="up",job="x"}'] }]);
  });

  it('offers variables and macros behind a dollar sign', async () => {
    expect(await offered('rate(up[$__', source().completion)).toEqual(
      expect.arrayContaining(['$node', '$__rate_interval', '$__interval'])
    );
  });

  it('asks once a minute', async () => {
    const { completion, asked, later } = source();
    await completion.metricNames();
    await completion.metricNames();
    expect(asked).toHaveLength(1);
    later(60_001);
    await completion.metricNames();
    expect(asked).toHaveLength(2);
  });

  it('says why there are no names, and asks again', async () => {
    const { completion, asked, states } = source({});
    expect(await completion.metricNames()).toEqual([]);
    await completion.metricNames();
    expect(asked).toHaveLength(2);
    expect(states[0]).toBe('cannot reach the backend for api/v1/label/__name__/values');
  });
});
