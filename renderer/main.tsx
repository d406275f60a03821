import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { z } from 'zod';
import { App } from './App.tsx';
import { StoreContext } from './hooks.ts';
import { Store } from './store.ts';
import 'uplot/dist/uPlot.min.css';
import './theme/tokens.css';
import './theme/base.css';
import './theme/controls.css';
import './theme/fields.css';
import './theme/overlays.css';
import './theme/layout.css';
import './theme/overview.css';
import './theme/views.css';

// The content security policy forbids compiling schemas to code.
z.config({ jitless: true });

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <StoreContext value={new Store()}>
        <App />
      </StoreContext>
    </StrictMode>,
  );
}
