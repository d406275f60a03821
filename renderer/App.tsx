import { lazy, type ReactNode, Suspense, useEffect } from 'react';
import type { Status } from '../shared/rpc.ts';
import { Empty } from './components/Empty.tsx';
import { EngineBanner } from './components/EngineBanner.tsx';
import { Guard } from './components/Guard.tsx';
import { Loading } from './components/Loading.tsx';
import { Nav } from './components/Nav.tsx';
import { Notices } from './components/Notices.tsx';
import { PairSheet } from './components/PairSheet.tsx';
import { useWindow } from './hooks.ts';
import { type Route, useRoute } from './route.ts';
import { Moves } from './views/Moves.tsx';
import { Overview } from './views/Overview.tsx';

// What is not seen first is fetched while the first view is already there; see fetchViews.
const fetchDoctor = () => import('./views/Doctor.tsx');
const fetchHistory = () => import('./views/History.tsx');
const fetchHosts = () => import('./views/Hosts.tsx');
const fetchReady = () => import('./views/Ready.tsx');
const fetchSettings = () => import('./views/Settings.tsx');
const Doctor = lazy(async () => ({ default: (await fetchDoctor()).Doctor }));
const History = lazy(async () => ({ default: (await fetchHistory()).History }));
const Hosts = lazy(async () => ({ default: (await fetchHosts()).Hosts }));
const Ready = lazy(async () => ({ default: (await fetchReady()).Ready }));
const Settings = lazy(async () => ({ default: (await fetchSettings()).Settings }));

/** All views, so that each is there even when the shell that serves them is gone. */
async function fetchViews(): Promise<void> {
  await Promise.all([fetchHosts(), fetchHistory(), fetchReady(), fetchDoctor(), fetchSettings()]);
}

export function App(): ReactNode {
  const route = useRoute();
  const status = useWindow((state) => state.status);
  const waiting = useWindow((state) => state.shell !== 'gone' && state.engine !== 'gone');
  const [pairing] = useWindow((state) => state.pairings);
  const known = status !== undefined;
  useEffect(() => {
    // Not before there is something to see. What cannot be fetched now is asked for again when it is opened.
    if (known) requestIdleCallback(() => void fetchViews().catch((thrown: unknown) => console.warn(thrown)));
  }, [known]);
  return (
    <div className="app">
      <Nav route={route} />
      <div className="page">
        <EngineBanner />
        <main>
          {status !== undefined ? (
            <Guard key={route.view}>
              <Suspense fallback={<Waiting words="Opening…" />}>
                <Page route={route} status={status} />
              </Suspense>
            </Guard>
          ) : (
            <Waiting words={waiting ? 'Connecting to the engine…' : undefined} />
          )}
        </main>
      </div>
      <Notices />
      {pairing === undefined ? null : <PairSheet key={pairing.id} pairing={pairing} />}
    </div>
  );
}

/** Until there is a view, with its heading. @param words absent where nothing is under way */
function Waiting({ words }: { readonly words: string | undefined }): ReactNode {
  return (
    <>
      <h1 className="hidden">Homeward</h1>
      {words === undefined ? (
        <Empty icon="overview" title="Nothing to show yet">
          <p>Your VMs appear here as soon as the engine answers.</p>
        </Empty>
      ) : (
        <Loading words={words} />
      )}
    </>
  );
}

interface PageProps {
  readonly route: Route;
  readonly status: Status;
}

function Page({ route, status }: PageProps): ReactNode {
  const vm = status.vms.find(({ uuid }) => uuid === route.vm);
  switch (route.view) {
    case 'overview':
      return <Overview status={status} />;
    case 'moves':
      return <Moves status={status} />;
    case 'hosts':
      return <Hosts status={status} />;
    case 'history':
      return <History key={route.vm} vmName={vm?.name} />;
    case 'doctor':
      return <Doctor />;
    case 'settings':
      return <Settings status={status} />;
    case 'ready':
      return <Ready vm={vm} />;
  }
}
