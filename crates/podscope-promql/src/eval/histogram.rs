//! `histogram_quantile` and `histogram_fraction` over classic buckets.

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, StepSeries, is_stale};
use rustc_hash::FxHashMap;

use super::{Context, Merge, absent_column, drop_name};
use crate::EvalError;
use crate::ast::Expr;
use crate::function::Func;

const BUCKET_LABEL: &str = "le";
/// Relative difference of two counts that is taken for rounding.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// The buckets of one histogram: upper bounds and columns, sorted by bound.
struct Histogram<'a> {
    labels: Labels,
    buckets: Vec<(f64, &'a [f64])>,
}

impl Context<'_> {
    #[inline(never)]
    pub(super) fn histogram(
        &self,
        func: Func,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, EvalError> {
        let Some((vector, scalars)) = args.split_last() else {
            return Err(EvalError::NotSupported(func.name().to_owned()));
        };
        let scalars = scalars
            .iter()
            .map(|arg| self.scalar(arg, grid))
            .collect::<Result<Vec<Vec<f64>>, EvalError>>()?;
        let scalar = |at: usize, step: usize| {
            scalars
                .get(at)
                .and_then(|column| column.get(step))
                .copied()
                .unwrap_or(f64::NAN)
        };
        if func == Func::HistogramQuantile {
            self.check_quantiles(scalars.first().map(Vec::as_slice).unwrap_or_default());
        }
        let series = self.vector(vector, grid)?;
        let mut forced = false;
        let mut buckets = Vec::new();
        let mut merge = Merge::default();
        for histogram in self.histograms(&series) {
            let mut column = absent_column(grid.len());
            for (step, out) in column.iter_mut().enumerate() {
                buckets.clear();
                buckets.extend(histogram.buckets.iter().filter_map(|(upper, counts)| {
                    let count = *counts.get(step)?;
                    (!is_stale(count)).then_some(Bucket { upper: *upper, count })
                }));
                if buckets.is_empty() {
                    continue;
                }
                *out = if func == Func::HistogramQuantile {
                    let (value, was_forced) = bucket_quantile(scalar(0, step), &mut buckets);
                    forced |= was_forced;
                    value
                } else {
                    bucket_fraction(scalar(0, step), scalar(1, step), &mut buckets)
                };
            }
            merge.add(drop_name(&histogram.labels), column)?;
        }
        if forced {
            self.info(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
            );
        }
        Ok(merge.series)
    }

    fn histograms<'a>(&self, series: &'a [StepSeries]) -> Vec<Histogram<'a>> {
        let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut found: Vec<Histogram<'a>> = Vec::new();
        for series in series {
            let text = series.labels.get(BUCKET_LABEL).unwrap_or("");
            let Ok(upper) = text.parse::<f64>() else {
                self.warn(format!(
                    "bucket label \"le\" is missing or has a malformed value of {text:?}"
                ));
                continue;
            };
            let labels = series.labels.filter(|name| name != BUCKET_LABEL);
            let at = *index.entry(labels).or_insert_with_key(|labels| {
                found.push(Histogram {
                    labels: labels.clone(),
                    buckets: Vec::new(),
                });
                found.len() - 1
            });
            if let Some(histogram) = found.get_mut(at) {
                histogram.buckets.push((upper, &series.values));
            }
        }
        for histogram in &mut found {
            histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        found
    }
}

/// Adds up buckets of the same bound. The buckets are sorted.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Removes decreases between neighbours; answers whether one was more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut last = buckets.first().map_or(0.0, |bucket| bucket.count);
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == last {
            continue;
        }
        if almost_equal(last, bucket.count) {
            bucket.count = last;
        } else if bucket.count < last {
            bucket.count = last;
            forced = true;
        } else {
            last = bucket.count;
        }
    }
    forced
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The quantile by linear interpolation inside its bucket, and whether the counts had to be made monotonic.
fn bucket_quantile(quantile: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if quantile.is_nan() {
        return (f64::NAN, false);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|bucket| bucket.upper != f64::INFINITY) {
        return (f64::NAN, false);
    }
    coalesce(buckets);
    let forced = make_monotonic(buckets);
    let [.., below_last, last] = buckets.as_slice() else {
        return (f64::NAN, forced);
    };
    if last.count == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = quantile * last.count;
    let finite = buckets.get(..buckets.len() - 1).unwrap_or_default();
    let at = search(finite, rank);
    let Some(bucket) = finite.get(at) else {
        return (below_last.upper, forced);
    };
    if at == 0 && bucket.upper <= 0.0 {
        return (bucket.upper, forced);
    }
    let mut start = 0.0;
    let mut count = bucket.count;
    if let Some(below) = at.checked_sub(1).and_then(|at| finite.get(at)) {
        start = below.upper;
        count -= below.count;
        rank -= below.count;
    }
    (start + (bucket.upper - start) * (rank / count), forced)
}

/// The first bucket whose count reaches the rank; the probes are those of Go's `sort.Search`, which matters where a count is
/// NaN.
fn search(buckets: &[Bucket], rank: f64) -> usize {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = (low + high) / 2;
        if buckets.get(middle).is_some_and(|bucket| bucket.count >= rank) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The share of observations between two bounds.
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|bucket| bucket.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / count
}

/// How many observations lie below `value`, by linear interpolation; a bucket without a finite bound counts as empty.
fn rank_of(value: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut rank = 0.0;
    let mut start = match buckets.first() {
        Some(first) if first.upper <= 0.0 => f64::NEG_INFINITY,
        _ => 0.0,
    };
    for bucket in buckets {
        let found = if start >= value {
            rank
        } else if bucket.upper > value {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - start) / (bucket.upper - start)
            }
        } else {
            rank = bucket.count;
            start = bucket.upper;
            continue;
        };
        return if found > count { count } else { found };
    }
    count
}
