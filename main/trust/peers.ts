import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { DisplayName } from '../../shared/model/identifiers.ts';
import { Peer } from '../../shared/rpc.ts';
import { isCode, replacePrivateFile } from '../process/index.ts';

const File = z.object({ version: z.literal(1), peers: z.array(Peer).max(1_000) });

export type PeerRole = Peer['role'];

/**
 * The machines this one is paired with. One machine may be there twice, once for each role: two laptops can be
 * each other's workstation.
 */
export class PeerStore {
  readonly #path: string;
  #peers: readonly Peer[];
  #writing: Promise<unknown> = Promise.resolve();
  readonly #onRevoked = new Set<(fingerprint: string) => void>();

  private constructor(path: string, peers: readonly Peer[]) {
    this.#path = path;
    this.#peers = peers;
  }

  /** @throws HomewardError `damaged-file`: who is trusted is not guessed at. */
  static async open(path: string): Promise<PeerStore> {
    try {
      return new PeerStore(path, File.parse(JSON.parse(await readFile(path, 'utf8'))).peers);
    } catch (error) {
      if (isCode(error, 'ENOENT')) return new PeerStore(path, []);
      throw new HomewardError('damaged-file', `The list of paired machines ${path} cannot be read.`, {
        hint: 'Put it back from a backup, or delete it: then every machine must be paired again.',
        cause: error,
      });
    }
  }

  list(): readonly Peer[] {
    return this.#peers;
  }

  /** What `fingerprint` is trusted with as `role`: `laptop` may send VMs here, `host` may be sent VMs. */
  get(fingerprint: string, role: PeerRole): Peer | undefined {
    return this.#peers.find((peer) => peer.fingerprint === fingerprint && peer.role === role);
  }

  /** Takes the place of an earlier pairing with the same machine in the same role. */
  async add(peer: Peer): Promise<void> {
    const checked = Peer.parse(peer);
    await this.#change((peers) => [
      ...peers.filter(({ fingerprint, role }) => fingerprint !== checked.fingerprint || role !== checked.role),
      checked,
    ]);
  }

  /** @throws HomewardError `not-paired`, `bad-input` */
  async rename(fingerprint: string, name: string): Promise<Peer> {
    const checked = DisplayName.safeParse(name);
    if (!checked.success) {
      throw new HomewardError('bad-input', 'A machine’s name is 1 to 200 printable characters without a slash.');
    }
    await this.#change((peers) => {
      this.#known(peers, fingerprint);
      return peers.map((peer) => (peer.fingerprint === fingerprint ? { ...peer, name: checked.data } : peer));
    });
    return this.#known(this.#peers, fingerprint);
  }

  /** In every role; whoever holds a connection of that machine is told. @throws HomewardError `not-paired` */
  async revoke(fingerprint: string): Promise<void> {
    await this.#change((peers) => {
      this.#known(peers, fingerprint);
      return peers.filter((peer) => peer.fingerprint !== fingerprint);
    });
    for (const listener of this.#onRevoked) listener(fingerprint);
  }

  onRevoked(listener: (fingerprint: string) => void): () => void {
    this.#onRevoked.add(listener);
    return () => this.#onRevoked.delete(listener);
  }

  #known(peers: readonly Peer[], fingerprint: string): Peer {
    const peer = peers.find((candidate) => candidate.fingerprint === fingerprint);
    if (peer === undefined) throw new HomewardError('not-paired', 'This machine is not paired with that one.');
    return peer;
  }

  /** Changes queue up, so that none is computed from a list another is about to replace. */
  async #change(next: (peers: readonly Peer[]) => readonly Peer[]): Promise<void> {
    const change = this.#writing.then(async () => {
      const peers = next(this.#peers);
      await replacePrivateFile(this.#path, `${JSON.stringify({ version: 1, peers }, undefined, 2)}\n`);
      this.#peers = peers;
    });
    this.#writing = change.catch(() => undefined);
    await change;
  }
}
