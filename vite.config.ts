import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The window: static files with relative addresses, which both shells serve under a strict content security policy. */
export default defineConfig({
  root: 'renderer',
  base: './',
  plugins: [react()],
  build: {
    outDir: '../dist-window',
    emptyOutDir: true,
    // Nothing inline: the policy lets no inline script or style run.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    chunkSizeWarningLimit: 1_000,
  },
});
