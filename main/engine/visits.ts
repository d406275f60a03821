import type { Duplex } from 'node:stream';
import { HomewardError } from '../../shared/errors.ts';
import type { WantedStream } from '../../shared/wire.ts';
import type { Connection, Libvirt } from '../libvirt/index.ts';
import type { HostLink } from '../link/index.ts';
import { type LocalVm, VisitLink, type VisitRecord } from '../migrate/index.ts';

/** Home's ends of all visits under way, so that a host's request finds the VM it is about. */
export class Visits {
  /** Also those that are just being opened: whoever opens one at the same time gets the same. */
  readonly #open = new Map<string, Promise<VisitLink>>();
  readonly #libvirt: Libvirt;
  readonly #runtimeFolder: string;

  constructor(libvirt: Libvirt, runtimeFolder: string) {
    this.#libvirt = libvirt;
    this.#runtimeFolder = runtimeFolder;
  }

  open(record: VisitRecord, vm: LocalVm, link: HostLink): Promise<VisitLink> {
    const known = this.#open.get(record.visit);
    if (known !== undefined) return known;
    const opening = VisitLink.open({
      link,
      libvirt: this.#libvirt,
      visit: record.visit,
      vm,
      migrationFolder: record.migrationFolder,
      runtimeFolder: this.#runtimeFolder,
    });
    this.#open.set(record.visit, opening);
    opening.catch(() => this.#open.delete(record.visit));
    return opening;
  }

  has(visit: string): boolean {
    return this.#open.has(visit);
  }

  /** To the libvirt of a visit. @throws HomewardError `refused` for one that is not open here; LibvirtError */
  async connection(visit: string): Promise<Connection> {
    return (await this.#need(visit)).connection();
  }

  /** @throws HomewardError `refused` for a visit that is not, or no longer, known here. */
  async answer(wanted: WantedStream): Promise<Duplex> {
    return (await this.#need(wanted.visit)).answer(wanted);
  }

  async end(visit: string): Promise<void> {
    const opening = this.#open.get(visit);
    this.#open.delete(visit);
    const visitLink = await opening?.catch(() => undefined);
    await visitLink?.close();
    await visitLink?.removeFolder();
  }

  /** Closes sockets only: visitors go on, and their folders are found again. */
  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(async (opening) => (await opening.catch(() => undefined))?.close()));
  }

  #need(visit: string): Promise<VisitLink> {
    const opening = this.#open.get(visit);
    if (opening === undefined) throw new HomewardError('refused', 'That visit is not known here.');
    return opening;
  }
}
