//! Samples as columns, and the stale marker.

use std::sync::Arc;

use crate::labels::Labels;

/// The bit pattern Prometheus uses for "this series ended here" (`value.StaleNaN` in prometheus/model/value).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker. It is a NaN: compare with [`is_stale`], never with `==`.
pub const STALE: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether the value is the stale marker (an ordinary NaN is not).
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The samples of one series, oldest first. `timestamps` (Unix milliseconds, strictly rising) and `values` have the same
/// length; a value that [`is_stale`] ends the series until its next sample. Series of one stream share `timestamps`.
#[derive(Clone, Debug)]
pub struct SeriesData {
    pub labels: Labels,
    pub timestamps: Arc<[i64]>,
    pub values: Arc<[f64]>,
}

/// The evaluation times of a query: `start_ms`, `start_ms + step_ms`, ... up to and including `end_ms`.
///
/// An instant query has `start_ms == end_ms`; its step is 1 by convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Grid {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

impl Grid {
    /// A grid with one step.
    pub fn instant(at_ms: i64) -> Self {
        Self {
            start_ms: at_ms,
            end_ms: at_ms,
            step_ms: 1,
        }
    }

    /// Number of steps; 0 when the end lies before the start or the step is not positive.
    pub fn len(&self) -> usize {
        if self.step_ms <= 0 || self.end_ms < self.start_ms {
            return 0;
        }
        usize::try_from((self.end_ms - self.start_ms) / self.step_ms).map_or(0, |steps| steps + 1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_instant(&self) -> bool {
        self.start_ms == self.end_ms
    }

    /// The time of step `index`.
    pub fn at(&self, index: usize) -> i64 {
        self.start_ms + self.step_ms * index as i64
    }

    /// All times of the grid.
    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.len()).map(move |index| grid.at(index))
    }
}

/// One series evaluated on a [`Grid`]: one value per step, [`STALE`] where there is none.
#[derive(Clone, Debug)]
pub struct StepSeries {
    pub labels: Labels,
    pub values: Vec<f64>,
}
