import { type ReactNode, useEffect, useRef } from 'react';
import uPlot from 'uplot';

/** One x and one or two y columns, oldest first; x in seconds. */
export type Columns = readonly [x: readonly number[], ...y: readonly (readonly number[])[]];

interface SparklineProps {
  readonly label: string;
  /** What it says now, in words; the line itself is for the eye alone. */
  readonly value: string;
  readonly columns: Columns;
  /** Top of the scale; it grows with what is drawn. */
  readonly top: number;
}

const spanS = 120;
const heightPx = 36;

export function Sparkline({ label, value, columns, top }: SparklineProps): ReactNode {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const scale = useRef(top);
  const lines = columns.length - 1;

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const drawn = new uPlot(options(element, lines, scale), [[], ...Array.from({ length: lines }, () => [])], element);
    plot.current = drawn;
    const watch = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: heightPx }));
    watch.observe(element);
    const scheme = window.matchMedia('(prefers-color-scheme: dark)');
    const repaint = (): void => drawn.redraw(false);
    scheme.addEventListener('change', repaint);
    return () => {
      scheme.removeEventListener('change', repaint);
      watch.disconnect();
      drawn.destroy();
    };
  }, [lines]);

  useEffect(() => {
    scale.current = columns.slice(1).reduce((most, column) => Math.max(most, ...column), top);
    plot.current?.setData(columns as unknown as uPlot.AlignedData);
  }, [columns, top]);

  return (
    <div className="chart">
      <p className="chart-words">
        <span className="soft">{label}</span> <span className="chart-value">{value}</span>
      </p>
      <div className="chart-line" ref={holder} aria-hidden="true" />
    </div>
  );
}

function options(element: HTMLElement, lines: number, scale: { readonly current: number }): uPlot.Options {
  // The canvas knows no style sheet; the colour of the element follows light and dark.
  const ink = (): string => getComputedStyle(element).color;
  return {
    width: element.clientWidth,
    height: heightPx,
    padding: [2, 0, 1, 0],
    legend: { show: false },
    cursor: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: (_, _least, last) => [(last ?? 0) - spanS, last ?? 0] },
      y: { range: () => [0, scale.current] },
    },
    series: [
      {},
      ...Array.from({ length: lines }, (_, at) => ({
        stroke: ink,
        width: 1.5,
        points: { show: false },
        // The second line is told apart without colour.
        ...(at === 0 ? { fill: () => `color-mix(in srgb, ${ink()} 14%, transparent)` } : { dash: [3, 3] }),
      })),
    ],
  };
}
