/** One line cut to `columns`, the cut shown. */
export function cutTo(text: string, columns: number): string {
  const characters = [...text];
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}

/** Rows under headings, columns as wide as their widest cell; lines cut to `columns`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], columns: number): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, index) => Math.max(...all.map((row) => [...(row[index] ?? '')].length)));
  return all
    .map((row) => {
      const cells = row.map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - [...cell].length));
      return cutTo(cells.join('  ').trimEnd(), columns);
    })
    .join('\n');
}
