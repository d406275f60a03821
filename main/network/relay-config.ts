import { fileURLToPath } from 'node:url';

/** What a relay process is told on its command line, as JSON. */
export interface RelayConfig {
  readonly wires: readonly WireConfig[];
  /** Tells its state, one JSON line per connection. */
  readonly statusSocket: string;
}

/** One guest NIC. */
export interface WireConfig {
  readonly index: number;
  /** Loopback TCP port for QEMU's socket NIC. */
  readonly port: number;
  /** UNIX socket for the visiting QEMU's frames. */
  readonly visitorSocket: string;
  /** Users, besides root, whose QEMU may connect to `port`. */
  readonly uids: readonly number[];
}

/** The same interpreter as ours; it needs little memory. */
export function relayCommand(config: RelayConfig): { command: string; args: string[] } {
  const entry = fileURLToPath(new URL('./relay.ts', import.meta.url));
  return {
    command: process.execPath,
    args: ['--max-old-space-size=64', '--max-semi-space-size=1', entry, JSON.stringify(config)],
  };
}
