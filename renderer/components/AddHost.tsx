import { type ReactNode, useState } from 'react';
import { parseAddress } from '../../shared/address.ts';
import { useAction, useCall, useOnline, useStore } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { TextBox } from './TextBox.tsx';

/** Where a host is not found by itself. */
export function AddHost(): ReactNode {
  const store = useStore();
  const call = useCall();
  const online = useOnline();
  const [address, setAddress] = useState('');
  const add = useAction(async () => {
    const host = await call('hosts.add', parseAddress(address.trim()));
    store.say('good', `${host.name} is added.`);
    setAddress('');
  });
  return (
    <form
      className="card"
      aria-labelledby="add-host"
      onSubmit={(event) => {
        event.preventDefault();
        if (address.trim() !== '') add.run();
      }}
    >
      <h2 id="add-host">Add a host by its address</h2>
      <p className="soft small">Where it is not found by itself. “homeward host” shows address and port there.</p>
      <div className="row">
        <TextBox label="Address and port" placeholder="192.168.1.20:7420" value={address} onChange={setAddress} />
        <ActButton
          label="Add"
          icon="add"
          busy={add.busy}
          disabled={!online || address.trim() === ''}
          onPress={add.run}
        />
      </div>
      <Failure report={add.failure} onDismiss={add.clear} />
    </form>
  );
}
