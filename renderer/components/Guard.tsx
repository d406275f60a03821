import { Component, type ReactNode } from 'react';
import { ActButton } from './ActButton.tsx';
import { Note } from './Note.tsx';

interface GuardProps {
  readonly children: ReactNode;
}

interface GuardState {
  readonly failed: boolean;
}

/** A view that cannot be shown takes only itself away: navigation and banner stay. */
export class Guard extends Component<GuardProps, GuardState> {
  override state: GuardState = { failed: false };

  static getDerivedStateFromError(): GuardState {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <>
        <h1>This view cannot be shown</h1>
        <Note tone="bad">
          Something in the window went wrong. Your VMs and the engine are not touched by it. Load the window again; if
          it stays so, see the browser’s console.
        </Note>
        <div className="buttons buttons-start">
          <ActButton label="Load again" tone="primary" onPress={() => window.location.reload()} />
        </div>
      </>
    );
  }
}
