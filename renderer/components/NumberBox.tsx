import type { ReactNode } from 'react';
import { Button, Group, Input, Label, NumberField } from 'react-aria-components';

interface NumberBoxProps {
  readonly label: string;
  /** After the label: "minutes", "GiB". */
  readonly unit?: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly onChange: (value: number) => void;
}

export function NumberBox({ label, unit, value, least, most, onChange }: NumberBoxProps): ReactNode {
  return (
    <NumberField
      className="field"
      value={value}
      minValue={least}
      maxValue={most}
      formatOptions={{ maximumFractionDigits: 1, useGrouping: false }}
      onChange={(next) => {
        if (!Number.isNaN(next)) onChange(next);
      }}
    >
      <Label className="field-label">{unit === undefined ? label : `${label}, in ${unit}`}</Label>
      <Group className="input number">
        <Input />
        <Button slot="decrement">−</Button>
        <Button slot="increment">+</Button>
      </Group>
    </NumberField>
  );
}
