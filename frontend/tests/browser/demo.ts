/** Starting and stopping `podscope demo` with the preview page, on free ports and in a folder of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const HOME = resolve(__dirname, '../../..');
const CACHE = process.env.PODSCOPE_CACHE ?? join(homedir(), '.cache/podscope');
const TARGET = process.env.CARGO_TARGET_DIR ?? join(CACHE, 'target');
export const PODSCOPE = join(TARGET, 'debug/podscope');

const START_LIMIT_MS = 180_000;

async function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.on('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') {
          done(address.port);
        } else {
          fail(new Error('no port'));
        }
      });
    });
  });
}

export interface Demo {
  url: string;
  stateDir: string;
  /** What the command printed so far. */
  output: () => string;
  podscope: (...args: string[]) => { status: number; output: string };
  stop: () => Promise<void>;
}

/** Runs a command of `podscope` to its end. */
export function podscope(...args: string[]): { status: number; output: string } {
  try {
    return { status: 0, output: execFileSync(PODSCOPE, args, { encoding: 'utf8', stdio: 'pipe' }) };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { status, output: stdout + stderr };
  }
}

export async function startDemo(): Promise<Demo> {
  const stateDir = mkdtempSync(join(tmpdir(), 'podscope-demo-'));
  const port = await freePort();
  const args = ['demo', '--no-grafana', '--home', HOME, '--plugin', join(CACHE, 'plugin'), '--state-dir', stateDir];
  // The plain cluster: every node collects once a second, and its panels fill at once.
  args.push('--scenario', 'none', '--nodes', '2', '--backfill-hours', '1', '--port', String(port), '--agent-port', String(await freePort()));
  const child: ChildProcess = spawn(PODSCOPE, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const ended = new Promise<void>((done) => {
    child.on('exit', () => {
      done();
    });
  });
  const begin = Date.now();
  while (!output.includes('Ctrl-C stops everything')) {
    if (child.exitCode !== null || Date.now() - begin > START_LIMIT_MS) {
      child.kill('SIGTERM');
      throw new Error(`the demo did not start:\n${output}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  return {
    url: `http://127.0.0.1:${String(port)}`,
    stateDir,
    output: () => output,
    podscope: (...more) => podscope(...more, '--state-dir', stateDir),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
