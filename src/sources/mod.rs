//! Where the numbers come from: the agents, and Prometheus-compatible stores beside them.
//!
//! Which source serves a selector is decided in this order (rule 6 of the design): a store that is set to serve it, the
//! agents where the catalog or an agent's inventory has the metric, the store that serves the rest. Never two at once. One
//! store may continue the agents' past: a step that looks further back than `longTermAfter` is asked of it, every other
//! of the agents.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`store`] | the Prometheus HTTP API as a client |
//! | [`route`] | which source serves an expression |
//! | [`stitch`] | one answer from the store's part and the agents' part |
//! | [`vast`] | VAST clusters, which answer beside the agents |

pub mod route;
pub mod stitch;
pub mod store;
pub mod vast;

use std::sync::Arc;

use podscope_fanout::{Completeness, FleetAnswer, FleetQuery, FleetStats};
use podscope_model::leaf::Annotation;
use podscope_model::sample::Grid;
use podscope_promql::Parsed;

use crate::error::QueryError;
use crate::instances::Instance;
use crate::settings::Settings;
use route::Served;
use store::Store;
use vast::Vast;

/// The stores and VAST clusters of one data source.
#[derive(Debug, Default)]
pub struct Sources {
    pub stores: Vec<Store>,
    pub vast: Vec<Arc<Vast>>,
    scraped: vast::Scraped,
}

impl Sources {
    /// # Errors
    /// A store whose client cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, QueryError> {
        let stores = settings
            .stores
            .iter()
            .map(|store| Store::new(store.clone(), settings));
        let vast = settings
            .vast
            .iter()
            .map(|server| Vast::new(server.clone(), settings));
        Ok(Self {
            stores: stores.collect::<Result<_, _>>()?,
            vast: vast.collect::<Result<_, _>>()?,
            scraped: vast::Scraped::default(),
        })
    }

    /// Whether a metric is read from a VAST cluster's own server.
    pub fn reads_from_vast(&self, name: &str) -> bool {
        self.vast.iter().any(|server| server.tells(name))
    }

    /// The store that continues the agents' past.
    pub fn long_term(&self) -> Option<&Store> {
        self.stores
            .iter()
            .find(|store| store.settings.long_term_after.is_some())
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Evaluates an expression where its series lie.
///
/// # Errors
/// See [`QueryError`].
pub async fn query(instance: &Arc<Instance>, query: FleetQuery) -> Result<FleetAnswer, QueryError> {
    let sources = &instance.sources;
    if sources.stores.is_empty() && sources.vast.is_empty() {
        return Ok(instance.fleet.query(query).await?);
    }
    let parsed = podscope_promql::parse(&query.expr).map_err(QueryError::Parse)?;
    if vast::concerns(sources, &parsed) {
        sources.scraped.look(instance).await;
        vast::refuse_scope(sources, &query, &parsed)?;
    }
    if sources.stores.is_empty() {
        return Ok(instance.fleet.query(query).await?);
    }
    match route::served_by(instance, &parsed).await? {
        Served::Store(at) => {
            refuse_scope(&query, &sources.stores[at])?;
            let outcome = sources.stores[at]
                .query(&query.expr, query.grid, query.lookback_ms, &parsed)
                .await?;
            Ok(of_store(outcome))
        }
        Served::Agents => agents_and_past(instance, query, &parsed).await,
    }
}

/// A store cannot tell whose a series is: it is not asked on behalf of somebody who sees only their own.
fn refuse_scope(query: &FleetQuery, store: &Store) -> Result<(), QueryError> {
    match query.user {
        None => Ok(()),
        Some(_) => Err(QueryError::StoreScope(store.settings.name.clone())),
    }
}

fn of_store(outcome: podscope_promql::Outcome) -> FleetAnswer {
    FleetAnswer {
        outcome,
        completeness: Completeness::default(),
        stats: FleetStats::default(),
    }
}

/// The agents' series; what lies before the seam comes from the long-term store.
async fn agents_and_past(
    instance: &Arc<Instance>,
    query: FleetQuery,
    parsed: &Parsed,
) -> Result<FleetAnswer, QueryError> {
    let Some(store) = instance.sources.long_term() else {
        return Ok(instance.fleet.query(query).await?);
    };
    // A management server keeps its own past.
    if vast::concerns(&instance.sources, parsed) {
        return Ok(instance.fleet.query(query).await?);
    }
    let seam_ms = stitch::seam_ms(now_ms(), store.settings.long_term_after.unwrap_or_default());
    let from_store = stitch::steps_before(parsed, query.grid, query.lookback_ms, seam_ms);
    if from_store == 0 {
        return Ok(instance.fleet.query(query).await?);
    }
    let notice = |what: &str| {
        let seam = jiff::Timestamp::from_millisecond(seam_ms)
            .map_or_else(|_| seam_ms.to_string(), |t| t.to_string());
        Annotation::Info(format!(
            "{what} from the long-term store {:?}: what looks back beyond {seam} is asked of it",
            store.settings.name
        ))
    };
    refuse_scope(&query, store)?;
    let grid = query.grid;
    if from_store == grid.len() {
        let mut outcome = store.query(&query.expr, grid, query.lookback_ms, parsed).await?;
        outcome.annotations.push(notice("all values come"));
        return Ok(of_store(outcome));
    }
    let (old, new) = (
        Grid {
            end_ms: grid.at(from_store - 1),
            ..grid
        },
        Grid {
            start_ms: grid.at(from_store),
            ..grid
        },
    );
    let (expr, lookback_ms) = (query.expr.clone(), query.lookback_ms);
    let recent = async {
        instance
            .fleet
            .query(FleetQuery { grid: new, ..query })
            .await
            .map_err(QueryError::from)
    };
    let (past, mut answer) = tokio::try_join!(store.query(&expr, old, lookback_ms, parsed), recent)?;
    answer.outcome = stitch::join(past, answer.outcome, old.len(), new.len())?;
    answer.outcome.annotations.push(notice("older values come"));
    Ok(answer)
}
