import { setTimeout as sleep } from 'node:timers/promises';
import type { Direction, Phase } from '../../../shared/model/move.ts';
import { homeward } from '../../testbed/index.ts';
import type { Case } from './matrix.ts';
import { directionOf, type Met, type Moment, metBy, pointOf } from './moments.ts';
import type { Rig } from './rig.ts';

const patienceMs = 60_000;

/** A move under way, as the engine tells of it. */
class Journey {
  readonly #id: string;
  readonly #direction: Direction;
  readonly #rig: Rig;
  #phase: Phase = 'planned';
  #met: Met;

  static async begin(rig: Rig, direction: Direction, atTerminal: boolean): Promise<Journey> {
    const { uuid } = rig.scene.guest;
    if (atTerminal) {
      const known = rig.laptop.moves.length;
      const command = direction === 'out' ? 'offload' : 'home';
      rig.terminal = await rig.scene.bed.laptop.spawn('node', [homeward, command, uuid], { stdio: 'ignore' });
      const id = await rig.laptop.until('the command to begin a move', patienceMs, async () =>
        rig.laptop.moves
          .slice(known)
          .map((move) => move.id)
          .at(0),
      );
      return new Journey(rig, direction, id);
    }
    const { id } = await rig.laptop.client.call(direction === 'out' ? 'move.offload' : 'move.home', { vm: uuid });
    return new Journey(rig, direction, id);
  }

  private constructor(rig: Rig, direction: Direction, id: string) {
    this.#rig = rig;
    this.#direction = direction;
    this.#id = id;
    this.#met = `${direction}/prepare`;
  }

  /** How far it has come; of one that failed, how far it had. */
  met(): Met {
    const told = this.#rig.laptop.moves.findLast(({ id }) => id === this.#id);
    this.#phase = told?.phase ?? this.#phase;
    const { bed, observer } = this.#rig.scene;
    const destination = this.#direction === 'out' ? bed.workstation.name : bed.laptop.name;
    if (told !== undefined) this.#met = metBy(this.#direction, told, observer.host === destination) ?? this.#met;
    return this.#met;
  }

  /** Resolves when it is at `moment` or beyond. @throws where it fails before */
  async reach(moment: Moment): Promise<void> {
    const order = ['prepare', 'pre-copy', 'switchover', 'post-copy', 'settle', undefined];
    const wanted = order.indexOf(pointOf(moment));
    const late = wanted >= order.indexOf('switchover');
    const deadline = performance.now() + patienceMs;
    while (order.indexOf(pointOf(this.met())) < wanted) {
      if (this.#phase === 'failed' || this.#phase === 'lost' || performance.now() > deadline)
        throw new Error(`The move is ${this.#phase} and never came to ${moment}.`);
      if (late && this.#phase === 'copying') {
        await this.#rig.laptop.client.call('move.finishNow', { vm: this.#rig.scene.guest.uuid }).catch(() => undefined);
      }
      await sleep(2);
    }
  }
}

/** Brings the VM to `moment`; what it is doing there can be asked for until the engine is gone. */
export async function bringTo(rig: Rig, moment: Case['moment'], atTerminal: boolean): Promise<() => Met> {
  if (typeof moment !== 'string') {
    const journey = await Journey.begin(rig, (await rig.be()) === 'home' ? 'out' : 'home', atTerminal);
    await sleep(moment.afterMs);
    return () => journey.met();
  }
  const direction = directionOf(moment);
  await rig.be(direction === 'out' ? 'home' : 'away');
  if (direction === undefined) return () => 'idle-away';
  const journey = await Journey.begin(rig, direction, atTerminal);
  await journey.reach(moment);
  return () => journey.met();
}
