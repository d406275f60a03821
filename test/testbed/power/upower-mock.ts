import { setTimeout as sleep } from 'node:timers/promises';
import type { PowerBed } from './power-bed.ts';

const service = 'org.freedesktop.UPower';
const path = '/org/freedesktop/UPower';

/** UPower by dbusmock: a laptop with one battery, on its bus as long as that stands. */
export class UpowerMock {
  readonly #power: PowerBed;

  private constructor(power: PowerBed) {
    this.#power = power;
  }

  static async start(power: PowerBed): Promise<UpowerMock> {
    power.spawn('/usr/bin/python3', ['-m', 'dbusmock', '--system', '--template', 'upower']);
    const mock = new UpowerMock(power);
    await power.until(
      () =>
        mock.battery(80).then(
          () => true,
          () => sleep(100, false),
        ),
      'UPower’s mock',
    );
    return mock;
  }

  /** @param emptyInS Zero: it does not know. */
  async battery(percent: number, { discharging = false, emptyInS = 0 } = {}): Promise<void> {
    const state = discharging ? 2 : 4;
    await this.#call(path, 'org.freedesktop.DBus.Mock', 'SetupDisplayDevice', 'uuddddxxbsu', [
      ...[2, state, percent, percent / 2, 50, 10, BigInt(emptyInS), 0n, true, '', 1],
    ]);
  }

  async mains(on: boolean): Promise<void> {
    await this.#call(path, 'org.freedesktop.DBus.Mock', 'UpdateProperties', 'sa{sv}', [
      service,
      [['OnBattery', ['b', !on]]],
    ]);
  }

  async #call(object: string, iface: string, member: string, signature: string, body: unknown[]): Promise<void> {
    await this.#power
      .client()
      .invoke({ destination: service, path: object, interface: iface, member, signature, body });
  }
}
