//! The functions that are supported, with their signatures. What is not listed here is refused by name.

use crate::ValueType;

/// Declares the function enum, its names and its signatures in one table.
macro_rules! functions {
    ($($variant:ident $name:literal ($($arg:ident),*) $optional:tt -> $returns:ident;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Func {
            $($variant,)*
        }

        impl Func {
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(crate) fn signature(self) -> Signature {
                match self {
                    $(Self::$variant => Signature {
                        args: &[$(ValueType::$arg),*],
                        optional: functions!(@optional $optional),
                        returns: ValueType::$returns,
                    },)*
                }
            }
        }

        /// Names of all supported functions, in the order of the table.
        pub(crate) const NAMES: &[&str] = &[$($name,)*];
    };
    (@optional exact) => { Optional::None };
    (@optional last) => { Optional::Last };
    (@optional many) => { Optional::Many };
}

/// How many arguments beyond the fixed ones a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    /// Exactly as many as listed.
    None,
    /// The last one may be left out.
    Last,
    /// The last one may be left out or repeated.
    Many,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) args: &'static [ValueType],
    pub(crate) optional: Optional,
    pub(crate) returns: ValueType,
}

functions! {
    Abs "abs" (Vector) exact -> Vector;
    Absent "absent" (Vector) exact -> Vector;
    AbsentOverTime "absent_over_time" (Matrix) exact -> Vector;
    Acos "acos" (Vector) exact -> Vector;
    Acosh "acosh" (Vector) exact -> Vector;
    Asin "asin" (Vector) exact -> Vector;
    Asinh "asinh" (Vector) exact -> Vector;
    Atan "atan" (Vector) exact -> Vector;
    Atanh "atanh" (Vector) exact -> Vector;
    AvgOverTime "avg_over_time" (Matrix) exact -> Vector;
    Ceil "ceil" (Vector) exact -> Vector;
    Changes "changes" (Matrix) exact -> Vector;
    Clamp "clamp" (Vector, Scalar, Scalar) exact -> Vector;
    ClampMax "clamp_max" (Vector, Scalar) exact -> Vector;
    ClampMin "clamp_min" (Vector, Scalar) exact -> Vector;
    Cos "cos" (Vector) exact -> Vector;
    Cosh "cosh" (Vector) exact -> Vector;
    CountOverTime "count_over_time" (Matrix) exact -> Vector;
    DayOfMonth "day_of_month" (Vector) last -> Vector;
    DayOfWeek "day_of_week" (Vector) last -> Vector;
    DayOfYear "day_of_year" (Vector) last -> Vector;
    DaysInMonth "days_in_month" (Vector) last -> Vector;
    Deg "deg" (Vector) exact -> Vector;
    Delta "delta" (Matrix) exact -> Vector;
    Deriv "deriv" (Matrix) exact -> Vector;
    Exp "exp" (Vector) exact -> Vector;
    FirstOverTime "first_over_time" (Matrix) exact -> Vector;
    Floor "floor" (Vector) exact -> Vector;
    HistogramFraction "histogram_fraction" (Scalar, Scalar, Vector) exact -> Vector;
    HistogramQuantile "histogram_quantile" (Scalar, Vector) exact -> Vector;
    Hour "hour" (Vector) last -> Vector;
    Idelta "idelta" (Matrix) exact -> Vector;
    Increase "increase" (Matrix) exact -> Vector;
    Irate "irate" (Matrix) exact -> Vector;
    LabelJoin "label_join" (Vector, String, String, String) many -> Vector;
    LabelReplace "label_replace" (Vector, String, String, String, String) exact -> Vector;
    LastOverTime "last_over_time" (Matrix) exact -> Vector;
    Ln "ln" (Vector) exact -> Vector;
    Log10 "log10" (Vector) exact -> Vector;
    Log2 "log2" (Vector) exact -> Vector;
    MaxOverTime "max_over_time" (Matrix) exact -> Vector;
    MinOverTime "min_over_time" (Matrix) exact -> Vector;
    Minute "minute" (Vector) last -> Vector;
    Month "month" (Vector) last -> Vector;
    Pi "pi" () exact -> Scalar;
    PredictLinear "predict_linear" (Matrix, Scalar) exact -> Vector;
    PresentOverTime "present_over_time" (Matrix) exact -> Vector;
    QuantileOverTime "quantile_over_time" (Scalar, Matrix) exact -> Vector;
    Rad "rad" (Vector) exact -> Vector;
    Rate "rate" (Matrix) exact -> Vector;
    Resets "resets" (Matrix) exact -> Vector;
    Round "round" (Vector, Scalar) last -> Vector;
    Scalar "scalar" (Vector) exact -> Scalar;
    Sgn "sgn" (Vector) exact -> Vector;
    Sin "sin" (Vector) exact -> Vector;
    Sinh "sinh" (Vector) exact -> Vector;
    Sort "sort" (Vector) exact -> Vector;
    SortDesc "sort_desc" (Vector) exact -> Vector;
    Sqrt "sqrt" (Vector) exact -> Vector;
    StddevOverTime "stddev_over_time" (Matrix) exact -> Vector;
    StdvarOverTime "stdvar_over_time" (Matrix) exact -> Vector;
    SumOverTime "sum_over_time" (Matrix) exact -> Vector;
    Tan "tan" (Vector) exact -> Vector;
    Tanh "tanh" (Vector) exact -> Vector;
    Time "time" () exact -> Scalar;
    Timestamp "timestamp" (Vector) exact -> Vector;
    Vector "vector" (Scalar) exact -> Vector;
    Year "year" (Vector) last -> Vector;
}

impl Func {
    /// Whether the result can change with the step though the arguments do not.
    pub(crate) fn depends_on_time(self) -> bool {
        matches!(
            self,
            Self::DaysInMonth
                | Self::DayOfMonth
                | Self::DayOfWeek
                | Self::DayOfYear
                | Self::Hour
                | Self::Minute
                | Self::Month
                | Self::Year
                | Self::PredictLinear
                | Self::Time
                | Self::Timestamp
        )
    }

    /// Whether the function reads a range of samples of each series.
    pub(crate) fn takes_range(self) -> bool {
        self.signature().args.contains(&ValueType::Matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_function() {
        assert!(NAMES.len() > 60);
        for name in NAMES {
            assert_eq!(Func::from_name(name).map(Func::name), Some(*name));
        }
        assert_eq!(Func::from_name("no_such_function"), None);
    }
}
