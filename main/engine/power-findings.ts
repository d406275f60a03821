import type { Finding } from '../../shared/rpc.ts';
import type { GuardState, MissingService, Power } from '../power/index.ts';

/** What the doctor says of the services that tell when this computer is about to leave. */
export async function powerFindings(power: Pick<Power, 'missing' | 'tryGuard'>): Promise<Finding[]> {
  const missing = await power.missing();
  const noLogind = missing.includes('bus') || missing.includes('logind');
  // Without ip(8) nobody stands in for NetworkManager, which is then said with that.
  const told = missing.filter((service) => service !== 'network-manager' || !missing.includes('ip'));
  return [
    ...told.map((service) => missingFindings[service]),
    ...(noLogind ? [] : [guardFinding(await power.tryGuard())]),
  ];
}

function guardFinding(guard: GuardState): Finding {
  if (guard.state === 'refused') {
    return {
      id: 'power-guard',
      severity: 'problem',
      title: 'Closing the lid does not wait for VMs',
      detail: guard.sentence,
      remedy: guard.hint,
    };
  }
  if (guard.state === 'held' && guard.takenBy !== undefined) {
    return {
      id: 'power-guard',
      severity: 'note',
      title: 'A desktop program handles the lid itself',
      detail: `“${guard.takenBy}” has taken the lid from logind, and what it does when the lid is closed does not wait for VMs. If it puts this computer to sleep, a VM that is away is paused first, and goes on when this computer is back.`,
      remedy:
        'Bring VMs home before closing the lid. Or set the desktop to do nothing when the lid is closed: then VMs come home by themselves, and this computer stays awake until you suspend it.',
    };
  }
  return {
    id: 'power-guard',
    severity: 'ok',
    title: 'Closing the lid waits for VMs to come home',
    detail: 'While one is away or on its way, logind holds that sleep back.',
  };
}

const missingFindings: Readonly<Record<MissingService, Finding>> = {
  bus: {
    id: 'power-bus',
    severity: 'problem',
    title: 'This computer has no message bus',
    detail:
      'Without it nothing tells when the lid is closed or the battery runs low, so VMs do not come home by themselves.',
    remedy: 'Bring VMs home before you leave. A usual desktop has the bus: the package dbus.',
  },
  logind: {
    id: 'power-logind',
    severity: 'problem',
    title: 'logind does not run here',
    detail: 'Closing the lid and going to sleep are not noticed and wait for no VM.',
    remedy: 'Bring VMs home before closing the lid; or use systemd-logind or elogind.',
  },
  upower: {
    id: 'power-upower',
    severity: 'note',
    title: 'UPower does not run here',
    detail: 'A battery that runs low is not noticed, so VMs do not come home for it.',
    remedy: 'Install it, if this computer has a battery.',
    command: 'sudo apt-get install upower',
  },
  'network-manager': {
    id: 'power-network-manager',
    severity: 'note',
    title: 'NetworkManager does not run here',
    detail:
      'A pulled cable is noticed by the kernel’s routes; Wi-Fi that fades is not, nor a network that is paid by volume.',
    remedy: 'Nothing has to be done on a computer that stays in reach of its hosts.',
  },
  ip: {
    id: 'power-ip',
    severity: 'note',
    title: 'Nothing tells whether this computer leaves its network',
    detail:
      'Neither NetworkManager nor the program ip answers, so a pulled cable or fading Wi-Fi is not noticed and VMs do not come home for it.',
    remedy: 'Install ip, or bring VMs home before you leave.',
    command: 'sudo apt-get install iproute2',
  },
};
