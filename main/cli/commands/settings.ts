import { Argument, type Command } from 'commander';
import type { z } from 'zod';
import { HomewardError } from '../../../shared/errors.ts';
import { DisplayName } from '../../../shared/model/identifiers.ts';
import { parseLeaving } from '../../../shared/model/leaving.ts';
import type { calls, Preferences } from '../../../shared/rpc.ts';
import { type PreferenceKey, preferenceKeys, preferenceViews, triggerOf } from '../../../shared/view/index.ts';
import { parseWhole } from '../choose.ts';
import { asks } from '../command.ts';
import { table } from '../table.ts';

type Change = z.input<(typeof calls)['preferences.change']['params']>;

export function addSettings(program: Command): void {
  const settings = program
    .command('settings')
    .description('what this computer is called, what you are told, when VMs come home by themselves')
    .addHelpText(
      'after',
      `
Computers nearby see a new name within seconds. Those you are paired with keep the one they know you by in their
lists, until it is changed there: homeward peers rename

Examples:
  homeward settings
  homeward settings set name attic
  homeward settings set notify.moves off
  homeward settings set departure.lid 120
  homeward settings set leaving "Mon-Fri 17:30, Sat 12:00"`,
    );
  asks(
    settings.command('list', { isDefault: true }).description('show them'),
    async (engine) => (await engine.call('engine.status', {})).preferences,
    (preferences, { output }) => settingsTable(preferences, output.columns),
  );
  asks(
    settings
      .command('set')
      .description('change one')
      .addArgument(new Argument('<key>', 'which').choices(preferenceKeys))
      .argument(
        '<value>',
        'on or off; for cooldown, seconds; for departure, on, off, or seconds; for leaving, times or none',
      )
      .addHelpText(
        'after',
        '\nExamples:\n  homeward settings set cooldown 300\n  homeward settings set close-to-tray off --json',
      ),
    (engine, _options, key = '', value = '') =>
      engine.call('preferences.change', changeOf(key as PreferenceKey, value)),
    (preferences, { output }) => settingsTable(preferences, output.columns),
  );
}

/** @throws HomewardError `bad-input` */
function changeOf(key: PreferenceKey, value: string): Change {
  switch (key) {
    case 'name':
      return { name: parseName(value) };
    case 'cooldown':
      return { cooldownS: parseWhole(value, 'cooldown', 0, 86_400) };
    case 'balloon':
      return { balloon: parseOnOff(key, value) };
    case 'leaving':
      return { leaving: parseLeaving(value) };
    case 'close-to-tray':
      return { closeToTray: parseOnOff(key, value) };
    case 'notify.suggestions':
      return { notify: { suggestions: parseOnOff(key, value) } };
    case 'notify.moves':
      return { notify: { moves: parseOnOff(key, value) } };
    case 'notify.trouble':
      return { notify: { trouble: parseOnOff(key, value) } };
    case 'notify.pairing':
      return { notify: { pairing: parseOnOff(key, value) } };
    case 'departure.sleep':
      return { departure: { sleep: { on: parseOnOff(key, value) } } };
    case 'departure.lid':
    case 'departure.battery':
    case 'departure.dock':
    case 'departure.cable':
    case 'departure.wifi':
    case 'departure.power':
      return { departure: { [triggerOf(key)]: parseTrigger(key, value) } };
  }
}

function parseName(text: string): string {
  const name = DisplayName.safeParse(text);
  if (name.success) return name.data;
  throw new HomewardError('bad-input', `"${text}" cannot be the name of a computer.`, {
    hint: 'A name has 1 to 200 characters that can be shown, and no slash.',
  });
}

/** A number of seconds turns it on as well. */
function parseTrigger(key: PreferenceKey, text: string): { on: boolean; deadlineS?: number } {
  if (/^\d/.test(text)) return { on: true, deadlineS: parseWhole(text, key, 10, 3_600) };
  return { on: parseOnOff(key, text) };
}

function parseOnOff(key: PreferenceKey, text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new HomewardError('bad-input', `${key} is "${text}"; it can be on or off.`);
}

function settingsTable(preferences: Preferences, columns: number): string {
  const rows = preferenceViews(preferences).map(({ key, value, meaning }) => [key, value, meaning]);
  return table(['SETTING', 'VALUE', 'MEANING'], rows, columns);
}
