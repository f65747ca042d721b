import { type ScopedVars } from '@grafana/data';

import {
  type Formatter,
  type VariableTraits,
  hasOpenVariables,
  interpolate,
  maskMacros,
  splitStrings,
} from './templating';

interface Variable extends VariableTraits {
  value: unknown;
}

/** Grafana's `templateSrv.replace` in small: `$name`, `${name}` and `${name:format}`. */
function replaceWith(variables: Record<string, Variable>) {
  return (text: string, scopedVars: ScopedVars | undefined, format: Formatter) =>
    text.replace(/\$(?:(\w+)|\{(\w+)(?::(\w+))?\})/g, (whole, plain?: string, braced?: string, named?: string) => {
      const name = plain ?? braced ?? '';
      const scoped = scopedVars?.[name];
      const variable = scoped === undefined ? variables[name] : { value: scoped.value as unknown };
      if (variable === undefined) {
        return whole;
      }
      return named === 'raw' ? String(variable.value) : format(variable.value, variable);
    });
}

function expand(expr: string, variables: Record<string, Variable>, scopedVars?: ScopedVars) {
  return interpolate(expr, replaceWith(variables), scopedVars);
}

describe('template variables in PromQL', () => {
  it('takes a single value as it is', () => {
    expect(expand('up{instance="$node"}', { node: { value: 'gpu-01.rack:9477' } })).toBe(
      'up{instance="gpu-01.rack:9477"}'
    );
  });

  it('joins several values into a regular expression that matches exactly them', () => {
    expect(expand('up{instance=~"$node"}', { node: { value: ['gpu-01.a', 'gpu-02'], multi: true } })).toBe(
      'up{instance=~"(gpu-01\\\\.a|gpu-02)"}'
    );
  });

  it('escapes one value of a variable that may hold several', () => {
    expect(expand('up{instance=~"$node"}', { node: { value: ['a.b'], multi: true } })).toBe(
      'up{instance=~"a\\\\.b"}'
    );
    expect(expand('up{instance=~"$node"}', { node: { value: 'a.b', includeAll: true } })).toBe(
      'up{instance=~"a\\\\.b"}'
    );
  });

  it('escapes quotes and backslashes for the string they stand in', () => {
    const variables = { disk: { value: 'C:\\"x\' `y`' } };
    expect(expand('a{d="$disk"}', variables)).toBe('a{d="C:\\\\\\"x\' `y`"}');
    expect(expand("a{d='$disk'}", variables)).toBe("a{d='C:\\\\\"x\\' `y`'}");
    expect(expand('a{d=`$disk`}', { disk: { value: 'C:\\d' } })).toBe('a{d=`C:\\d`}');
  });

  it('escapes a regular expression once in a raw string', () => {
    expect(expand('a{d=~`$d`}', { d: { value: ['a.b', 'c'], multi: true } })).toBe('a{d=~`(a\\.b|c)`}');
  });

  it('takes a value outside of strings as it is', () => {
    expect(expand('rate($metric[5m])', { metric: { value: 'a{b="c"}' } })).toBe('rate(a{b="c"}[5m])');
    expect(expand('topk($k, up)', { k: { value: ['5'], multi: true } })).toBe('topk(5, up)');
  });

  it('leaves explicit formats to Grafana', () => {
    expect(expand('up{instance=~"${node:raw}"}', { node: { value: 'a.*', multi: true } })).toBe(
      'up{instance=~"a.*"}'
    );
  });

  it('uses scoped variables of a repeated panel', () => {
    expect(expand('up{instance="$node"}', {}, { node: { text: 'n', value: 'gpu-07' } })).toBe(
      'up{instance="gpu-07"}'
    );
  });

  it('leaves the time macros to the backend, in every spelling', () => {
    const scoped = { __interval: { text: '15s', value: '15s' }, __range: { text: '1h', value: '1h' } };
    const cases = [
      ['rate(a[$__rate_interval])', 'rate(a[$__rate_interval])'],
      ['rate(a[${__rate_interval}])', 'rate(a[$__rate_interval])'],
      ['rate(a[[[__interval]]])', 'rate(a[$__interval])'],
      ['avg_over_time(a[$__range:$__interval])', 'avg_over_time(a[$__range:$__interval])'],
      ['a[${__range_s}s]', 'a[${__range_s}s]'],
      ['a / $__interval_ms + $__range_ms + $__range_s', 'a / $__interval_ms + $__range_ms + $__range_s'],
    ];
    for (const [expr = '', expected] of cases) {
      expect(expand(expr, {}, scoped)).toBe(expected);
    }
  });

  it('replaces a variable that only begins like a macro', () => {
    expect(expand('a[$__interval_of_mine]', { __interval_of_mine: { value: '3m' } })).toBe('a[3m]');
  });
});

describe('splitting an expression at its strings', () => {
  it('sees escapes, all three quotes and comments', () => {
    const expr = 'a{b="x\\"y", c=\'z\'} # don\'t\n + `r`';
    expect(splitStrings(expr).map(({ text, quote }) => [quote, text])).toEqual([
      ['', 'a{b="'],
      ['"', 'x\\"y'],
      ['', '", c=\''],
      ["'", 'z'],
      ['', "'} # don't\n + `"],
      ['`', 'r'],
      ['', '`'],
    ]);
  });

  it('loses nothing', () => {
    for (const expr of ['', 'a', '"', 'a{b="c', '""', "a{b='\\", '# "']) {
      expect(
        splitStrings(expr)
          .map(({ text }) => text)
          .join('')
      ).toBe(expr);
    }
  });
});

describe('what the editor checks', () => {
  it('masks macros by something of the same length and kind', () => {
    expect(maskMacros('rate(a[$__rate_interval])')).toBe('rate(a[111111111111111s])');
    expect(maskMacros('a[${__range_s}s]')).toBe('a[111111111111s]');
    expect(maskMacros('a / $__interval_ms')).toBe('a / 11111111111111');
  });

  it('knows variables outside of strings from macros and from variables inside', () => {
    expect(hasOpenVariables('rate(a{b="$c"}[$__rate_interval])')).toBe(false);
    expect(hasOpenVariables('rate($metric[5m])')).toBe(true);
    expect(hasOpenVariables('rate(a[[[window]]])')).toBe(true);
  });
});
