import { fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';

import { type FleetDataSource } from '../datasource';
import { type FleetQuery } from '../types';
import { type Props } from './PromqlField';
import { QueryEditor } from './QueryEditor';
import { cellsOf, flagsOf, kindOf, legendOf, stepProblem, summary } from './options';

/** CodeMirror needs a browser that lays out text; what is tested here is what the editor does with its answers. */
jest.mock('./PromqlField', () => ({
  __esModule: true,
  default: ({ value, onCommit, onProblem, onCompletionState }: Props) => (
    <div>
      <output>{value}</output>
      <button
        onClick={() => {
          onCommit('sum(up)', false);
        }}
      >
        leave with sum(up)
      </button>
      <button
        onClick={() => {
          onCommit(value, true);
        }}
      >
        run
      </button>
      <button
        onClick={() => {
          onProblem('unknown function nope');
        }}
      >
        stumble
      </button>
      <button
        onClick={() => {
          onCompletionState('no node answered');
        }}
      >
        lose
      </button>
    </div>
  ),
}));

function editor(query: FleetQuery) {
  const changes: FleetQuery[] = [];
  const run = jest.fn();
  function Row() {
    const [now, setNow] = useState(query);
    return (
      <QueryEditor
        datasource={{} as FleetDataSource}
        query={now}
        onChange={(next) => {
          changes.push(next);
          setNow(next);
        }}
        onRunQuery={run}
      />
    );
  }
  render(<Row />);
  return { changes, run };
}

const up: FleetQuery = { refId: 'A', expr: 'up', range: true, legendFormat: '__auto' };

describe('the query editor', () => {
  it('runs a changed query when the field is left, an unchanged one only when asked', async () => {
    const { changes, run } = editor(up);
    await userEvent.click(await screen.findByText('leave with sum(up)'));
    expect(changes).toEqual([{ ...up, expr: 'sum(up)' }]);
    expect(run).toHaveBeenCalledTimes(1);
    await userEvent.click(screen.getByText('leave with sum(up)'));
    expect(run).toHaveBeenCalledTimes(1);
    await userEvent.click(screen.getByText('run'));
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('says what is wrong with the text and why nothing is completed', async () => {
    editor(up);
    await userEvent.click(await screen.findByText('stumble'));
    expect(screen.getByText('unknown function nope')).toBeInTheDocument();
    await userEvent.click(screen.getByText('lose'));
    expect(screen.getByText(/No names to complete: no node answered/)).toBeInTheDocument();
  });

  it('opens empty for a query without an expression', async () => {
    editor({ refId: 'A' } as FleetQuery);
    expect(await screen.findByRole('status')).toBeEmptyDOMElement();
  });

  it('stores what is chosen under Options, and runs', async () => {
    const { changes, run } = editor({ ...up, editorMode: 'code' } as FleetQuery);
    await screen.findByText('run');
    expect(screen.getByText('Legend: Auto')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: /Options/ }));
    await userEvent.click(screen.getByLabelText('Both'));
    const step = screen.getByLabelText('Min step');
    fireEvent.change(step, { target: { value: 'soon' } });
    fireEvent.blur(step);
    expect(screen.getByText(/Must be a duration/)).toBeInTheDocument();
    expect(changes).toHaveLength(1);
    fireEvent.change(step, { target: { value: '15s' } });
    fireEvent.blur(step);
    const cells = screen.getByLabelText('Max values');
    fireEvent.change(cells, { target: { value: '0' } });
    fireEvent.keyDown(cells, { key: 'Enter' });
    expect(changes.at(-1)).toEqual({
      ...up,
      editorMode: 'code',
      range: true,
      instant: true,
      interval: '15s',
      maxCells: 0,
    });
    expect(run).toHaveBeenCalledTimes(3);
  });
});

describe('the editor of events', () => {
  const changes: FleetQuery = { refId: 'A', queryType: 'events', expr: '{kind="change"}', format: 'table' };

  it('is reached and left by the switch', async () => {
    const { changes: stored, run } = editor(up);
    await userEvent.click(screen.getByLabelText('Events'));
    expect(stored.at(-1)).toEqual({
      refId: 'A',
      queryType: 'events',
      expr: '{kind=~"incident|change|alarm"}',
      format: 'table',
    });
    expect(run).toHaveBeenCalledTimes(1);
    expect(screen.getByLabelText('Event selector')).toHaveValue('{kind=~"incident|change|alarm"}');
    await userEvent.click(screen.getByLabelText('PromQL'));
    expect(stored.at(-1)?.queryType).toBeUndefined();
    expect(await screen.findByText('run')).toBeInTheDocument();
  });

  it('takes a selector when it is one, and says when it is none', () => {
    const { changes: stored, run } = editor(changes);
    const field = screen.getByLabelText('Event selector');
    fireEvent.change(field, { target: { value: '{kind="change"} |= prefetch' } });
    fireEvent.blur(field);
    expect(screen.getByText(/label matchers in braces/)).toBeInTheDocument();
    expect(stored).toEqual([]);
    fireEvent.change(field, { target: { value: '{kind="change"} |= "prefetch"' } });
    fireEvent.keyDown(field, { key: 'Enter' });
    expect(stored).toEqual([{ ...changes, expr: '{kind="change"} |= "prefetch"' }]);
    const limit = screen.getByLabelText('Limit');
    fireEvent.change(limit, { target: { value: '50' } });
    fireEvent.blur(limit);
    expect(stored.at(-1)?.limit).toBe(50);
    expect(run).toHaveBeenCalledTimes(2);
  });
});

describe('the options of a query', () => {
  it('read the flags of Prometheus panels', () => {
    expect(kindOf({})).toBe('range');
    expect(kindOf({ range: false, instant: true })).toBe('instant');
    expect(kindOf({ range: true, instant: true })).toBe('both');
    for (const kind of ['range', 'instant', 'both'] as const) {
      expect(kindOf(flagsOf(kind))).toBe(kind);
    }
    expect([legendOf({ legendFormat: '__auto' }), legendOf({}), legendOf({ legendFormat: '{{gpu}}' })]).toEqual([
      'auto',
      'verbose',
      'custom',
    ]);
  });

  it('are told in one line', () => {
    expect(summary({ ...up, format: 'heatmap', interval: '15s', maxCells: 0 })).toEqual([
      'Legend: Auto',
      'Format: Heatmap',
      'Step: 15s',
      'Type: Range',
      'Values: no limit',
    ]);
  });

  it('take durations, macros and variables as steps and whole numbers as limits', () => {
    for (const text of ['', '15s', '1m30s', '30', '$__rate_interval', '${step}', '[[step]]']) {
      expect(stepProblem(text)).toBeUndefined();
    }
    expect(stepProblem('soon')).toBeDefined();
    expect([cellsOf(''), cellsOf('10'), cellsOf('-1'), cellsOf('x')]).toEqual([undefined, 10, NaN, NaN]);
  });
});
