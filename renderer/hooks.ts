import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { type ErrorReport, reportOf } from '../shared/errors.ts';
import type { Call } from './bridge.ts';
import type { Store, WindowState } from './store.ts';

export const StoreContext = createContext<Store | undefined>(undefined);

export function useStore(): Store {
  const store = useContext(StoreContext);
  if (store === undefined) throw new Error('Rendered outside StoreContext.');
  return store;
}

/** `pick` must give the same object for the same state. */
export function useWindow<T>(pick: (state: WindowState) => T): T {
  const { subscribe, state } = useStore();
  return useSyncExternalStore(subscribe, () => pick(state()));
}

export function useCall(): Call {
  return useStore().call;
}

/** Whether anything can be asked of the engine now. */
export function useOnline(): boolean {
  return useWindow(({ shell, engine }) => shell === 'open' && engine === 'up');
}

export interface Action<A extends readonly unknown[]> {
  readonly run: (...args: A) => void;
  readonly busy: boolean;
  readonly failure: ErrorReport | undefined;
  readonly clear: () => void;
}

/** Something a click begins: shows that it runs, and what went wrong, where it was clicked. */
export function useAction<A extends readonly unknown[]>(act: (...args: A) => Promise<unknown>): Action<A> {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ErrorReport>();
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  const run = useCallback((...args: A): void => {
    setBusy(true);
    setFailure(undefined);
    latest
      .current(...args)
      .catch((thrown: unknown) => setFailure(reportOf(thrown)))
      .finally(() => setBusy(false));
  }, []);
  return { run, busy, failure, clear: useCallback(() => setFailure(undefined), []) };
}

export interface Asked<T> {
  readonly value: T | undefined;
  readonly failure: ErrorReport | undefined;
  readonly loading: boolean;
  readonly again: () => void;
}

/** An answer that is asked for when shown, when `key` changes, and when the engine is back. */
export function useAsked<T>(ask: (key: string) => Promise<T>, key: string): Asked<T> {
  const online = useOnline();
  const [round, setRound] = useState(0);
  const [value, setValue] = useState<T>();
  const [failure, setFailure] = useState<ErrorReport>();
  const [loading, setLoading] = useState(true);
  const question = useMemo(() => ({ key, round }), [key, round]);
  const latest = useRef(ask);
  useEffect(() => {
    latest.current = ask;
  });
  useEffect(() => {
    if (!online) return;
    let wanted = true;
    setLoading(true);
    latest
      .current(question.key)
      .then(
        (answer) => {
          if (!wanted) return;
          setValue(answer);
          setFailure(undefined);
        },
        (thrown: unknown) => {
          if (wanted) setFailure(reportOf(thrown));
        },
      )
      .finally(() => {
        if (wanted) setLoading(false);
      });
    return () => {
      wanted = false;
    };
  }, [online, question]);
  return { value, failure, loading, again: useCallback(() => setRound((before) => before + 1), []) };
}

/** The time, for "for 12 min"; moves on every `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
