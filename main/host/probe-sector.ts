/** probe-sector.S, assembled: a boot sector that proves an accelerator by using it. */
const code = [
  '+jHAjtiOwI7QvAB85JIMAuaSvwAQuQAYMcD886vHBgAQAyDHBgAgAzC/ADBmuIMAAABmiQVmBQAAIACDxwiB/wBAde4PARY0fWa4',
  'IAAAAA8i4Ga4ABAAAA8i2Ga5gAAAwA8yDQABDzBmuAEAAIAPIsDqdnwIAGa4EACO2I7AjtC8AHwAALsQAAAAvwAAAAG5AAAgAInY',
  '86u+AAAAAbkAACAAMdIDFkiDxgT/yXX2/8t12L+AUAAAuAl9AABmiQdmx0cCCABmx0cEAI7B6BBmiUcGSMdHCAAAAAAPARwlOn0A',
  'ALD+5iEx2/v0g/sFcvr6vhN9AABmuvgDrO6EwHX6ZroBBbAA7vTr/f/DULAg5iBYSM9ob21ld2FyZAAAAAAAAAAAAAAAAAAAmiAA',
  'AAAAAACSAAAXABx9AAD/DwBQ',
].join('');

/** What it prints on the serial port when it got through. */
export const probeText = 'homeward';

export function probeSector(): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from(code, 'base64').copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
