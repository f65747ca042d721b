/** Asks a datasource for its inventory, and again every half minute. */
import { getBackendSrv } from '@grafana/runtime';
import { useCallback, useEffect, useState } from 'react';
import { lastValueFrom } from 'rxjs';

import { errorText } from '../datasource/errors';
import { type Inventory } from '../datasource/inventory';

export type InventoryState =
  | { kind: 'loading' }
  | { kind: 'failed'; error: string }
  | { kind: 'loaded'; inventory: Inventory; atMs: number };

const EVERY_MS = 30_000;

export async function fetchInventory(uid: string): Promise<Inventory> {
  const { data } = await lastValueFrom(
    getBackendSrv().fetch<Inventory>({
      url: `/api/datasources/uid/${encodeURIComponent(uid)}/resources/inventory`,
      // The page itself says what went wrong.
      showErrorAlert: false,
    })
  );
  return data;
}

export function useInventory(uid: string): { state: InventoryState; refresh: () => void } {
  const [answers, setAnswers] = useState<Record<string, InventoryState>>({});
  const [round, setRound] = useState(0);
  const refresh = useCallback(() => {
    setRound((before) => before + 1);
  }, []);

  useEffect(() => {
    let left = false;
    const tell = (state: InventoryState) => {
      if (!left) {
        setAnswers((before) => ({ ...before, [uid]: state }));
      }
    };
    fetchInventory(uid).then(
      (inventory) => {
        tell({ kind: 'loaded', inventory, atMs: Date.now() });
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
  }, [uid, round, refresh]);

  return { state: answers[uid] ?? { kind: 'loading' }, refresh };
}
