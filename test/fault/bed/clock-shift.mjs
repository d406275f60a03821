/** For node's --import: SIGUSR2 sets this process's clock, as JavaScript sees it, two hours ahead; the next one back. */
const RealDate = Date;
const jumpMs = 2 * 60 * 60 * 1_000;
let aheadMs = 0;

globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [RealDate.now() + aheadMs] : args));
  }

  static now() {
    return RealDate.now() + aheadMs;
  }
};

process.on('SIGUSR2', () => {
  aheadMs = aheadMs === 0 ? jumpMs : 0;
});
