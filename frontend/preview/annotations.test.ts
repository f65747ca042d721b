import { createDataFrame, FieldType } from '@grafana/data';

import { isFor, marksOf, wanted } from './annotations';
import type { AnnotationQuery, Dashboard, Panel } from './model';

const changes: AnnotationQuery = {
  name: 'Changes',
  iconColor: 'orange',
  target: { refId: 'Anno', queryType: 'events', expr: '{kind="change", pod="$pod"}' },
};

function dashboard(list: AnnotationQuery[]): Dashboard {
  return { uid: 'd', title: 'd', panels: [], annotations: { list } };
}

it('asks for the annotations that are switched on and of events, with variables in place', () => {
  const builtIn = { name: 'Annotations & Alerts', target: { refId: 'Anno', queryType: 'tags' } };
  const asked = wanted(dashboard([builtIn, { ...changes, enable: false }, changes]), (text) =>
    text.replace('$pod', 'pod-2')
  );
  expect(asked.map(({ target }) => [target.refId, target.expr, target.format])).toEqual([
    ['Anno2', '{kind="change", pod="pod-2"}', 'annotations'],
  ]);
});

it('makes a mark of every event, a point where it has no end', () => {
  const frame = createDataFrame({
    fields: [
      { name: 'time', type: FieldType.time, values: [1000, 5000] },
      { name: 'timeEnd', type: FieldType.time, values: [null, 9000] },
      { name: 'title', type: FieldType.string, values: ['prefetch ENABLED', 'SEV-1'] },
    ],
  });
  const marks = marksOf([frame], changes).map(({ from, to, title, color }) => ({ from, to, title, color }));
  expect(marks).toEqual([
    { from: 1000, to: 1000, title: 'prefetch ENABLED', color: 'orange' },
    { from: 5000, to: 9000, title: 'SEV-1', color: 'orange' },
  ]);
  expect(marksOf([createDataFrame({ fields: [] })], changes)).toEqual([]);
});

it('keeps to the panels that an annotation names', () => {
  const panel = (id: number): Panel => ({ id, type: 'timeseries', gridPos: { x: 0, y: 0, w: 1, h: 1 } });
  const only = { ...changes, filter: { ids: [1] } };
  const all_but = { ...changes, filter: { exclude: true, ids: [1] } };
  expect([1, 2].map((id) => isFor(panel(id), changes))).toEqual([true, true]);
  expect([1, 2].map((id) => isFor(panel(id), only))).toEqual([true, false]);
  expect([1, 2].map((id) => isFor(panel(id), all_but))).toEqual([false, true]);
});
