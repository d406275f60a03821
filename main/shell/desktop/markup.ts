const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Words for a place that reads them as markup. */
export function asMarkup(words: string): string {
  return words.replaceAll(/[&<>]/g, (character) => entities[character] ?? character);
}
