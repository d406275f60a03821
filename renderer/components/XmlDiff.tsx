import { structuredPatch } from 'diff';
import type { ReactNode } from 'react';

interface XmlDiffProps {
  readonly before: string;
  readonly after: string;
}

/** Two definitions, line by line: what goes, what comes, and a little of what stays around it. */
export function XmlDiff({ before, after }: XmlDiffProps): ReactNode {
  const { hunks } = structuredPatch('before', 'after', before, after, undefined, undefined, { context: 2 });
  const lines = hunks.flatMap(({ oldStart, lines: text }, at) => [
    ...(at === 0 ? [] : [{ key: `gap ${oldStart}`, sign: ' ', words: '⋯' }]),
    ...text
      .filter((line) => !line.startsWith('\\'))
      .map((line, offset) => ({ key: `${oldStart} ${offset}`, sign: line.charAt(0), words: line.slice(1) })),
  ]);
  return (
    <section className="diff" aria-label="Difference of the definition">
      <pre>
        {lines.map(({ key, sign, words }) =>
          sign === '+' ? (
            <ins key={key}>{`+ ${words}\n`}</ins>
          ) : sign === '-' ? (
            <del key={key}>{`- ${words}\n`}</del>
          ) : (
            <span key={key}>{`  ${words}\n`}</span>
          ),
        )}
      </pre>
    </section>
  );
}
