/** Digits of three by five blocks, legible where a panel gives 16 pixels for everything. */
const glyphs: Readonly<Record<string, string>> = {
  '0': '### #.# #.# #.# ###',
  '1': '.#. ##. .#. .#. ###',
  '2': '### ..# ### #.. ###',
  '3': '### ..# ### ..# ###',
  '4': '#.# #.# ### ..# ..#',
  '5': '### #.. ### ..# ###',
  '6': '### #.. ### #.# ###',
  '7': '### ..# ..# .#. .#.',
  '8': '### #.# ### #.# ###',
  '9': '### #.# ### ..# ###',
  '.': '. . # . .',
};

/** Five rows of `#` and `.`, with a space, which is drawn narrower, between two characters. */
export function blockRows(text: string): string[] {
  const parts = [...text].map((character) => (glyphs[character] ?? '').split(' '));
  return Array.from({ length: 5 }, (_, row) => parts.map((part) => part[row] ?? '').join(' '));
}
