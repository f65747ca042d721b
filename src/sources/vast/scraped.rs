//! Whether somebody scrapes a cluster's own exporter: then those series are used, and the ones read directly left out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_fanout::SeriesRequest;
use podscope_model::labels::NAME;
use podscope_model::matcher::{MatchOp, Matcher};

use super::JOB;
use super::kept::locked;
use crate::instances::Instance;

/// How long a look is good.
const OFTEN: Duration = Duration::from_secs(60);
/// How long the first question waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the exporter has of every cluster.
const NAMES: &str = "vast_cluster_.+";

/// When it was looked for last.
#[derive(Debug, Default)]
pub struct Scraped {
    looked: Mutex<Option<Instant>>,
}

impl Scraped {
    /// Looks among the agents and in the stores, once a minute; only the first question waits for it.
    pub(crate) async fn look(&self, instance: &Arc<Instance>) {
        let first = {
            let mut looked = locked(&self.looked);
            if looked.is_some_and(|at| at.elapsed() < OFTEN) {
                return;
            }
            looked.replace(Instant::now()).is_none()
        };
        let instance = Arc::clone(instance);
        let looking = tokio::spawn(async move {
            let clusters = found(&instance).await;
            for server in &instance.sources.vast {
                server.leave_out(clusters.clone());
            }
        });
        if first {
            // Late: the next question knows more.
            let _late = tokio::time::timeout(PATIENCE, looking).await.is_err();
        }
    }
}

async fn found(instance: &Instance) -> BTreeSet<String> {
    let mut clusters = BTreeSet::new();
    let selector = [
        Matcher::new(NAME, MatchOp::Regex, NAMES),
        // Ours are not meant.
        Matcher::new("job", MatchOp::NotEqual, JOB),
    ];
    let selector: Vec<Matcher> = selector.into_iter().flatten().collect();
    if !instance.settings.targets.is_empty() {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let request = SeriesRequest {
            selectors: vec![selector],
            start_ms: now_ms - 600_000,
            end_ms: now_ms,
            user: None,
        };
        if let Ok(list) = instance.fleet.label_values("cluster", &request).await {
            clusters.extend(list.value);
        }
    }
    let text = format!("{{__name__=~\"{NAMES}\"}}");
    for store in &instance.sources.stores {
        clusters.extend(
            store
                .label_values("cluster", std::slice::from_ref(&text))
                .await
                .into_iter()
                .flatten(),
        );
    }
    clusters
}
