/** What one query may take: time, nodes that stay silent, values. */
import { InlineField, Input } from '@grafana/ui';
import { useState } from 'react';

import { type NumberSetting, durationProblem, numberProblem } from '../settings';
import { DEFAULTS, type FleetOptions } from '../types';

interface Props {
  options: FleetOptions;
  disabled: boolean;
  onChange: (patch: Partial<FleetOptions>) => void;
}

const LABEL_WIDTH = 30;

/** The settings with the unit they are shown in. */
const FIELDS: { key: NumberSetting; label: string; tooltip: string; unit: string; factor: number }[] = [
  {
    key: 'timeoutMs',
    label: 'Timeout',
    tooltip: 'How long one node may take to answer. Slower ones are named in a notice, the others are shown.',
    unit: 'seconds',
    factor: 1000,
  },
  {
    key: 'connectTimeoutMs',
    label: 'Connect timeout',
    tooltip: 'How long connecting to a node may take.',
    unit: 'seconds',
    factor: 1000,
  },
  {
    key: 'completeness',
    label: 'Completeness for alerts',
    tooltip: 'The share of nodes that must answer before an alert rule may decide; below it the rule fails.',
    unit: '% of nodes',
    factor: 0.01,
  },
  {
    key: 'maxCells',
    label: 'Values per query',
    tooltip: 'A panel that would hold more gets a wider step, and a notice says so. 0 = no limit.',
    unit: 'values',
    factor: 1,
  },
  {
    key: 'lookbackMs',
    label: 'Lookback',
    tooltip: "How long a sample stays current when no newer one came: PromQL's lookback delta.",
    unit: 'seconds',
    factor: 1000,
  },
];

export function LimitsFields({ options, disabled, onChange }: Props) {
  const duration = durationProblem(options.timeInterval);
  return (
    <>
      {FIELDS.map(({ key, label, tooltip, unit, factor }) => (
        <NumberField
          key={key}
          label={label}
          tooltip={tooltip}
          unit={unit}
          value={options[key]}
          factor={factor}
          fallback={DEFAULTS[key]}
          disabled={disabled}
          problem={numberProblem(key, options[key])}
          onChange={(value) => {
            onChange({ [key]: value });
          }}
        />
      ))}
      <InlineField
        label="Smallest step"
        tooltip="No query that says nothing else is evaluated at smaller steps. The agents collect every second."
        labelWidth={LABEL_WIDTH}
        disabled={disabled}
        invalid={duration !== undefined}
        error={duration}
      >
        <Input
          id="timeInterval"
          width={30}
          value={options.timeInterval ?? ''}
          placeholder={DEFAULTS.timeInterval}
          onChange={({ currentTarget }) => {
            onChange({ timeInterval: currentTarget.value === '' ? undefined : currentTarget.value });
          }}
        />
      </InlineField>
    </>
  );
}

interface NumberFieldProps {
  label: string;
  tooltip: string;
  unit: string;
  /** As stored; absent: the default. */
  value: number | undefined;
  /** Stored = shown times factor. */
  factor: number;
  fallback: number;
  disabled: boolean;
  problem: string | undefined;
  onChange: (value: number | undefined) => void;
}

function NumberField({ label, tooltip, unit, value, factor, fallback, disabled, problem, onChange }: NumberFieldProps) {
  // What is typed may be on its way to a number ("0.").
  const [text, setText] = useState(() => (value === undefined ? '' : shown(value, factor)));
  const bad = text.trim() !== '' && Number.isNaN(Number(text)) ? 'This is not a number' : inUnit(problem, unit, factor);
  const id = label.toLowerCase().replaceAll(' ', '-');
  return (
    <InlineField
      label={label}
      tooltip={tooltip}
      labelWidth={LABEL_WIDTH}
      disabled={disabled}
      invalid={bad !== undefined}
      error={bad}
    >
      <Input
        id={id}
        width={30}
        inputMode="decimal"
        value={text}
        placeholder={shown(fallback, factor)}
        suffix={unit}
        onChange={({ currentTarget }) => {
          setText(currentTarget.value);
          const typed = currentTarget.value.trim();
          const number = Number(typed);
          if (typed === '') {
            onChange(undefined);
          } else if (!Number.isNaN(number)) {
            onChange(rounded(number * factor));
          }
        }}
      />
    </InlineField>
  );
}

function shown(value: number, factor: number): string {
  return String(rounded(value / factor));
}

/** 0.9 / 0.01 is 90, not 90.00000000000001. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

/** A problem speaks of stored units; the field shows others. */
function inUnit(problem: string | undefined, unit: string, factor: number): string | undefined {
  return problem?.replace(/\d+(\.\d+)?/g, (bound) => shown(Number(bound), factor)).concat(` ${unit}`);
}
