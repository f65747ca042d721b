import { addMatchers, hasMatcher, matcherOf, removeMatchers } from './matchers';

const node = { label: 'instance', operator: '=', value: 'gpu-01' } as const;

describe('adding a matcher to an expression', () => {
  it.each([
    ['up', 'up{instance="gpu-01"}'],
    ['up{}', 'up{instance="gpu-01"}'],
    ['up{job="node"}', 'up{job="node",instance="gpu-01"}'],
    ['up{job="node",}', 'up{job="node",instance="gpu-01"}'],
    ['{__name__="up"}', '{__name__="up",instance="gpu-01"}'],
    ['{__name__=~"a{b"}', '{__name__=~"a{b",instance="gpu-01"}'],
    ['sum by (job) (rate(a[5m])) / b', 'sum by (job) (rate(a{instance="gpu-01"}[5m])) / b{instance="gpu-01"}'],
    ['a{b="sum(c)"} # and d', 'a{b="sum(c)",instance="gpu-01"} # and d'],
    ['a offset 5m', 'a{instance="gpu-01"} offset 5m'],
    ['max_over_time(a[1h:1m] @ end())', 'max_over_time(a{instance="gpu-01"}[1h:1m] @ end())'],
    ['rate(a[$__rate_interval])', 'rate(a{instance="gpu-01"}[$__rate_interval])'],
    ['a[${__range_s}s]', 'a{instance="gpu-01"}[${__range_s}s]'],
    ['vector(1) + time()', 'vector(1) + time()'],
    ['topk by (gpu) (5, DCGM_FI_DEV_GPU_TEMP)', 'topk by (gpu) (5, DCGM_FI_DEV_GPU_TEMP{instance="gpu-01"})'],
    ['a * on (instance) group_left (x) b', 'a{instance="gpu-01"} * on (instance) group_left (x) b{instance="gpu-01"}'],
    ['', ''],
  ])('%s', (expr, expected) => {
    expect(addMatchers(expr, [node])).toBe(expected);
  });

  it('does not repeat what a selector has already', () => {
    expect(addMatchers('up{ instance = "gpu-01" } + up', [node])).toBe(
      'up{ instance = "gpu-01" } + up{instance="gpu-01"}'
    );
  });

  it('keeps an own matcher of the same label: both must hold', () => {
    expect(addMatchers('up{instance=~"gpu-.*"}', [node])).toBe('up{instance=~"gpu-.*",instance="gpu-01"}');
  });

  it('escapes values and quotes names that are no classic label names', () => {
    expect(addMatchers('up', [{ label: 'a.b', operator: '!=', value: 'x"\\y' }])).toBe('up{"a.b"!="x\\"\\\\y"}');
  });

  it('leaves the expression alone without matchers', () => {
    expect(addMatchers('up{', [])).toBe('up{');
  });
});

describe('taking a matcher out again', () => {
  it.each([
    ['up{instance="gpu-01"}', 'up'],
    ['up{job="node", instance="gpu-01"}', 'up{job="node"}'],
    ['up{instance!="gpu-01"}', 'up{instance!="gpu-01"}'],
    ['{__name__="up",instance="gpu-01"}', '{__name__="up"}'],
  ])('%s', (expr, expected) => {
    expect(removeMatchers(expr, [node])).toBe(expected);
  });

  it('is known only when every selector has it', () => {
    expect(hasMatcher('up{instance="gpu-01"}', node)).toBe(true);
    expect(hasMatcher('up{instance="gpu-01"} + up', node)).toBe(false);
    expect(hasMatcher('1 + 1', node)).toBe(false);
  });
});

describe('an ad-hoc filter', () => {
  it.each(['=', '!=', '=~', '!~'])('%s is taken as it is', (operator) => {
    expect(matcherOf({ key: 'job', operator, value: 'a.*' })).toEqual({ label: 'job', operator, value: 'a.*' });
  });

  it('that names several values becomes a regular expression of exactly them', () => {
    expect(matcherOf({ key: 'job', operator: '=|', value: 'a.b', values: ['a.b', 'c'] })).toEqual({
      label: 'job',
      operator: '=~',
      value: 'a\\.b|c',
    });
    expect(matcherOf({ key: 'job', operator: '!=|', value: 'c', values: ['c'] })?.operator).toBe('!~');
  });

  it('that PromQL cannot express is left out', () => {
    expect(matcherOf({ key: 'job', operator: '<', value: '1' })).toBeUndefined();
    expect(matcherOf({ key: '', operator: '=', value: '' })).toBeUndefined();
  });
});
