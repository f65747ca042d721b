//! Which steps a query is evaluated at: the choice Grafana's Prometheus data source makes, then the cell budget.

use podscope_model::sample::Grid;

use super::{duration, macros};

/// No query has more steps than this, whatever it asks for (Prometheus's own limit).
const SAFE_STEPS: i64 = 11_000;
/// A range query is not drawn with fewer points than this to fit the budget: past it, a picture says nothing.
pub const LEAST_POINTS: u64 = 60;
/// What Grafana's data source takes when a query does not say how wide the panel is.
const DEFAULT_POINTS: i64 = 1500;

/// What the step depends on.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a> {
    pub from_ms: i64,
    pub to_ms: i64,
    pub max_data_points: i64,
    /// Grafana's own suggestion for the panel.
    pub interval_ms: i64,
    /// The query's `interval` field.
    pub interval: Option<&'a str>,
    pub interval_factor: i64,
    /// The data source's smallest step.
    pub min_interval_ms: i64,
    /// The longest collection interval of the expression's metrics; decides `$__rate_interval`.
    pub collection_ms: i64,
}

/// The step, before any widening. `None` when `interval` is not a duration.
pub fn choose(input: &StepInput<'_>) -> Option<i64> {
    let range = input.to_ms - input.from_ms;
    let named = input.interval.and_then(macros::interval_macro);
    let least = match (input.interval, named) {
        (Some(text), None) => duration::parse_interval(text)?,
        _ if input.interval_ms > 0 => input.interval_ms,
        _ => input.min_interval_ms,
    };
    let points = if input.max_data_points > 0 {
        input.max_data_points
    } else {
        DEFAULT_POINTS
    };
    let wanted = range / points;
    let wanted = if wanted < least {
        least
    } else {
        duration::round(wanted)
    };
    let step = wanted.max(duration::round(range / SAFE_STEPS)).max(1);
    Some(match named {
        Some(macros::Interval::Rate) => macros::rate_interval(step, input.collection_ms),
        _ => step.saturating_mul(input.interval_factor),
    })
}

/// The grid of a range query: start and end rounded down to whole steps, so that a panel's points stay where they are
/// from refresh to refresh.
pub fn grid(from_ms: i64, to_ms: i64, step_ms: i64, utc_offset_ms: i64) -> Grid {
    let align = |ms: i64| (ms + utc_offset_ms).div_euclid(step_ms) * step_ms - utc_offset_ms;
    Grid {
        start_ms: align(from_ms),
        end_ms: align(to_ms),
        step_ms,
    }
}

/// How an answer of `series` series fits into the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Fits,
    /// It fits with this step.
    Widen {
        step_ms: i64,
    },
    /// Not even with [`LEAST_POINTS`] points each.
    Never {
        points: u64,
        cells: u64,
    },
}

/// Checks an answer against the budget; `max_cells` 0 means no budget.
pub fn fit(grid: Grid, series: u64, max_cells: u64) -> Fit {
    let points = grid.len() as u64;
    if max_cells == 0 || series.saturating_mul(points) <= max_cells {
        return Fit::Fits;
    }
    let least = points.min(LEAST_POINTS);
    if series.saturating_mul(least) > max_cells {
        return Fit::Never {
            points: least,
            cells: series.saturating_mul(least),
        };
    }
    // Aligning can add one point, so one less is allowed than fits.
    let allowed = (max_cells / series.max(1)).max(2);
    let span = grid.end_ms - grid.start_ms;
    let exact = (span as u64).div_ceil((allowed - 1).max(1)) as i64;
    let exact = if exact > 1000 {
        (exact + 999) / 1000 * 1000
    } else {
        exact
    };
    let round = duration::round_up(exact);
    let step_ms = if span / round + 1 >= LEAST_POINTS as i64 {
        round
    } else {
        exact
    };
    Fit::Widen {
        step_ms: step_ms.max(grid.step_ms + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn input() -> StepInput<'static> {
        StepInput {
            from_ms: 0,
            to_ms: HOUR,
            max_data_points: 1000,
            interval_ms: 0,
            interval: None,
            interval_factor: 1,
            min_interval_ms: 1000,
            collection_ms: 1000,
        }
    }

    #[test]
    fn the_step_is_the_prometheus_data_sources() {
        // 3.6 s between points rounds to 5 s.
        assert_eq!(choose(&input()), Some(5_000));
        // A panel's own smallest step wins over the rounding.
        assert_eq!(
            choose(&StepInput {
                interval: Some("30s"),
                ..input()
            }),
            Some(30_000)
        );
        // Grafana's suggestion counts where the query says nothing.
        assert_eq!(
            choose(&StepInput {
                interval_ms: 15_000,
                ..input()
            }),
            Some(15_000)
        );
        // No more than 11,000 points: a year at 1 s becomes 1 h (2,866 s rounded).
        let year = StepInput {
            to_ms: 365 * 24 * HOUR,
            max_data_points: 1_000_000,
            interval: Some("1s"),
            ..input()
        };
        assert_eq!(choose(&year), Some(HOUR));
        assert_eq!(
            choose(&StepInput {
                interval_factor: 3,
                ..input()
            }),
            Some(15_000)
        );
        assert_eq!(
            choose(&StepInput {
                interval: Some("$__rate_interval"),
                ..input()
            }),
            Some(6_000)
        );
        assert_eq!(
            choose(&StepInput {
                interval: Some("$__interval"),
                ..input()
            }),
            Some(5_000)
        );
        assert_eq!(
            choose(&StepInput {
                interval: Some("soon"),
                ..input()
            }),
            None
        );
    }

    #[test]
    fn an_alert_rule_without_settings_gets_the_step_of_its_interval() {
        // Grafana's defaults for alert queries: 1 s and 43,200 points.
        let alert = StepInput {
            to_ms: 600_000,
            interval_ms: 1000,
            max_data_points: 43_200,
            ..input()
        };
        assert_eq!(choose(&alert), Some(1000));
    }

    #[test]
    fn start_and_end_lie_on_whole_steps_also_before_1970_and_with_an_offset() {
        assert_eq!(
            grid(7, 61, 20, 0),
            Grid {
                start_ms: 0,
                end_ms: 60,
                step_ms: 20
            }
        );
        assert_eq!(
            grid(-7, 61, 20, 0),
            Grid {
                start_ms: -20,
                end_ms: 60,
                step_ms: 20
            }
        );
        let day = 24 * HOUR;
        assert_eq!(grid(day, 2 * day, day, 2 * HOUR).start_ms, day - 2 * HOUR);
    }

    #[test]
    fn a_step_is_widened_until_the_answer_fits_and_keeps_sixty_points() {
        let hour = grid(0, HOUR, 1000, 0);
        assert_eq!(fit(hour, 10, 100_000), Fit::Fits);
        assert_eq!(fit(hour, 1_000_000, 0), Fit::Fits);
        for series in [28, 100, 500, 1000, 1600] {
            match fit(hour, series, 100_000) {
                Fit::Widen { step_ms } => {
                    let wide = grid(0, HOUR, step_ms, 0);
                    assert!(
                        wide.len() as u64 * series <= 100_000,
                        "{series} series at {step_ms} ms"
                    );
                    assert!(
                        wide.len() as u64 >= LEAST_POINTS,
                        "{series} series at {step_ms} ms"
                    );
                }
                other => panic!("{series} series: {other:?}"),
            }
        }
        assert_eq!(
            fit(hour, 2000, 100_000),
            Fit::Never {
                points: 60,
                cells: 120_000
            }
        );
        // An instant query has one point, and a short range its own.
        assert_eq!(fit(Grid::instant(0), 99_999, 100_000), Fit::Fits);
        assert_eq!(
            fit(grid(0, 9_000, 1000, 0), 20_000, 100_000),
            Fit::Never {
                points: 10,
                cells: 200_000
            }
        );
    }
}
