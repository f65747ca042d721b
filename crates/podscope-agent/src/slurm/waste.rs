//! Allocated GPUs that are wasted, counted over the nodes behind a hub in PromQL, as anybody could.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use podscope_collect::slurm::slo::Waste;
use podscope_fanout::FleetQuery;
use podscope_model::catalog::{ds01, gpu};
use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;

use crate::schedule::now_ms;
use crate::state::AgentState;

/// How often they are counted, and how long a count may pass for the present.
const EVERY: Duration = Duration::from_secs(60);
const FRESH_MS: i64 = 300_000;

/// The last count.
#[derive(Debug)]
pub struct FleetWaste {
    gpus: AtomicU64,
    at_ms: AtomicI64,
}

impl Default for FleetWaste {
    fn default() -> Self {
        Self {
            gpus: AtomicU64::new(0),
            at_ms: AtomicI64::new(i64::MIN),
        }
    }
}

impl Waste for FleetWaste {
    fn wasted_gpus(&self, now_ms: i64) -> Option<f64> {
        let age = now_ms.saturating_sub(self.at_ms.load(Ordering::Acquire));
        (age <= FRESH_MS).then(|| f64::from_bits(self.gpus.load(Ordering::Relaxed)))
    }
}

/// GPUs allocated for half an hour and less than 5 % busy all that time; 0 where GPUs are allocated and none is wasted, and
/// nothing where none is known to be allocated.
fn expression() -> String {
    let (allocated, busy) = (ds01::GPU_ALLOCATED.name, gpu::DCGM_FI_DEV_GPU_UTIL.name);
    format!(
        "count((({allocated} == 1) and ({allocated} offset 30m == 1)) and on (instance, gpu) \
         (max_over_time(avg_over_time({busy}[5m])[30m:1m]) < 5)) or count({allocated}) * 0"
    )
}

impl FleetWaste {
    /// Counts for as long as the agent runs; one that is no hub knows nothing of other nodes and counts nothing.
    pub(crate) fn start(self: &Arc<Self>, state: &Arc<AgentState>) {
        let (own, state) = (Arc::clone(self), Arc::downgrade(state));
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(counted) = count(&state).await else {
                    return;
                };
                if let Some(gpus) = counted {
                    own.gpus.store(gpus.to_bits(), Ordering::Relaxed);
                    own.at_ms.store(now_ms(), Ordering::Release);
                }
            }
        });
    }
}

/// Absent when the agent is gone or no hub; inside that, when nothing is known.
async fn count(state: &Weak<AgentState>) -> Option<Option<f64>> {
    let state = state.upgrade()?;
    let query = FleetQuery::new(expression(), Grid::instant(now_ms()));
    let answer = match state.hub()?.fleet().query(query).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(error = %crate::chain(&error), "wasted GPUs could not be counted");
            return Some(None);
        }
    };
    let Value::Vector(series) = &answer.outcome.value else {
        return Some(None);
    };
    let first = series.first().and_then(|series| series.values.first());
    Some(first.copied().filter(|value| !is_stale(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_is_promql_and_a_count_ages() {
        podscope_promql::parse(&expression()).expect("PromQL");
        let waste = FleetWaste::default();
        assert_eq!(waste.wasted_gpus(0), None, "nobody has counted yet");
        waste.gpus.store(3.0_f64.to_bits(), Ordering::Relaxed);
        waste.at_ms.store(1000, Ordering::Release);
        assert_eq!(waste.wasted_gpus(2000), Some(3.0));
        assert_eq!(waste.wasted_gpus(1001 + FRESH_MS), None);
    }
}
