import { memo, type ReactNode, useMemo } from 'react';
import type { Sample, Vm } from '../../shared/model/vm.ts';
import { formatBytes, formatRate } from '../../shared/view/index.ts';
import { useStore, useWindow } from '../hooks.ts';
import type { Traffic } from '../series.ts';
import { type Columns, Sparkline } from './Sparkline.tsx';

interface VmChartsProps {
  readonly vm: Vm;
  /** Whose link the VM lives on or moves over; undefined at home. */
  readonly host: string | undefined;
}

/** Below this a quiet line would be drawn as a storm. */
const leastRate = 1024 * 1024;

/** The last two minutes of a VM. */
export function VmCharts({ vm, host }: VmChartsProps): ReactNode {
  const { series } = useStore();
  const samples = useWindow(() => series.samples(vm.uuid));
  const traffic = useWindow(() => series.traffic(host ?? ''));
  return <Charts samples={samples} traffic={host === undefined ? undefined : traffic} memoryBytes={vm.memoryBytes} />;
}

interface ChartsProps {
  readonly samples: readonly Sample[];
  readonly traffic: readonly Traffic[] | undefined;
  readonly memoryBytes: number;
}

/** Redrawn when there is a new sample, not at each status. */
const Charts = memo(function Charts({ samples, traffic, memoryBytes }: ChartsProps): ReactNode {
  const columns = useMemo(() => columnsOf(samples), [samples]);
  const link = useMemo(() => linkColumns(traffic ?? []), [traffic]);
  const last = samples.at(-1);
  const flow = traffic?.at(-1);
  if (last === undefined) return null;
  return (
    <div className="charts">
      <Sparkline
        label="vCPU"
        value={`${last.busyVcpus.toFixed(1)} of ${last.vcpus} busy`}
        columns={columns.vcpu}
        top={last.vcpus}
      />
      <Sparkline
        label="Memory"
        value={`${formatBytes(last.usedMemoryBytes)} of ${formatBytes(memoryBytes)}`}
        columns={columns.memory}
        top={memoryBytes}
      />
      <Sparkline label="Disk" value={formatRate(last.diskBytesPerSec)} columns={columns.disk} top={leastRate} />
      {last.dirtyBytesPerSec === undefined ? null : (
        <Sparkline
          label="Rewritten"
          value={formatRate(last.dirtyBytesPerSec)}
          columns={columns.dirty}
          top={leastRate}
        />
      )}
      {flow === undefined ? null : (
        <Sparkline
          label="Link"
          value={`↑ ${formatRate(flow.outBytesPerSec)} ↓ ${formatRate(flow.homeBytesPerSec)}`}
          columns={link}
          top={leastRate}
        />
      )}
    </div>
  );
});

interface VmColumns {
  readonly vcpu: Columns;
  readonly memory: Columns;
  readonly disk: Columns;
  readonly dirty: Columns;
}

function columnsOf(samples: readonly Sample[]): VmColumns {
  const x = samples.map(({ at }) => at / 1_000);
  const column = (pick: (sample: Sample) => number): Columns => [x, samples.map(pick)];
  return {
    vcpu: column((sample) => sample.busyVcpus),
    memory: column((sample) => sample.usedMemoryBytes),
    disk: column((sample) => sample.diskBytesPerSec),
    dirty: column((sample) => sample.dirtyBytesPerSec ?? 0),
  };
}

function linkColumns(traffic: readonly Traffic[]): Columns {
  return [
    traffic.map(({ at }) => at / 1_000),
    traffic.map(({ outBytesPerSec }) => outBytesPerSec),
    traffic.map(({ homeBytesPerSec }) => homeBytesPerSec),
  ];
}
