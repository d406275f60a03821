import type { ReactNode } from 'react';
import { Button, Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover, Separator } from 'react-aria-components';
import { Level, type Vm } from '../../shared/model/vm.ts';
import type { PrimaryAction, Target } from '../../shared/view/index.ts';
import { href } from '../route.ts';
import { Icon } from './Icon.tsx';

interface VmMenuProps {
  readonly vm: Vm;
  readonly primary: PrimaryAction;
  readonly targets: readonly Target[];
  /** Where it is suggested to go, to be told never to. */
  readonly suggested: string | undefined;
  readonly finishNow: boolean;
  readonly disabled: boolean;
  readonly onOffload: (host: string) => void;
  readonly onFinishNow: () => void;
  readonly onNever: () => void;
  readonly onLevel: (level: Level) => void;
}

const levels: Readonly<Record<Level, string>> = {
  off: 'By hand only',
  suggest: 'Suggest moves',
  automatic: 'Automatic',
};

/** All that can be done with a VM besides its one first action. */
export function VmMenu(props: VmMenuProps): ReactNode {
  const { vm, primary, targets, suggested, finishNow, disabled, onOffload, onFinishNow, onNever, onLevel } = props;
  const others = primary.kind === 'offload' ? targets.filter(({ fingerprint }) => fingerprint !== primary.host) : [];
  return (
    <MenuTrigger>
      <Button className="icon-button" aria-label={`More about ${vm.name}`} isDisabled={disabled}>
        <Icon name="more" />
      </Button>
      <Popover className="popover" placement="bottom end">
        <Menu className="menu" aria-label={vm.name}>
          {finishNow ? (
            <MenuItem className="menu-item" onAction={onFinishNow}>
              Finish the move now
            </MenuItem>
          ) : null}
          {others.map(({ fingerprint, name }) => (
            <MenuItem key={fingerprint} className="menu-item" onAction={() => onOffload(fingerprint)}>
              Offload to {name}
            </MenuItem>
          ))}
          {suggested === undefined ? null : (
            <MenuItem className="menu-item" onAction={onNever}>
              Never suggest {suggested}
            </MenuItem>
          )}
          <MenuItem className="menu-item" href={href('ready', vm.uuid)}>
            Readiness
          </MenuItem>
          <MenuItem className="menu-item" href={href('history', vm.uuid)}>
            History
          </MenuItem>
          <Separator className="menu-line" />
          <MenuSection
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[vm.level]}
            onSelectionChange={(keys) => {
              const [chosen] = Level.options.filter((level) => keys === 'all' || keys.has(level));
              if (chosen !== undefined) onLevel(chosen);
            }}
          >
            <Header className="menu-header">May Homeward act by itself?</Header>
            {Level.options.map((level) => (
              <MenuItem key={level} id={level} className="menu-item">
                {levels[level]}
                <Icon name="check" />
              </MenuItem>
            ))}
          </MenuSection>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
