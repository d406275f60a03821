import type { Duplex } from 'node:stream';
import { formatAddress } from '../../shared/address.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { Benchmark, Host, HostAddress, HostFacts } from '../../shared/model/host.ts';
import type { WantedStream } from '../../shared/wire.ts';
import { Discovery, type FoundHost } from '../discovery/index.ts';
import { HostLink } from '../link/index.ts';
import type { Identity, PeerStore } from '../trust/index.ts';
import { HostMeasures } from './host-measures.ts';
import { LinkMeter } from './link-meter.ts';
import type { SettingsStore } from './settings.ts';

/** A paired host with its link, up or not. */
export interface KnownHost {
  readonly fingerprint: string;
  readonly name: string;
  readonly link: HostLink;
  /** How long the link has been up; 0 while it is not. */
  stableMs(): number;
}

export interface HostsOptions {
  readonly identity: Identity;
  readonly peers: PeerStore;
  readonly settings: SettingsStore;
  readonly onWanted: (wanted: WantedStream) => Promise<Duplex>;
  /** Whether a shell looks on; without one nothing is counted. */
  readonly watched: () => boolean;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

const factsEveryMs = 10_000;

interface Paired extends KnownHost {
  name: string;
  readonly meter: LinkMeter;
  readonly measures: HostMeasures;
  upSinceMs?: number | undefined;
  /** When it went down, on the clock. */
  downSince?: string | undefined;
  /** Where it answered last. */
  address?: HostAddress | undefined;
  facts?: HostFacts;
  isRefreshing?: boolean;
}

/** The workstations around: found, added by hand, paired; and the links to those that are paired. */
export class Hosts {
  readonly #options: HostsOptions;
  readonly #discovery: Discovery;
  readonly #found = new Map<string, FoundHost>();
  readonly #paired = new Map<string, Paired>();
  readonly #upListeners = new Set<(host: KnownHost) => void>();
  readonly #goneListeners = new Set<(host: KnownHost) => void>();
  readonly #homeWantedListeners = new Set<(host: KnownHost, visit: string) => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HostsOptions) {
    this.#options = options;
    this.#discovery = new Discovery({
      onFound: (host) => this.#foundHost(host),
      onGone: (fingerprint) => this.#goneHost(fingerprint),
      onFault: (thrown) => options.onFault('mDNS', thrown),
    });
  }

  async start(): Promise<void> {
    this.syncPeers();
    this.#timer = setInterval(() => void this.#refreshAll(), factsEveryMs);
    await this.#discovery.start();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#discovery.stop();
    await Promise.all([...this.#paired.values()].map(({ link }) => link.close()));
  }

  /** After a pairing, a renaming or a revocation. */
  syncPeers(): void {
    const wanted = new Map(
      this.#options.peers
        .list()
        .filter(({ role }) => role === 'host')
        .map((peer) => [peer.fingerprint, peer]),
    );
    for (const [fingerprint, paired] of this.#paired) {
      const peer = wanted.get(fingerprint);
      if (peer !== undefined) {
        // Its link carries visits, which know no other.
        paired.name = peer.name;
        continue;
      }
      this.#paired.delete(fingerprint);
      void paired.link.close();
    }
    for (const [fingerprint, { name }] of wanted) {
      if (!this.#paired.has(fingerprint)) this.#paired.set(fingerprint, this.#dial(fingerprint, name));
    }
    this.#options.onChange();
  }

  list(): Host[] {
    const paired = [...this.#paired.values()].map((host): Host => {
      const reachable = host.link.state === 'up';
      const { benchmark } = host.measures;
      const traffic = reachable && this.#options.watched() ? host.meter.read(host.link, performance.now()) : undefined;
      return {
        fingerprint: host.fingerprint,
        name: host.name,
        addresses: this.#knownAddresses(host),
        found: this.#found.has(host.fingerprint) ? 'mdns' : 'remembered',
        paired: true,
        reachable,
        ...(reachable ? {} : { obstacle: host.link.obstacle?.message ?? 'It does not answer.' }),
        ...(!reachable && host.link.obstacle?.code === 'not-paired' ? { mayPairAnew: true } : {}),
        ...(reachable || host.downSince === undefined ? {} : { unreachableSince: host.downSince }),
        ...(host.facts === undefined ? {} : { facts: host.facts }),
        ...(benchmark === undefined ? {} : { benchmark }),
        ...(host.link.roundTripMs === undefined ? {} : { roundTripMs: host.link.roundTripMs }),
        ...(traffic === undefined ? {} : { traffic }),
      };
    });
    const strangers = [...this.#found.values()]
      .filter(({ fingerprint }) => !this.#paired.has(fingerprint))
      .map(
        (found): Host => ({
          fingerprint: found.fingerprint,
          name: found.name,
          addresses: [...found.addresses],
          found: 'mdns',
          paired: false,
          reachable: true,
          obstacle: 'It is not paired with this computer.',
        }),
      );
    const manual = this.#options.settings.current.manualHosts
      .filter((manualHost) => ![...paired, ...strangers].some(({ addresses }) => includes(addresses, manualHost)))
      .map(
        (manualHost): Host => ({
          name: formatAddress(manualHost),
          addresses: [manualHost],
          found: 'manual',
          paired: false,
          reachable: false,
          obstacle: 'It is not paired with this computer.',
        }),
      );
    return [...paired, ...strangers, ...manual];
  }

  /** By fingerprint, a unique start of one, name or address; found, remembered or added by hand. @throws HomewardError `unknown-host` */
  find(key: string): Host {
    return this.#find(key, this.list());
  }

  #find(key: string, hosts: readonly Host[]): Host {
    const matches = answeringTo(key, hosts);
    const [only] = matches;
    if (only === undefined) {
      throw new HomewardError('unknown-host', `There is no host "${key}".`, {
        hint:
          hosts.length === 0
            ? 'None was found. On the workstation run: homeward host. If the network blocks mDNS: homeward hosts add ADDRESS:PORT'
            : `There are: ${hosts.map(({ name }) => name).join(', ')}`,
      });
    }
    if (matches.length > 1) {
      throw new HomewardError('bad-input', `More than one host answers to "${key}".`, {
        hint: `Use the fingerprint: ${matches.map(({ fingerprint }) => fingerprint?.slice(0, 12)).join(' or ')}`,
      });
    }
    return only;
  }

  /** A paired host, reachable or not. @throws HomewardError `not-paired`, `unknown-host` */
  need(fingerprint: string): KnownHost {
    const host = this.#paired.get(fingerprint);
    if (host === undefined) {
      throw new HomewardError('not-paired', 'The host of this visit is no longer paired with this computer.', {
        hint: 'Pair it again: homeward pair NAME',
      });
    }
    return host;
  }

  isUp(fingerprint: string): boolean {
    return this.#paired.get(fingerprint)?.link.state === 'up';
  }

  /** Undefined where it is not paired any more. */
  linkTo(fingerprint: string): HostLink | undefined {
    return this.#paired.get(fingerprint)?.link;
  }

  /** A paired host that answers: the one named, or the only sensible one. @throws HomewardError */
  usable(key: string | undefined): KnownHost {
    if (key === undefined) {
      const up = [...this.#paired.values()].filter(({ link }) => link.state === 'up');
      const [only] = up;
      if (only !== undefined && up.length === 1) return only;
      throw new HomewardError(
        up.length === 0 ? 'host-unreachable' : 'bad-input',
        up.length === 0 ? 'No paired host answers.' : 'More than one host answers; say which.',
        {
          hint:
            up.length === 0
              ? 'See what is there with: homeward hosts; pair one with: homeward pair NAME'
              : `Add --to ${up.map(({ name }) => name).join(' or --to ')}`,
        },
      );
    }
    const all = this.list();
    const own = all.filter(({ paired }) => paired);
    // What strangers on this network call themselves must not come between.
    const host = this.#find(key, answeringTo(key, own).length === 0 ? all : own);
    const paired = host.fingerprint === undefined ? undefined : this.#paired.get(host.fingerprint);
    if (paired === undefined) {
      throw new HomewardError('not-paired', `${host.name} is not paired with this computer.`, {
        hint: `Pair it: homeward pair ${host.name}`,
      });
    }
    if (paired.link.state !== 'up') {
      const why = paired.link.obstacle;
      if (why?.code === 'not-paired' || why?.code === 'incompatible') {
        throw new HomewardError(why.code, `${paired.name}: ${why.message}`, { hint: why.hint, cause: why });
      }
      throw new HomewardError('host-unreachable', `${paired.name} does not answer.`, {
        hint: 'Is it switched on, on the same network, and is `homeward host` running there?',
      });
    }
    return paired;
  }

  /** Paired hosts that answer and have told their facts. */
  reachable(): { readonly host: KnownHost; readonly facts: HostFacts }[] {
    return [...this.#paired.values()].flatMap((host) =>
      host.facts !== undefined && host.link.state === 'up' ? [{ host, facts: host.facts }] : [],
    );
  }

  /** Asked anew. @throws HomewardError `timeout`, `host-unreachable` */
  async freshFacts(host: KnownHost): Promise<HostFacts> {
    const facts = await host.link.call('host.facts', {});
    const paired = this.#paired.get(host.fingerprint);
    if (paired !== undefined) paired.facts = facts;
    return facts;
  }

  /**
   * Now, because a person asks.
   * @throws HomewardError `refused` where the host is at work and has no scores of its own; the link has been measured then
   */
  async measure({ fingerprint }: KnownHost): Promise<Benchmark> {
    const host = this.#paired.get(fingerprint);
    if (host === undefined) throw new HomewardError('not-paired', 'That host is no longer paired with this computer.');
    const benchmark = await host.measures.measure();
    this.#options.onChange();
    return benchmark;
  }

  onUp(listener: (host: KnownHost) => void): void {
    this.#upListeners.add(listener);
    for (const host of this.#paired.values()) if (host.link.state === 'up') listener(host);
  }

  /** Has whatever waits for a host try again, as if it had just come up, where it is up: something that was in the way is gone. */
  meetAgain(fingerprint: string): void {
    const host = this.#paired.get(fingerprint);
    if (host?.link.state !== 'up') return;
    for (const listener of this.#upListeners) listener(host);
  }

  /** A host tells, each time, that a visit has no VM any more. */
  onVisitGone(listener: (host: KnownHost) => void): void {
    this.#goneListeners.add(listener);
  }

  /** The owner of a host asks for a visitor, by its visit there, to be brought home. */
  onHomeWanted(listener: (host: KnownHost, visit: string) => void): void {
    this.#homeWantedListeners.add(listener);
  }

  #dial(fingerprint: string, name: string): Paired {
    const link = new HostLink({
      identity: this.#options.identity,
      fingerprint,
      addresses: () => this.#addresses(fingerprint),
      onWanted: this.#options.onWanted,
      onVisitChanged: ({ state }) => {
        if (state === 'gone') for (const listener of this.#goneListeners) listener(host);
        this.#options.onChange();
      },
      onHomeWanted: (visit) => {
        for (const listener of this.#homeWantedListeners) listener(host, visit);
      },
      onFault: (thrown) => this.#options.onFault('link', thrown),
    });
    const host: Paired = {
      fingerprint,
      name,
      link,
      meter: new LinkMeter(),
      measures: new HostMeasures(link),
      stableMs: () => (host.upSinceMs === undefined ? 0 : performance.now() - host.upSinceMs),
    };
    link.onState((state) => {
      host.address = link.address ?? host.address;
      if (host.upSinceMs !== undefined && state !== 'up') host.downSince = new Date().toISOString();
      host.upSinceMs = state === 'up' ? performance.now() : undefined;
      if (state === 'up') this.#cameUp(host);
      this.#options.onChange();
    });
    return host;
  }

  #cameUp(host: Paired): void {
    host.measures.linkCameUp();
    void this.#refresh(host);
    for (const listener of this.#upListeners) listener(host);
  }

  async #refresh(host: Paired): Promise<void> {
    // Over a slow link one may take longer than it is to the next, and two would share the link they measure.
    if (host.isRefreshing === true) return;
    host.isRefreshing = true;
    try {
      await host.measures.refresh(await this.freshFacts(host));
      this.#options.onChange();
    } catch (thrown) {
      this.#options.onFault(`asking ${host.name}`, thrown);
    } finally {
      host.isRefreshing = false;
    }
  }

  async #refreshAll(): Promise<void> {
    await Promise.all(
      [...this.#paired.values()].filter(({ link }) => link.state === 'up').map((host) => this.#refresh(host)),
    );
  }

  #knownAddresses({ fingerprint, address }: Paired): HostAddress[] {
    const found = this.#found.get(fingerprint)?.addresses ?? [];
    return address === undefined || includes(found, address) ? [...found] : [...found, address];
  }

  /**
   * Where to try: where it announces itself, where it answered last (this network may not carry announcements), and
   * addresses added by hand, behind each of which there may be any host that does not answer elsewhere.
   */
  #addresses(fingerprint: string): HostAddress[] {
    const own = this.#paired.get(fingerprint);
    const known = own === undefined ? [] : this.#knownAddresses(own);
    const others = [...this.#paired.values()].filter((host) => host !== own && host.link.state === 'up');
    const taken = others.flatMap(({ address }) => (address === undefined ? [] : [address]));
    const maybe = this.#options.settings.current.manualHosts.filter(
      (address) => !includes([...known, ...taken], address),
    );
    return [...known, ...maybe];
  }

  #foundHost(host: FoundHost): void {
    if (host.fingerprint === this.#options.identity.fingerprint) return;
    this.#found.set(host.fingerprint, host);
    this.#paired.get(host.fingerprint)?.link.nudge();
    this.#options.onChange();
  }

  #goneHost(fingerprint: string): void {
    this.#found.delete(fingerprint);
    this.#options.onChange();
  }
}

/** A whole fingerprint means that host alone: a name is whatever somebody announces. */
function answeringTo(key: string, hosts: readonly Host[]): readonly Host[] {
  const lowerKey = key.toLowerCase();
  const identical = hosts.filter(({ fingerprint }) => fingerprint === lowerKey);
  if (identical.length > 0) return identical;
  const named = hosts.filter(({ name }) => name === key);
  if (named.length > 0) return named;
  const there = hosts.find(({ addresses }) => addresses.some((address) => formatAddress(address) === key));
  if (there !== undefined) return [there];
  return key.length < 4 ? [] : hosts.filter(({ fingerprint }) => fingerprint?.startsWith(lowerKey));
}

function includes(addresses: readonly HostAddress[], wanted: HostAddress): boolean {
  return addresses.some(({ address, port }) => address === wanted.address && port === wanted.port);
}
