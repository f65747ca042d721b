/** Asks a datasource for the scheduler's jobs, and again every half minute. */
import { getBackendSrv } from '@grafana/runtime';
import { useCallback, useEffect, useState } from 'react';
import { lastValueFrom } from 'rxjs';

import { errorText } from '../datasource/errors';
import { type Jobs } from '../datasource/jobs';

export type JobsState =
  | { kind: 'loading' }
  | { kind: 'failed'; error: string }
  | { kind: 'loaded'; jobs: Jobs; atMs: number };

const EVERY_MS = 30_000;

export interface JobsQuestion {
  id?: string;
  state?: string;
}

async function fetchJobs(uid: string, params: Record<string, string>): Promise<Jobs> {
  const { data } = await lastValueFrom(
    getBackendSrv().fetch<Jobs>({
      url: `/api/datasources/uid/${encodeURIComponent(uid)}/resources/jobs`,
      params,
      // The page itself says what went wrong.
      showErrorAlert: false,
    })
  );
  return data;
}

export function useJobs(uid: string, { id = '', state = '' }: JobsQuestion): { state: JobsState; refresh: () => void } {
  const [answers, setAnswers] = useState<Record<string, JobsState>>({});
  const [round, setRound] = useState(0);
  const refresh = useCallback(() => {
    setRound((before) => before + 1);
  }, []);
  const question = `${uid} ${id} ${state}`;

  useEffect(() => {
    let left = false;
    const tell = (answer: JobsState) => {
      if (!left) {
        setAnswers((before) => ({ ...before, [question]: answer }));
      }
    };
    const params = Object.fromEntries(Object.entries({ id, state }).filter(([, value]) => value !== ''));
    fetchJobs(uid, params).then(
      (jobs) => {
        tell({ kind: 'loaded', jobs, atMs: Date.now() });
      },
      (error: unknown) => {
        tell({ kind: 'failed', error: errorText(error) });
      }
    );
    const timer = setTimeout(refresh, EVERY_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [uid, id, state, question, round, refresh]);

  return { state: answers[question] ?? { kind: 'loading' }, refresh };
}
