import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { allPanels, type Dashboard, notAllowed } from '../preview/model';
import { dashboards } from '.';

const FOLDER = join(__dirname, '..', '..', 'dashboards');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

function read(file: string): Dashboard {
  return JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Dashboard;
}

test('every committed dashboard comes from its source, and every source is committed', () => {
  const made = dashboards();
  expect([...made.keys()].map((uid) => `${uid}.json`).sort()).toEqual([...FILES].sort());
  for (const [uid, json] of made) {
    // On a difference: npm run dashboards
    expect(readFileSync(join(FOLDER, `${uid}.json`), 'utf8')).toBe(json);
  }
});

test.each(FILES)('%s uses only what the preview draws', (file) => {
  expect(notAllowed(read(file))).toEqual([]);
});

test.each(FILES)('%s has stable ids, and every panel a title and a description', (file) => {
  const dashboard = read(file);
  expect(`${dashboard.uid}.json`).toBe(file);
  const panels = allPanels(dashboard.panels);
  expect(panels.length).toBeGreaterThan(5);
  const ids = panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const panel of panels.filter(({ type }) => type !== 'row')) {
    expect(panel.title).toBeTruthy();
    expect(panel.description).toMatch(/\.$/);
    expect(panel.fieldConfig?.defaults.unit).toBeTruthy();
  }
});

test('a panel type, transformation or variable outside the list is named', () => {
  const faults = notAllowed({
    uid: 'x',
    title: 'x',
    panels: [{ id: 7, type: 'geomap', gridPos: { x: 0, y: 0, w: 1, h: 1 }, transformations: [{ id: 'groupBy', options: {} }] }],
    templating: { list: [{ name: 'v', type: 'adhoc' }] },
  });
  expect(faults).toHaveLength(3);
  expect(faults[0]).toContain('geomap');
});
