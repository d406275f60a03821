import { buildDebianGuest } from './build.ts';

const { template } = await buildDebianGuest();
console.log(`The Debian guest is ready: ${template}`);
