import type { ReactNode } from 'react';

export type IconName =
  | 'overview'
  | 'moves'
  | 'hosts'
  | 'history'
  | 'doctor'
  | 'settings'
  | 'home'
  | 'host'
  | 'more'
  | 'check'
  | 'warn'
  | 'bad'
  | 'info'
  | 'close'
  | 'copy'
  | 'out'
  | 'back'
  | 'add'
  | 'download';

interface IconProps {
  readonly name: IconName;
}

/** Drawn on a grid of 20, in the colour of the text around it; the words beside it say what it means. */
export function Icon({ name }: IconProps): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

const paths: Readonly<Record<IconName, string>> = {
  overview: 'M3 9.5 10 3.5l7 6M5 8v8.5h10V8',
  moves: 'M3 7h12m-3.5-3.5L15 7l-3.5 3.5M17 13H5m3.5-3.5L5 13l3.5 3.5',
  hosts: 'M3.5 4h13v5h-13zM3.5 11h13v5h-13zM6 6.5h.01M6 13.5h.01',
  history: 'M10 17a7 7 0 1 0-6.6-4.7M3 8.5v4h4M10 6v4.3l2.8 1.7',
  doctor: 'M2.5 10h3.6l1.9-5 3.6 10 2-5h3.9',
  settings: 'M3 5.5h8m3 0h3M3 10h2.5m3 0H17M3 14.5h9m3 0h2M11 3.8v3.4M5.5 8.3v3.4M12 12.8v3.4',
  home: 'M3 9.5 10 3.5l7 6M5 8v8.5h10V8M8.3 16.5V12h3.4v4.5',
  host: 'M3 4h14v9H3zM7 16.5h6M10 13v3.5',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  check: 'M4 10.5 8.2 15 16 5.5',
  warn: 'M10 3.2 17.5 16h-15zM10 8v3.8M10 13.8h.01',
  bad: 'M10 2.8a7.2 7.2 0 1 0 0 14.4 7.2 7.2 0 0 0 0-14.4M7.3 7.3l5.4 5.4m0-5.4-5.4 5.4',
  info: 'M10 2.8a7.2 7.2 0 1 0 0 14.4 7.2 7.2 0 0 0 0-14.4M10 9.2v4.3M10 6.6h.01',
  close: 'M5 5l10 10M15 5 5 15',
  copy: 'M7 7h9v9.5H7zM13 7V3.5H4V13h3',
  out: 'M3.5 10h12.5m-4.5-4.5L16 10l-4.5 4.5',
  back: 'M16.5 10H4m4.5-4.5L4 10l4.5 4.5',
  add: 'M10 4v12M4 10h12',
  download: 'M10 3v9.5m-4-4 4 4 4-4M4 16.5h12',
};
