/** When a person usually leaves with this computer, by the week, as its clock shows. */
import { z } from 'zod';
import { HomewardError } from '../errors.ts';

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const Weekday = z.enum(weekdays);
type Weekday = z.infer<typeof Weekday>;

const LeavingTime = z.object({
  /** Both included; the same for one day. From `sat` to `mon` are three days. */
  from: Weekday,
  to: Weekday,
  /** Hours and minutes of the local clock: "17:30". */
  at: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/),
});
type LeavingTime = z.infer<typeof LeavingTime>;

export const LeavingTimes = z.array(LeavingTime).max(20);
export type LeavingTimes = z.infer<typeof LeavingTimes>;

/** Who has not left half an hour after the usual time stays longer today. */
const overdueS = 1_800;
const daysAWeek = 7;

/** Until the next of them, in seconds; below zero for the half hour after one. Undefined where there is none. */
export function leavesInS(times: LeavingTimes, now: Date): number | undefined {
  const coming = [-1, 0, 1, 2, 3, 4, 5, 6, 7].flatMap((ahead) => {
    const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() + ahead);
    return times
      .filter((time) => isOn(time, day))
      .map(({ at }) => {
        const [hours, minutes] = at.split(':').map(Number);
        // By the calendar: twice a year a day has not 24 hours.
        const then = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hours, minutes);
        return (then.getTime() - now.getTime()) / 1_000;
      })
      .filter((inS) => inS > -overdueS);
  });
  return coming.length === 0 ? undefined : Math.min(...coming);
}

/**
 * "Mon-Fri 17:30, Sat 12:00": a day, a range of days or "daily", then a time; "none" or nothing for none.
 * @throws HomewardError `bad-input`
 */
export function parseLeaving(text: string): LeavingTimes {
  const entries = text.split(',').map((entry) => entry.trim().toLowerCase());
  const times = entries
    .filter((entry) => entry !== '' && entry !== 'none')
    .map((entry) => {
      const [, days = '', at = ''] = /^(\S+)\s+(\S+)$/.exec(entry) ?? [];
      const [from, to = from, ...more] = days === 'daily' ? ['mon', 'sun'] : days.split(/[-–]/);
      return { from, to, at: more.length === 0 ? at.padStart(5, '0') : '' };
    });
  const parsed = LeavingTimes.safeParse(times);
  if (parsed.success) return parsed.data;
  throw new HomewardError('bad-input', `"${text}" cannot be read as times of leaving.`, {
    hint: 'Say days and a time, such as "Mon-Fri 17:30, Sat 12:00" or "daily 18:00"; or none.',
    cause: parsed.error,
  });
}

/** As `parseLeaving` reads them. */
export function leavingWords(times: LeavingTimes): string {
  return times.map((time) => `${daysWords(time)} ${time.at}`).join(', ');
}

function daysWords({ from, to }: LeavingTime): string {
  if (from === 'mon' && to === 'sun') return 'daily';
  return from === to ? dayWord(from) : `${dayWord(from)}-${dayWord(to)}`;
}

function dayWord(day: Weekday): string {
  return `${day.charAt(0).toUpperCase()}${day.slice(1)}`;
}

function isOn({ from, to }: LeavingTime, date: Date): boolean {
  const first = weekdays.indexOf(from);
  const sinceFirst = (((date.getDay() + 6) % daysAWeek) - first + daysAWeek) % daysAWeek;
  return sinceFirst <= (weekdays.indexOf(to) - first + daysAWeek) % daysAWeek;
}
