/** D-Bus: one connection to the user's or the machine's bus. */
export { Bus } from './bus.ts';
