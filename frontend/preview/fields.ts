/** From answered frames to frames a panel can draw: transformations, then units, thresholds, mappings and overrides. */
import {
  applyFieldOverrides,
  type DataFrame,
  type DataTransformerInfo,
  type FieldConfigPropertyItem,
  FieldConfigOptionsRegistry,
  type GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

import { ALLOWED, type Panel } from './model';

let registered = false;

/** Registers the transformations that dashboards may use. */
function registerTransformers(): void {
  if (registered) {
    return;
  }
  registered = true;
  const wanted: readonly string[] = ALLOWED.transformations;
  // Some stand in the list twice, under an older name too.
  const known = new Map(Object.values(standardTransformers).map((transformer) => [transformer.id, transformer]));
  standardTransformersRegistry.setInit(() =>
    [...known.values()]
      .filter(({ id }) => wanted.includes(id))
      .map((transformation) => ({
        id: transformation.id,
        name: transformation.name,
        transformation: transformation as DataTransformerInfo,
        editor: () => null,
        imageDark: '',
        imageLight: '',
      }))
  );
}

const STANDARD = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds', 'mappings', 'links'];

function property(id: string, path: string, isCustom: boolean): FieldConfigPropertyItem {
  return {
    id,
    path,
    name: id,
    isCustom,
    editor: () => null,
    override: () => null,
    process: (value: unknown) => value,
    shouldApply: () => true,
    settings: {},
  };
}

/** The options a panel's field config may set: the standard ones and the custom ones that appear in it. */
function registryFor(panel: Panel): FieldConfigOptionsRegistry {
  const custom = new Set(Object.keys((panel.fieldConfig?.defaults.custom ?? {}) as Record<string, unknown>));
  for (const { properties } of panel.fieldConfig?.overrides ?? []) {
    for (const { id } of properties) {
      if (id.startsWith('custom.')) {
        custom.add(id.slice('custom.'.length));
      }
    }
  }
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((id) => property(id, id, false)),
    ...[...custom].map((path) => property(`custom.${path}`, path, true)),
  ]);
}

/** Applies a panel's transformations and field configuration. */
export async function prepare(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  replace: (text: string) => string
): Promise<DataFrame[]> {
  registerTransformers();
  const transformed = await firstValueFrom(
    transformDataFrame(panel.transformations ?? [], frames, { interpolate: replace })
  );
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    fieldConfigRegistry: registryFor(panel),
    replaceVariables: replace,
    theme,
    timeZone: 'browser',
  });
}
