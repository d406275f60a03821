import type { ReactNode } from 'react';
import { useWindow } from '../hooks.ts';
import icon from '../icon.svg';
import { href, type Route, views } from '../route.ts';
import { Icon } from './Icon.tsx';

interface NavProps {
  readonly route: Route;
}

const titles = {
  overview: 'Overview',
  moves: 'Moves',
  hosts: 'Hosts',
  history: 'History',
  doctor: 'Doctor',
  settings: 'Settings',
} as const;

export function Nav({ route }: NavProps): ReactNode {
  const moving = useWindow((state) => state.status?.moves.length ?? 0);
  const current = route.view === 'ready' ? 'overview' : route.view;
  return (
    <nav className="nav" aria-label="Main">
      <div className="nav-inner">
        <p className="brand">
          <img src={icon} alt="" width="28" height="28" />
          <span>Homeward</span>
        </p>
        <ul>
          {views.map((view) => (
            <li key={view}>
              <a href={href(view)} aria-current={view === current ? 'page' : undefined}>
                <Icon name={view} />
                <span>{titles[view]}</span>
                {view === 'moves' && moving > 0 ? (
                  <span className="badge">
                    {moving}
                    <span className="hidden"> under way</span>
                  </span>
                ) : null}
              </a>
            </li>
          ))}
        </ul>
      </div>
    </nav>
  );
}
