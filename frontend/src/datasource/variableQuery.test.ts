import { changeKind, isComplete, parseVariable, textOf, writeVariable } from './variableQuery';

describe('the text of a variable query', () => {
  it.each([
    ['label_names()', { kind: 'label_names', part: '' }],
    ['label_names(gpu)', { kind: 'label_names', part: 'gpu' }],
    ['label_values(Hostname)', { kind: 'label_values', selector: '', label: 'Hostname' }],
    ['label_values(up, instance)', { kind: 'label_values', selector: 'up', label: 'instance' }],
    ['label_values(up,instance) ', { kind: 'label_values', selector: 'up', label: 'instance' }],
    ['label_values({}, instance)', { kind: 'label_values', selector: '', label: 'instance' }],
    [
      'label_values(DCGM_FI_DEV_GPU_TEMP{Hostname=~"a,b", gpu="0"}, UUID)',
      { kind: 'label_values', selector: 'DCGM_FI_DEV_GPU_TEMP{Hostname=~"a,b", gpu="0"}', label: 'UUID' },
    ],
    ['label_values(up{a=")"}, b)', { kind: 'label_values', selector: 'up{a=")"}', label: 'b' }],
    ['label_values(up, "a.b")', { kind: 'label_values', selector: 'up', label: 'a.b' }],
    ['label_values(up, $label)', { kind: 'label_values', selector: 'up', label: '$label' }],
    ['metrics(node_.*)', { kind: 'metrics', regex: 'node_.*' }],
    ['query_result(topk(5, sum by (gpu) (up)))', { kind: 'query_result', expr: 'topk(5, sum by (gpu) (up))' }],
    ['up{job="node"}', { kind: 'series', selector: 'up{job="node"}' }],
    ['label_values_total', { kind: 'series', selector: 'label_values_total' }],
    ['', { kind: 'series', selector: '' }],
  ])('%s', (text, expected) => {
    expect(parseVariable(text)).toEqual(expected);
  });

  it.each([
    'label_names()',
    'label_values(instance)',
    'label_values(up{job="node"}, instance)',
    'label_values(up, ${label})',
    'label_values(up, "a.b")',
    'metrics(node_.*)',
    'query_result(sum by (gpu) (up))',
    'up{job="node"}',
  ])('%s is written as it was read', (text) => {
    expect(writeVariable(parseVariable(text))).toBe(text);
  });

  it('is found in every form it is stored in', () => {
    expect(textOf('label_values(up, job)')).toBe('label_values(up, job)');
    expect(textOf({ query: 'metrics(a)', refId: 'x' })).toBe('metrics(a)');
    expect(textOf({ qryType: 1, query: 'label_values(job)', refId: 'PrometheusVariableQueryEditor-VariableQuery' })).toBe(
      'label_values(job)'
    );
    expect(textOf({ expr: 'up', refId: 'A' })).toBe('up');
    expect(textOf(undefined)).toBe('');
    expect(textOf({})).toBe('');
  });

  it('is complete when there is something to ask', () => {
    for (const text of ['label_names()', 'label_values(a)', 'metrics(a)', 'query_result(a)', 'a']) {
      expect(isComplete(parseVariable(text))).toBe(true);
    }
    for (const text of ['label_values()', 'label_values(up, )', 'metrics()', 'query_result()', '']) {
      expect(isComplete(parseVariable(text))).toBe(false);
    }
  });

  it('keeps what is written when its kind changes and that means something', () => {
    expect(changeKind(parseVariable('label_values(up, job)'), 'series')).toEqual({ kind: 'series', selector: 'up' });
    expect(changeKind(parseVariable('up'), 'label_values')).toEqual({ kind: 'label_values', selector: 'up', label: '' });
    expect(changeKind(parseVariable('metrics(a)'), 'query_result')).toEqual({ kind: 'query_result', expr: '' });
  });
});
