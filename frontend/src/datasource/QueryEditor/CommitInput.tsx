import { InlineField, Input } from '@grafana/ui';
import { useId, useState } from 'react';

interface CommitInputProps {
  label: string;
  tooltip: string;
  width?: number;
  value: string;
  placeholder?: string;
  problem?: (text: string) => string | undefined;
  onCommit: (text: string) => void;
}

/** A field whose text counts when it is left or Enter is pressed, and only when nothing is wrong with it. */
export function CommitInput({ label, tooltip, width, value, placeholder, problem, onCommit }: CommitInputProps) {
  const id = useId();
  const [draft, setDraft] = useState<string>();
  const text = draft ?? value;
  const wrong = problem?.(text);
  const commit = () => {
    if (wrong === undefined) {
      setDraft(undefined);
      if (text.trim() !== value) {
        onCommit(text.trim());
      }
    }
  };
  return (
    <InlineField label={label} tooltip={tooltip} invalid={wrong !== undefined} error={wrong}>
      <Input
        id={id}
        width={width}
        value={text}
        placeholder={placeholder}
        onChange={({ currentTarget }) => {
          setDraft(currentTarget.value);
        }}
        onBlur={commit}
        onKeyDown={({ key }) => {
          if (key === 'Enter') {
            commit();
          }
        }}
      />
    </InlineField>
  );
}
