import { place } from './DashboardGrid';
import type { Panel } from './model';

const panel = (id: number, type: string, y: number, h: number): Panel => ({
  id,
  type,
  gridPos: { x: 0, y, w: 24, h },
});

const PANELS = [panel(100, 'row', 0, 1), panel(1, 'stat', 1, 4), panel(101, 'row', 5, 1), panel(2, 'stat', 6, 4)];

test('panels keep their places while every row is open', () => {
  expect(place(PANELS, new Set()).map(({ y }) => y)).toEqual([0, 1, 5, 6]);
});

test('a folded row hides its panels and moves the rest up', () => {
  const placed = place(PANELS, new Set([100]));
  expect(placed.map(({ panel: { id } }) => id)).toEqual([100, 101, 2]);
  expect(placed.map(({ y }) => y)).toEqual([0, 1, 2]);
});
