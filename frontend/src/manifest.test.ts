/**
 * The two plugin.json files against Grafana's schema: always against the types that @grafana/runtime generates from it, and
 * against the schema file itself where one is at hand (GRAFANA_PLUGIN_SCHEMA=<.../plugin.schema.json of a Grafana source>).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import Ajv from 'ajv';
import ts from 'typescript';

const ROOT = join(__dirname, '..', '..');
const MANIFESTS = ['plugin.json', 'frontend/src/datasource/plugin.json'];
const TYPES = join(
  ROOT,
  'frontend/node_modules/@grafana/runtime/dist/types/services/pluginMeta/types/types.spec.gen.d.ts'
);

type Manifest = Record<string, unknown>;

function manifest(path: string): Manifest {
  const { $schema, ...rest } = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Manifest;
  expect($schema).toMatch(/grafana\/grafana\/.*\/plugin\.schema\.json$/);
  return rest;
}

/** What the compiler says of the manifest as a literal of the schema's type: wrong types, values and unknown keys at any depth. */
function complaints(manifest: Manifest): string[] {
  const file = join(__dirname, 'manifest-under-test.ts');
  const imported = TYPES.replace(/\.d\.ts$/, '');
  const text = `import type { JSONData } from ${JSON.stringify(imported)};\nexport const manifest: JSONData = ${JSON.stringify(manifest)};\n`;
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map((found) => ts.flattenDiagnosticMessageText(found.messageText, ' '));
}

describe('plugin.json', () => {
  it('has the generated types to be held against', () => {
    expect(existsSync(TYPES)).toBe(true);
  });

  it.each(MANIFESTS)('%s is what Grafana’s generated types describe', (path) => {
    expect(complaints(manifest(path))).toEqual([]);
  });

  it('would be refused with an unknown key, a wrong value or a missing part', () => {
    const good = manifest('plugin.json');
    expect(complaints({ ...good, backned: true }).join()).toContain('backned');
    expect(complaints({ ...good, type: 'dashboard' }).join()).toContain('dashboard');
    expect(complaints({ ...good, includes: [{ type: 'page', addToNavigation: true }] }).join()).toContain('addToNavigation');
    const { dependencies, ...without } = good;
    expect(dependencies).toBeDefined();
    expect(complaints(without).join()).toContain('dependencies');
  });

  const schema = process.env.GRAFANA_PLUGIN_SCHEMA;
  if (schema) {
    it.each(MANIFESTS)('%s is valid by the schema file of a Grafana source', (path) => {
      const ajv = new Ajv({ allErrors: true, schemaId: 'auto', logger: false, unknownFormats: 'ignore' });
      const { $schema: _dialect, ...rules } = JSON.parse(readFileSync(schema, 'utf8')) as Manifest;
      const valid = ajv.compile(rules);
      expect([valid(manifest(path)), valid.errors]).toEqual([true, null]);
      expect(valid({ ...manifest(path), id: 'Not an id' })).toBe(false);
    });
  }
});
