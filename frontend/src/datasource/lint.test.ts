import { type ParseAnswer } from './client';
import { localProblems, problemsOf } from './lint';

function checker(answer: ParseAnswer | Error) {
  const parse = jest.fn<Promise<ParseAnswer>, [string]>(() => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)));
  return { parse, interpolate: (expr: string) => expr.replaceAll('$metric', 'up').replaceAll('$k', '5') };
}

describe('checking an expression', () => {
  it('finds nothing wrong with what the backend accepts, macros included', async () => {
    const backend = checker({ ok: true, type: 'vector' });
    expect(await problemsOf('rate(a[$__rate_interval])', backend)).toEqual([]);
    expect(backend.parse).toHaveBeenCalledWith('rate(a[111111111111111s])');
  });

  it('marks the word where the backend stumbles', async () => {
    const problems = await problemsOf('sum(nope(up))', checker({ ok: false, error: 'unknown function nope', position: 4 }));
    expect(problems).toEqual([{ severity: 'error', message: 'unknown function nope', from: 4, to: 8 }]);
  });

  it('counts bytes as the backend does', async () => {
    const [problem] = await problemsOf('a{b="é"} +', checker({ ok: false, error: 'unexpected end', position: 10 }));
    expect(problem).toMatchObject({ from: 9, to: 10 });
  });

  it('marks the place the local grammar finds when the backend names none', async () => {
    const [problem] = await problemsOf('up + + +', checker({ ok: false, error: 'bad' }));
    expect(problem?.message).toBe('bad');
    expect(problem?.to).toBeLessThanOrEqual('up + + +'.length);
  });

  it('speaks for itself when the backend cannot be asked', async () => {
    const problems = await problemsOf('rate(up)', checker(new Error('offline')));
    expect(problems.length).toBeGreaterThan(0);
    expect(await problemsOf('rate(up[$__rate_interval])', checker(new Error('offline')))).toEqual([]);
  });

  it('checks variables outside of strings with their present values', async () => {
    const backend = checker({ ok: false, error: 'bad', position: 3 });
    const [problem] = await problemsOf('topk($k, $metric)', backend);
    expect(backend.parse).toHaveBeenCalledWith('topk(5, up)');
    expect(problem).toMatchObject({ from: 0, to: 'topk($k, $metric)'.length });
  });

  it('asks nothing about an empty field', async () => {
    const backend = checker(new Error('asked'));
    expect(await problemsOf('  ', backend)).toEqual([]);
    expect(backend.parse).not.toHaveBeenCalled();
  });

  it('knows what is right and wrong without a backend', () => {
    expect(localProblems('sum by (gpu) (rate(a{b="c"}[5m] offset 1h)) > bool 3')).toEqual([]);
    expect(localProblems('rate(a)').map(({ message }) => message).join()).toContain('expected type');
  });
});
