import { randomFrom } from '../random.ts';

/** Numbers drawn from a seed: the same seed, the same trace. */
export class Random {
  /** 0 ≤ x < 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomFrom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b));
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[Math.floor(this.next() * from.length)] ?? from[0];
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** P(X > x) = (low/x)^alpha, cut off at `high`. */
  pareto(low: number, high: number, alpha = 1): number {
    const tail = (low / high) ** alpha;
    return low * (1 - this.next() * (1 - tail)) ** (-1 / alpha);
  }

  /** Around `median`, two thirds within a factor of e^sigma. */
  logNormal(median: number, sigma: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return median * Math.exp(sigma * normal);
  }
}
