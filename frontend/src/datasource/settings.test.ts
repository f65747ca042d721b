import {
  durationProblem,
  numberProblem,
  parseLabels,
  parsePeople,
  pastedTargets,
  publicMetricProblem,
  targetCount,
  targetProblems,
  urlProblem,
  writeLabels,
  writePeople,
} from './settings';

describe('the URL of a node', () => {
  it.each(['', 'http://gpu-01:9477', 'https://gpu-01.example.org', 'http://[::1]:9477/', 'https://hub.example/podscope/'])(
    '%s is right',
    (url) => {
      expect(urlProblem(url)).toBeUndefined();
    }
  );

  it.each([
    ['gpu-01:9477', 'The scheme is missing: write http://gpu-01:9477 or https://gpu-01:9477'],
    ['http://', 'not a URL'],
    ['http://a b', 'not a URL'],
    ['ftp://gpu-01', 'not ftp'],
    ['http://me:secret@gpu-01:9477', 'bearer token'],
    ['http://gpu-01:9477/?x=1', 'without a query'],
  ])('%s is refused with what to do', (url, problem) => {
    expect(urlProblem(url)).toContain(problem);
  });
});

describe('a list of nodes', () => {
  it('names the row that repeats an earlier one', () => {
    expect(
      targetProblems([{ url: 'http://a:1/' }, { url: '' }, { url: 'HTTP://A:1' }, { url: 'b:1' }]).map((problem) =>
        problem?.slice(0, 22)
      )
    ).toEqual([undefined, undefined, 'The same node as in ro', 'The scheme is missing:']);
  });

  it('refuses two nodes of one instance name', () => {
    const [, second] = targetProblems([
      { url: 'http://a:1', instance: 'gpu-01' },
      { url: 'http://b:1', instance: 'gpu-01' },
    ]);
    expect(second).toBe('Row 1 has the same instance name');
  });

  it('is counted in all places it may be written in', () => {
    const options = { targets: [{ url: 'http://a:1' }, { url: '' }], urls: 'http://b:1\n# no\nhttp://c:1' };
    expect(targetCount(options, '')).toBe(3);
    expect(targetCount({}, 'http://a:1')).toBe(1);
    expect(targetCount({}, '')).toBe(0);
  });
});

describe('a pasted list', () => {
  it('of lines', () => {
    expect(pastedTargets('http://a:9477\n b:9477 # the second\n\n#c\n')).toEqual([
      { url: 'http://a:9477' },
      { url: 'http://b:9477' },
    ]);
  });

  it("of Prometheus's file service discovery", () => {
    const text = JSON.stringify([
      { targets: ['a:9477', 'https://b:9477'], labels: { cluster: 'x', job: 'node', __scheme__: 'http' } },
      { targets: ['c:9477'], labels: { instance: 'gpu-03' } },
    ]);
    expect(pastedTargets(text)).toEqual([
      { url: 'http://a:9477', labels: { cluster: 'x' } },
      { url: 'https://b:9477', labels: { cluster: 'x' } },
      { url: 'http://c:9477', instance: 'gpu-03' },
    ]);
  });

  it('that is neither is nothing', () => {
    expect(pastedTargets('[{"targets": ')).toEqual([]);
    expect(pastedTargets('[1, null]')).toEqual([]);
  });
});

describe('labels of a node', () => {
  it('are read as they are written', () => {
    const cases: Record<string, string>[] = [{}, { cluster: 'a', rack: 'b' }, { room: 'a, b "c" \\d', empty: '' }];
    for (const labels of cases) {
      expect(parseLabels(writeLabels(labels))).toEqual({ labels });
    }
  });

  it.each([
    ['cluster', 'name=value'],
    ['cluster=a rack=b"', 'name=value'],
    ['1a=b', 'begins with no digit'],
    ['instance=b', 'use the column Instance'],
    ['job=b', 'set by Podscope itself'],
    ['a=1, a=2', 'twice'],
  ])('%s is refused', (text, problem) => {
    const answer = parseLabels(text);
    expect('problem' in answer ? answer.problem : '').toContain(problem);
  });
});

describe('people and public metrics', () => {
  it('are read as lines, with comments', () => {
    expect(parsePeople('asmith = alice # the other login\n\n b@x.org=bob')).toEqual({
      people: { asmith: 'alice', 'b@x.org': 'bob' },
    });
    expect(parsePeople(writePeople({ asmith: 'alice', bob: 'rob' }))).toEqual({
      people: { asmith: 'alice', bob: 'rob' },
    });
  });

  it.each([
    ['alice', 'login = user'],
    ['= alice', 'login = user'],
    ['asmith =', 'login = user'],
    ['a = b\na = c', 'twice'],
  ])('%j is refused', (text, problem) => {
    const answer = parsePeople(text);
    expect('problem' in answer ? answer.problem : '').toContain(problem);
  });

  it('a lone star is not a list of metrics', () => {
    expect(publicMetricProblem('up')).toBeUndefined();
    expect(publicMetricProblem('slurm_*')).toBeUndefined();
    expect(publicMetricProblem('*')).toContain('beginning');
    expect(publicMetricProblem('{job="x"}')).toContain('beginning');
  });
});

describe('numbers and durations', () => {
  it('keep to the bounds of the backend', () => {
    expect(numberProblem('completeness', 0.9)).toBeUndefined();
    expect(numberProblem('completeness', 90)).toBe('Must be between 0 and 1');
    expect(numberProblem('timeoutMs', 1)).toContain('between 100');
    expect(numberProblem('maxCells', 0)).toBeUndefined();
    expect(numberProblem('maxCells', 0.5)).toBe('Must be a whole number');
    expect(numberProblem('maxCells', NaN)).toBe('This is not a number');
    expect(numberProblem('maxCells', undefined)).toBeUndefined();
  });

  it('have units', () => {
    for (const text of [undefined, '', '15s', '1m30s', '0.5s', '100ms']) {
      expect(durationProblem(text)).toBeUndefined();
    }
    for (const text of ['15', 's', '1 minute']) {
      expect(durationProblem(text)).toContain('duration');
    }
  });
});
