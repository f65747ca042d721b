import { fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';

import { type FleetDataSource } from './datasource';
import { VariableEditor } from './VariableEditor';
import { type VariableQuery } from './variableQuery';

function editor(query: unknown) {
  const changes: VariableQuery[] = [];
  const datasource = {
    interpolate: (text: string) => text,
    client: { labelValues: () => Promise.resolve([]), labelNames: () => Promise.resolve([]) },
  } as unknown as FleetDataSource;
  function Page() {
    const [now, setNow] = useState(query as VariableQuery);
    return (
      <VariableEditor
        datasource={datasource}
        query={now}
        onRunQuery={() => undefined}
        onChange={(next) => {
          changes.push(next);
          setNow(next);
        }}
      />
    );
  }
  render(<Page />);
  return changes;
}

describe('the editor of a query variable', () => {
  it('shows a bare text of an old dashboard', () => {
    editor('label_values(up{job="node"}, instance)');
    expect(screen.getByLabelText(/Metric or selector/)).toHaveValue('up{job="node"}');
    expect(screen.getByLabelText(/^Label/)).toHaveValue('instance');
  });

  it('begins with label values', () => {
    editor('');
    expect(screen.getByLabelText('Query type')).toHaveValue('Label values');
  });

  it('stores what is written as text, in an object', () => {
    const changes = editor('query_result(up)');
    const field = screen.getByLabelText(/PromQL query/);
    fireEvent.change(field, { target: { value: 'topk(5, up)' } });
    expect(changes).toEqual([]);
    fireEvent.blur(field);
    expect(changes).toEqual([{ refId: 'FleetVariable', query: 'query_result(topk(5, up))' }]);
  });

  it('keeps the reference of a stored object', () => {
    const changes = editor({ refId: 'PrometheusVariableQueryEditor-VariableQuery', qryType: 2, query: 'metrics(a)' });
    const field = screen.getByLabelText(/Regular expression/);
    fireEvent.change(field, { target: { value: 'node_.*' } });
    fireEvent.keyDown(field, { key: 'Enter' });
    expect(changes.at(-1)).toMatchObject({
      refId: 'PrometheusVariableQueryEditor-VariableQuery',
      query: 'metrics(node_.*)',
    });
  });
});
