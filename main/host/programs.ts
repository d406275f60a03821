import { HomewardError } from '../../shared/errors.ts';
import type { VisitRequest } from '../../shared/wire.ts';
import { findCommand } from '../process/index.ts';

interface Program {
  readonly command: string;
  /** As Debian calls it. */
  readonly package: string;
  readonly neededFor: (request: Pick<VisitRequest, 'disks' | 'nics'>) => boolean;
}

const programs: readonly Program[] = [
  { command: 'bwrap', package: 'bubblewrap', neededFor: () => true },
  { command: 'libvirtd', package: 'libvirt-daemon', neededFor: () => true },
  { command: 'nbdkit', package: 'nbdkit', neededFor: ({ disks }) => disks.length > 0 },
  { command: 'socat', package: 'socat', neededFor: ({ nics }) => nics > 0 },
];

/** @throws HomewardError `missing-tool` with the first of the programs a visit needs that is not here */
export async function needPrograms(
  request: Pick<VisitRequest, 'disks' | 'nics'>,
  searchPath = process.env['PATH'] ?? '',
): Promise<void> {
  for (const program of programs) {
    if (!program.neededFor(request)) continue;
    await findCommand(program.command, searchPath).catch((cause: unknown) => {
      throw new HomewardError(
        'missing-tool',
        `The program ${program.command}, which a visitor needs, is not installed on this workstation.`,
        { hint: `Install the package ${program.package} there.`, cause },
      );
    });
  }
}
