import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { requirements } from './requirements.mjs';

/**
 * The system set-up: installs what is missing, after asking, and lets QEMU use userfaultfd. Does nothing where all is
 * there, so that an ordinary user needs no rights on a machine that is set up.
 */

const unattended = process.env.CI === 'true';
const isRoot = process.getuid() === 0;
const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean);
const managers = ['apt', 'dnf', 'pacman'];
const userfaultfd = '/proc/sys/vm/unprivileged_userfaultfd';
const sysctlFile = '/etc/sysctl.d/60-homeward.conf';

const installers = {
  // A policy-rc.d that says no keeps Debian from starting what it installs; one that is there already is left alone.
  apt: (packages) => `
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
fi
apt-get update -qq
${packages.length > 0 ? `apt-get install -y -qq --no-install-recommends ${packages.join(' ')}` : ''}`,
  dnf: (packages) => `dnf install -y --setopt=install_weak_deps=False ${packages.join(' ')}`,
  pacman: (packages) => `pacman -S --needed --noconfirm ${packages.join(' ')}`,
};

/** @param options `forTests`: with what only tests need; `forWorkloads`: with what only `bench:workloads` needs. */
export async function setUp({ forTests = false, forWorkloads = false } = {}) {
  const manager = managers.find((name) => commandPath(name === 'apt' ? 'apt-get' : name) !== undefined);
  const needed = requirements.filter(
    ({ onlyForTests, onlyForWorkloads }) => (forTests || !onlyForTests) && (forWorkloads || !onlyForWorkloads),
  );
  const missing = needed.filter((requirement) => !isThere(requirement));
  const listsMissing = manager === 'apt' && !aptKnowsTheKernel();
  const post = postcopyMissing();
  if (missing.length === 0 && !listsMissing && !post) return;

  if (manager === undefined && missing.length > 0) {
    refuse(
      `Homeward needs programs that provide ${listOf(missing.map(({ apt }) => apt))} (Debian’s names); install them with your package manager.`,
    );
  }
  const packages = [...new Set(missing.map((requirement) => requirement[manager]))];
  const script = [
    'set -e',
    packages.length > 0 || listsMissing ? installers[manager](packages) : '',
    post ? postcopyScript : '',
  ].join('\n');

  console.log('Homeward sets up this machine:');
  for (const requirement of missing) console.log(`  ${requirement[manager].padEnd(28)} ${requirement.why}`);
  if (listsMissing) console.log(`  ${'apt-get update'.padEnd(28)} the guest’s kernel is a Debian package`);
  if (post) {
    console.log(
      `  ${'vm.unprivileged_userfaultfd=1'.padEnd(28)} post-copy: a VM may run on while its memory still arrives`,
    );
  }
  console.log('No service is started.');

  if (!(await agreed(manager, packages, post))) refuse('Nothing was installed.');
  const asRoot = isRoot ? ['sh', '-c', script] : ['sudo', ...(unattended ? ['-n'] : []), 'sh', '-c', script];
  const done = spawnSync(asRoot[0], asRoot.slice(1), { stdio: 'inherit' });
  if (done.status !== 0) refuse('The set-up did not finish; what it said is above.');
  const still = needed.filter((requirement) => !isThere(requirement));
  if (still.length > 0) refuse(`After the set-up there is still no ${listOf(still.map((r) => r[manager]))}.`);
  if (postcopyMissing())
    console.warn('This kernel would not set vm.unprivileged_userfaultfd; moves will go without post-copy.');
}

const postcopyScript = `
printf '%s\\n' '# Homeward: lets QEMU that is not root use userfaultfd, which post-copy migration needs.' \\
  'vm.unprivileged_userfaultfd = 1' >${sysctlFile}
echo 1 >${userfaultfd} || true`;

function isThere({ commands = [], files, staticFiles }) {
  if (!commands.every((name) => commandPath(name) !== undefined)) return false;
  if (files !== undefined && !files.some((path) => existsSync(path))) return false;
  // A busybox that needs a dynamic loader would find none in the guest.
  return (
    staticFiles === undefined ||
    staticFiles.some((path) => existsSync(path) && !readFileSync(path).includes('/ld-linux'))
  );
}

function commandPath(name) {
  return folders
    .map((folder) => `${folder}/${name}`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function aptKnowsTheKernel() {
  return spawnSync('apt-cache', ['show', 'linux-image-cloud-amd64'], { stdio: 'ignore' }).status === 0;
}

/** Kernels before 5.11 let everybody use userfaultfd by default, or had no such setting. */
function postcopyMissing() {
  return existsSync(userfaultfd) && readFileSync(userfaultfd, 'utf8').trim() === '0';
}

async function agreed(manager, packages, post) {
  if (!isRoot && commandPath('sudo') === undefined) refuse(needRoot(manager, packages, post));
  if (unattended) return true;
  if (!process.stdin.isTTY) {
    if (isRoot) return true; // nobody there to ask, and nobody else to protect
    refuse(needRoot(manager, packages, post));
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(isRoot ? 'Go on? [Y/n] ' : 'Go on, with sudo? [Y/n] ');
  terminal.close();
  return /^(y|yes|)$/i.test(answer.trim());
}

function needRoot(manager, packages, post) {
  const install = {
    apt: `apt-get update && apt-get install --no-install-recommends ${packages.join(' ')}`,
    dnf: `dnf install ${packages.join(' ')}`,
    pacman: `pacman -S --needed ${packages.join(' ')}`,
  };
  const parts = [
    ...(packages.length > 0 ? [install[manager]] : []),
    ...(post ? [`echo vm.unprivileged_userfaultfd=1 >${sysctlFile} && sysctl -p ${sysctlFile}`] : []),
  ];
  return `This needs root once; run as root: ${parts.join(' && ') || 'apt-get update'}`;
}

function listOf(names) {
  return [...new Set(names)].join(', ');
}

function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}
