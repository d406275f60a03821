import type { ReactNode } from 'react';
import { Input, Label, TextField } from 'react-aria-components';

interface TextBoxProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly placeholder?: string;
  readonly type?: 'text' | 'search';
}

export function TextBox(props: TextBoxProps): ReactNode {
  const { label, value, onChange, placeholder, type = 'text' } = props;
  return (
    <TextField className="field" type={type} value={value} onChange={onChange}>
      <Label className="field-label">{label}</Label>
      <Input className="input" {...(placeholder === undefined ? {} : { placeholder })} />
    </TextField>
  );
}
