import type { Command } from 'commander';
import { HomewardError } from '../../../shared/errors.ts';
import type { Pairing } from '../../../shared/rpc.ts';
import { pairingView } from '../../../shared/view/index.ts';
import type { EngineClient } from '../../client/index.ts';
import { type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { hostTable } from './hosts.ts';

/** The person at the other computer has to look, compare and type. */
export const personTimeoutMs = 10 * 60_000;

interface PairOptions {
  readonly yesIfCode?: string;
}

export function addPair(program: Command): void {
  does<PairOptions>(
    program
      .command('pair')
      .description('pair with a host by comparing a code; without a name, list the hosts found')
      .argument('[host]', 'name or fingerprint')
      .option('--yes-if-code <code>', 'for scripts: accept if the code is this one, refuse otherwise')
      .addHelpText(
        'after',
        `
Both computers show a six-digit code. If it is the same, answer yes on both; if not, somebody is in between.
With --json and without --yes-if-code the question is still asked, on stderr.

Examples:
  homeward pair
  homeward pair tower`,
      ),
    async (context, options, host) =>
      host === undefined ? listHosts(context) : withEngine((engine) => pair(context, engine, host, options)),
  );
}

async function listHosts({ output }: Context): Promise<Outcome> {
  const hosts = await withEngine((engine) => engine.call('hosts.list', {}));
  output.result(hosts, () => hostTable(hosts, output.columns));
  output.note('\nPair with one: homeward pair NAME');
  return exitCodes.ok;
}

async function pair(context: Context, engine: EngineClient, host: string, options: PairOptions): Promise<Outcome> {
  const pairing = await engine.call('pair.start', { host });
  context.output.event({ event: 'pairing', pairing });
  const accept = await compareCode(context, pairing, options.yesIfCode);
  context.output.note(accept ? `Waiting for the answer at ${pairing.peerName}…` : 'Refused.');
  const { paired } = await engine.call('pair.answer', { id: pairing.id, accept }, { timeoutMs: personTimeoutMs });
  if (!paired) {
    throw new HomewardError(
      'pairing-failed',
      accept ? `${pairing.peerName} did not accept.` : `The pairing with ${pairing.peerName} was refused here.`,
      { hint: 'If the codes differed, somebody may be between the two computers. Try on a network you trust.' },
    );
  }
  context.output.result({ paired, peer: pairing }, () => `Paired with ${pairing.peerName}.`);
  return exitCodes.ok;
}

/** Shows the code and asks; with `expected` the comparison is made here. */
export async function compareCode(context: Context, pairing: Pairing, expected?: string): Promise<boolean> {
  const view = pairingView(pairing);
  context.output.note(`${view.title}\n\n    ${view.code}\n\n`);
  if (expected !== undefined) return expected.replaceAll(' ', '') === pairing.code;
  return context.asker.confirm(view.question);
}
