import { type ReactNode, useEffect, useRef } from 'react';

interface ViewProps {
  readonly title: string;
  /** Beside the title. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** The view that the window opened with leaves the focus where the browser put it. */
let opened = false;

/** A page of the window. Its heading takes the focus when one arrives from another page, so that it is read out. */
export function View({ title, actions, children }: ViewProps): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Homeward`;
    if (opened) {
      heading.current?.focus();
      window.scrollTo(0, 0);
    }
    opened = true;
  }, [title]);
  return (
    <>
      <header className="view-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {actions}
      </header>
      {children}
    </>
  );
}
