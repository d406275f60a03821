#!/usr/bin/env node
// Plain JavaScript that any Node since 16 can read: finds a Node that runs Homeward and hands over, to what was built
// of it or, where that is older than the sources, to the TypeScript itself.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import module from 'node:module';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtProgram } from './built.mjs';

const neededMajor = 24;
const program = builtProgram() ?? fileURLToPath(new URL('../main/cli/homeward.ts', import.meta.url));
const ownNode = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));

// Compiled code is kept, for this command and for the engine it may start: half the time to start, and memory that
// the compiler would have taken.
process.env.NODE_COMPILE_CACHE ??= join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'homeward/compiled');

/**
 * In the foreground of a terminal the child hears Ctrl-C by itself, as the whole process group does
 * (proc(5): fields 5 and 8 of stat, process group and the terminal's foreground group).
 */
function terminalReachesChild() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[2] === fields[5];
  } catch {
    return false;
  }
}

function runWith(node) {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
    process.on(signal, () => {
      const fromKeyboard = signal === 'SIGINT' || signal === 'SIGQUIT';
      if (!(fromKeyboard && terminalReachesChild())) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    console.error(`homeward: ${node} could not be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(program);
} else if (existsSync(ownNode)) {
  runWith(ownNode);
} else {
  console.error(`homeward: needs Node ${neededMajor} or newer; this is ${process.versions.node}. Run: npm install`);
  process.exitCode = 1;
}
