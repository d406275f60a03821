import { useSyncExternalStore } from 'react';

/** The views that the navigation leads to, in its order. */
export const views = ['overview', 'moves', 'hosts', 'history', 'doctor', 'settings'] as const;
type ViewName = (typeof views)[number];

export interface Route {
  readonly view: ViewName | 'ready';
  /** UUID of a VM: whose readiness, or whose history. */
  readonly vm: string | undefined;
}

/** "#/history/<uuid>"; what cannot be understood is the overview. */
function routeOf(hash: string): Route {
  const [view, vm] = hash.replace(/^#\/?/, '').split('/');
  if (view === 'ready' && vm) return { view, vm };
  const known = views.find((name) => name === view);
  return { view: known ?? 'overview', vm: known === undefined || vm === '' ? undefined : vm };
}

export function href(view: Route['view'], vm?: string): string {
  return vm === undefined ? `#/${view}` : `#/${view}/${vm}`;
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return routeOf(hash);
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener);
  return () => window.removeEventListener('hashchange', listener);
}
