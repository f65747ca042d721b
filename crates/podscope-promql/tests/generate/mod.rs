//! Seeded generators shared by the tests that compare two evaluations: data sets, grids, expressions.
//!
//! Values of plain metrics are multiples of 1/64 of moderate size, so that sums are exact in whatever order they are made;
//! functions that jump (comparison, rounding, ranking, counting of values) get such exact operands.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod data;
pub(crate) mod expression;

use podscope_model::sample::Grid;

/// `SplitMix64`: small, seedable, the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// A grid that lies mostly over the data.
pub(crate) fn grid(random: &mut Random, start_ms: i64, end_ms: i64) -> Grid {
    let span = end_ms - start_ms;
    if random.one_in(3) {
        return Grid::instant(start_ms + random.between(-span / 10, span * 11 / 10));
    }
    let from = start_ms + random.between(-span / 10, span / 2);
    let step_ms = [1_000, 7_000, 15_000, 30_000, 60_000, 61_500][random.below(6) as usize];
    let steps = random.between(1, 40);
    Grid {
        start_ms: from,
        end_ms: from + step_ms * steps + random.between(0, step_ms - 1),
        step_ms,
    }
}

/// Whether two values are the same by the project's rule: NaN is NaN, numbers within 1e-12 of each other.
pub(crate) fn same(a: f64, b: f64) -> bool {
    a.is_nan() && b.is_nan() || a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}
