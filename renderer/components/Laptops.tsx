import type { ReactNode } from 'react';
import type { Peer } from '../../shared/rpc.ts';
import { useCall } from '../hooks.ts';
import { Confirm } from './Confirm.tsx';

interface LaptopsProps {
  readonly laptops: readonly Peer[];
  /** After one was revoked. */
  readonly onChange: () => void;
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** Computers whose VMs may run here. */
export function Laptops({ laptops, onChange }: LaptopsProps): ReactNode {
  const call = useCall();
  if (laptops.length === 0) return null;
  return (
    <>
      <h3>Computers that may send VMs here</h3>
      <ul className="plain-rows">
        {laptops.map(({ fingerprint, name, pairedAt }) => (
          <li key={fingerprint}>
            <span>
              {name} <span className="soft small">paired {day.format(new Date(pairedAt))}</span>
            </span>
            <Confirm
              label="Revoke"
              description={`Revoke the pairing with ${name}`}
              question={`Revoke the pairing with ${name}?`}
              act={async () => {
                await call('peers.revoke', { fingerprint });
                onChange();
              }}
            >
              <p>Its VMs can no longer come here. Send home first what is here now.</p>
            </Confirm>
          </li>
        ))}
      </ul>
    </>
  );
}
