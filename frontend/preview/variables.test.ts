import { ALL, type Choice, interpolate, parseLabelValues, render } from './variables';

function choice(change: Partial<Choice> & { multi?: boolean; allValue?: string }): Choice {
  const { multi, allValue, ...rest } = change;
  return {
    variable: { name: 'node', type: 'query', ...(multi === undefined ? {} : { multi }), ...(allValue === undefined ? {} : { allValue }) },
    options: ['n1', 'n2'],
    chosen: ['n1'],
    ...rest,
  };
}

test('label_values is taken apart with and without a selector', () => {
  expect(parseLabelValues('label_values(gpu)')).toEqual({ label: 'gpu' });
  expect(parseLabelValues('label_values(up{a="b,c"}, gpu)')).toEqual({ selector: 'up{a="b,c"}', label: 'gpu' });
  expect(parseLabelValues('query_result(up)')).toBeUndefined();
});

test('all is the variable’s own all-value, else every option', () => {
  expect(render(choice({ chosen: [ALL], multi: true, allValue: '.*' }))).toBe('.*');
  expect(render(choice({ chosen: [ALL], multi: true }))).toBe('(n1|n2)');
});

test('values of a multi-value variable are escaped for a quoted regular expression', () => {
  expect(render(choice({ chosen: ['a.b'], multi: true }))).toBe('a\\\\.b');
  expect(render(choice({ chosen: ['a.b'] }))).toBe('a.b');
});

test('known names are replaced and the backend’s macros stay', () => {
  const choices = new Map([['node', choice({})]]);
  expect(interpolate('rate(x{i="$node",j="${node:regex}"}[$__rate_interval])', choices)).toBe(
    'rate(x{i="n1",j="n1"}[$__rate_interval])'
  );
});
