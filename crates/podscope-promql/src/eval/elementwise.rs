//! Functions of single values: mathematics, clamping, rounding, dates.

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, STALE, StepSeries, is_stale};

use super::{Context, Merge, date, drop_name};
use crate::EvalError;
use crate::ast::Expr;
use crate::function::Func;

impl Context<'_> {
    #[inline(never)]
    pub(super) fn elementwise(
        &self,
        func: Func,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, EvalError> {
        if let Some(part) = date_part(func) {
            return match args.first() {
                // Without an argument: of the evaluation time.
                None => Ok(vec![StepSeries {
                    labels: Labels::empty(),
                    values: grid.times().map(|ms| part(ms / 1_000)).collect(),
                }]),
                Some(arg) => self.map(arg, grid, |value, _| part(date::seconds_of(value))),
            };
        }
        let Some((vector, scalars)) = args.split_first() else {
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
        match func {
            Func::Clamp => self.map(vector, grid, |value, step| {
                let (least, most) = (scalar(0, step), scalar(1, step));
                // Where the bounds are crossed nothing is answered.
                if most < least {
                    STALE
                } else {
                    go_max(least, go_min(most, value))
                }
            }),
            Func::ClampMin => self.map(vector, grid, |value, step| {
                go_max(scalar(0, step), go_min(f64::INFINITY, value))
            }),
            Func::ClampMax => self.map(vector, grid, |value, step| {
                go_max(f64::NEG_INFINITY, go_min(scalar(0, step), value))
            }),
            Func::Round => self.map(vector, grid, |value, step| {
                let nearest = if scalars.is_empty() { 1.0 } else { scalar(0, step) };
                let inverse = 1.0 / nearest;
                (value * inverse + 0.5).floor() / inverse
            }),
            _ => {
                let function =
                    mathematics(func).ok_or_else(|| EvalError::NotSupported(func.name().to_owned()))?;
                self.map(vector, grid, |value, _| function(value))
            }
        }
    }

    /// Each value through a function; the metric name goes.
    fn map(
        &self,
        vector: &Expr,
        grid: Grid,
        function: impl Fn(f64, usize) -> f64,
    ) -> Result<Vec<StepSeries>, EvalError> {
        let mut merge = Merge::default();
        for mut series in self.vector(vector, grid)? {
            for (step, value) in series.values.iter_mut().enumerate() {
                if !is_stale(*value) {
                    *value = function(*value, step);
                }
            }
            merge.add(drop_name(&series.labels), series.values)?;
        }
        Ok(merge.series)
    }
}

/// Go's `math.Max`: NaN wins, except over +Inf.
fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: NaN wins, except over -Inf.
fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

fn mathematics(func: Func) -> Option<fn(f64) -> f64> {
    Some(match func {
        Func::Abs => f64::abs,
        Func::Acos => f64::acos,
        Func::Acosh => f64::acosh,
        Func::Asin => f64::asin,
        Func::Asinh => f64::asinh,
        Func::Atan => f64::atan,
        Func::Atanh => f64::atanh,
        Func::Ceil => f64::ceil,
        Func::Cos => f64::cos,
        Func::Cosh => f64::cosh,
        Func::Deg => |value| value * 180.0 / std::f64::consts::PI,
        Func::Exp => f64::exp,
        Func::Floor => f64::floor,
        Func::Ln => f64::ln,
        Func::Log10 => f64::log10,
        Func::Log2 => f64::log2,
        Func::Rad => |value| value * std::f64::consts::PI / 180.0,
        Func::Sgn => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        Func::Sin => f64::sin,
        Func::Sinh => f64::sinh,
        Func::Sqrt => f64::sqrt,
        Func::Tan => f64::tan,
        Func::Tanh => f64::tanh,
        _ => return None,
    })
}

fn date_part(func: Func) -> Option<fn(i64) -> f64> {
    Some(match func {
        Func::Minute => |seconds| date::Date::of(seconds).minute,
        Func::Hour => |seconds| date::Date::of(seconds).hour,
        Func::DayOfWeek => |seconds| date::Date::of(seconds).day_of_week,
        Func::DayOfMonth => |seconds| date::Date::of(seconds).day_of_month,
        Func::DayOfYear => |seconds| date::Date::of(seconds).day_of_year,
        Func::DaysInMonth => |seconds| date::Date::of(seconds).days_in_month,
        Func::Month => |seconds| date::Date::of(seconds).month,
        Func::Year => |seconds| date::Date::of(seconds).year,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_treat_nan_and_infinity_as_go_does() {
        assert!(go_max(f64::NAN, 1.0).is_nan());
        assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(go_min(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert_eq!(go_min(2.0, 1.0), 1.0);
    }
}
