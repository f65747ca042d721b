/** Writes `dashboards/*.json`; with `--check` fails when a committed file differs. File name = uid. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { dashboards } from './index';

const folder = join(__dirname, '..', '..', 'dashboards');
const check = process.argv.includes('--check');
let drifted = 0;

for (const [uid, json] of dashboards()) {
  const path = join(folder, `${uid}.json`);
  if (!check) {
    writeFileSync(path, json);
  } else if (readFileSync(path, 'utf8') !== json) {
    drifted += 1;
    process.stderr.write(`${path} differs from its source; run \`npm run dashboards\`\n`);
  }
}
process.exit(drifted === 0 ? 0 : 1);
