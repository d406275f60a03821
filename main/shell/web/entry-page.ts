/**
 * The page that the browser is opened with. Its script gives the token for a session and takes it out of the address,
 * so that it stays in no history; being behind a `#` it was in no request and no log.
 */

export const entryHtml = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Homeward</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/enter.css">
<main>
<p id="words">Opening Homeward …</p>
<noscript><p>Homeward’s window needs JavaScript.</p></noscript>
</main>
<script src="/enter.js"></script>
</html>
`;

export const entryCss = `:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 40rem; margin: 20vh auto 0; padding: 0 1rem; }
`;

/** `#t=TOKEN&v=VIEW`; the view goes on to the window as its own `#/VIEW`. */
export const entryScript = `'use strict';
(async () => {
  const given = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, '', '/enter');
  const words = document.getElementById('words');
  try {
    const answer = await fetch('/enter', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: given.get('t') ?? '' }),
    });
    if (answer.ok) location.replace('/' + (given.get('v') ? '#/' + given.get('v') : ''));
    else words.textContent = await answer.text();
  } catch {
    words.textContent = 'Homeward has ended. Start it again: homeward open';
  }
})();
`;
