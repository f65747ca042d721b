import { CoreApp } from '@grafana/data';

import { limitProblem, modeOf, selectorProblem, switchMode } from './events';
import { type FleetQuery } from './types';

describe('switching between PromQL and events', () => {
  const up: FleetQuery = { refId: 'A', expr: 'up', range: true, legendFormat: '__auto', hide: false };

  it('keeps what both kinds have and nothing else', () => {
    const events = switchMode(up, 'events', CoreApp.PanelEditor);
    expect(events).toEqual({
      refId: 'A',
      hide: false,
      queryType: 'events',
      expr: '{kind=~"incident|change|alarm"}',
      format: 'table',
    });
    expect(modeOf(events)).toBe('events');
    expect(switchMode(events, 'promql')).toEqual({ refId: 'A', hide: false, expr: '', range: true, legendFormat: '__auto' });
    expect(switchMode(up, 'promql')).toBe(up);
  });

  it('chooses the form by the place', () => {
    expect(switchMode(up, 'events', CoreApp.Explore).format).toBe('logs');
    expect(switchMode({ ...up, refId: 'Anno' }, 'events').format).toBe('annotations');
  });
});

describe('a selector', () => {
  it.each(['', '{}', '{kind="change", a=~`x|y`,} |= "pre\\"fetch" !~ \'q\'', '|~ "x"', '{kind="$kind"}', '$selector'])(
    'is fine: %s',
    (text) => {
      expect(selectorProblem(text)).toBeUndefined();
    }
  );

  it.each(['kind="a"', '{kind}', '{kind="a}', '{kind="a"} prefetch', '{kind="a"', '{} |= prefetch'])('is none: %s', (text) => {
    expect(selectorProblem(text)).toContain('label matchers in braces');
  });
});

describe('a limit', () => {
  it('is a whole number the backend takes', () => {
    expect(['', '1', '10000'].map(limitProblem)).toEqual([undefined, undefined, undefined]);
    expect(limitProblem('0')).toBe('Must be a whole number from 1 to 10000');
    expect(limitProblem('x')).toBeDefined();
  });
});
