import type { ReactNode } from 'react';

interface LoadingProps {
  /** "Asking the engine…" */
  readonly words: string;
}

export function Loading({ words }: LoadingProps): ReactNode {
  return (
    <p className="loading" role="status">
      <span className="spinner" aria-hidden="true" />
      {words}
    </p>
  );
}
