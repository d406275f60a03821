import { buildGuest } from './build.ts';

const { template } = await buildGuest();
console.log(`The guest is ready: ${template}`);
