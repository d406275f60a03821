import type { ReactNode } from 'react';
import type { Status } from '../../shared/rpc.ts';
import { type FirstStep, firstSteps } from '../../shared/view/index.ts';
import { href } from '../route.ts';
import { Icon } from './Icon.tsx';

interface FirstStepsProps {
  readonly status: Status;
}

/** The short way to a first move, until it is known. */
export function FirstSteps({ status }: FirstStepsProps): ReactNode {
  const steps = firstSteps(status);
  if (steps.length === 0) return null;
  const next = steps.find((step) => !step.done);
  const ready = status.vms.find((vm) => !vm.adopted);
  const links: Readonly<Record<FirstStep['key'], { readonly to: string; readonly label: string } | undefined>> = {
    find: { to: href('hosts'), label: 'Look for hosts' },
    pair: { to: href('hosts'), label: 'Pair' },
    ready: ready === undefined ? undefined : { to: href('ready', ready.uuid), label: `Make ${ready.name} ready` },
    offload: undefined,
  };
  return (
    <section className="card first" aria-labelledby="first-steps">
      <h2 id="first-steps">Let a VM work away and come home</h2>
      <ol className="first-steps">
        {steps.map((step, at) => {
          const link = links[step.key];
          return (
            <li key={step.key} className={step.done ? 'first-done' : step === next ? 'first-next' : ''}>
              <span className="first-mark" aria-hidden="true">
                {step.done ? <Icon name="check" /> : at + 1}
              </span>
              <div>
                <h3>
                  {step.title}
                  {step.done ? <span className="hidden"> (done)</span> : null}
                </h3>
                <p className="soft small">{step.detail}</p>
                {step === next && link !== undefined ? (
                  <a className="button button-primary" href={link.to}>
                    {link.label}
                  </a>
                ) : null}
              </div>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
