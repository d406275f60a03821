/** mDNS both ways: finding workstations, and being found. */
export { type Announcement, Announcer } from './announcer.ts';
export { Discovery } from './discovery.ts';
export type { FoundHost } from './host-table.ts';
