import { randomUUID } from 'node:crypto';
import type { Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { HostFacts } from '../../shared/model/host.ts';
import type { Calls, Finding, Status } from '../../shared/rpc.ts';
import { localFacts } from '../host/index.ts';
import { Libvirt } from '../libvirt/index.ts';
import { Monitor } from '../monitor/index.ts';
import { Identity, PeerStore } from '../trust/index.ts';
import { Adopter } from './adoption.ts';
import { AdoptionStore } from './adoption-store.ts';
import { Autopilot } from './autopilot.ts';
import { Doctor } from './doctor.ts';
import { Fleet } from './fleet.ts';
import { HomeServices } from './home-services.ts';
import { Hosting } from './hosting.ts';
import { Hosts } from './hosts.ts';
import { type Journal, openJournal } from './journal.ts';
import { inWords } from './libvirt-words.ts';
import { acquireLock, type EngineLock } from './lock.ts';
import { createLog, type Logger } from './log.ts';
import { Moves } from './moves.ts';
import { Pairings } from './pairings.ts';
import { type Paths, preparePaths } from './paths.ts';
import { Planner } from './planner.ts';
import { type RpcServer, startRpcServer } from './rpc-server.ts';
import { openSettings, type SettingsStore } from './settings.ts';
import { version } from './version.ts';
import { Visits } from './visits.ts';

const vmUris = { session: 'qemu:///session', system: 'qemu:///system' } as const;
const homeFactsEveryMs = 10_000;

/** Wiring only: builds the rooms, connects them, takes them down in reverse. */
export class Engine {}
