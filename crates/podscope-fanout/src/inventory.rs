//! What the fleet has: nodes, series, label names and values, metadata. Lists are kept for a few seconds: an editor asks
//! for several of them at once, and again with every key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podscope_model::catalog::{self, agent};
use podscope_model::labels::Labels;
use podscope_model::leaf::{MetricInfo, SeriesQuery};
use podscope_model::matcher::all_match;
use tokio::time::Instant;

use crate::answer::{NodeStatus, Partial, SeriesRequest};
use crate::ask;
use crate::coalesce::{Coalescer, Work};
use crate::coverage::{may_be_up, up_labels};
use crate::error::FleetError;
use crate::fleet::{Fleet, is_fatal};
use crate::node::Node;

/// How long a list is good.
const LIST_AGE: Duration = Duration::from_secs(5);
/// How long the nodes' own descriptions are good.
const INFO_AGE: Duration = Duration::from_secs(2);
/// Lists kept, and the longest one kept.
const MAX_LISTS: usize = 32;
const MAX_KEPT_SERIES: usize = 200_000;
/// Requests whose times differ by less than this are the same to an editor.
const TIME_GRAIN_MS: i64 = 10_000;
/// How often `up` is known, as metadata tells it.
const UP_INTERVAL_MS: u64 = 1_000;

type List = Arc<Partial<Vec<Labels>>>;

/// What was asked lately.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By the request as text, with its times made coarse.
    asking: Coalescer<String, Result<List, FleetError>>,
    series: Mutex<Vec<(SeriesRequest, Instant, List)>>,
    nodes: Mutex<Option<(Instant, Arc<Vec<NodeStatus>>)>>,
}

impl Fleet {
    /// The label sets any of the selectors matches, sorted, over all leaves; `up` of every node among them.
    ///
    /// # Errors
    /// No targets, no answer at all, or a question a leaf refuses.
    pub async fn series(&self, request: &SeriesRequest) -> Result<Partial<Vec<Labels>>, FleetError> {
        Ok(Arc::unwrap_or_clone(self.list(request).await?))
    }

    /// The label names of [`Fleet::series`], sorted.
    ///
    /// # Errors
    /// As [`Fleet::series`].
    pub async fn label_names(&self, request: &SeriesRequest) -> Result<Partial<Vec<String>>, FleetError> {
        let list = self.list(request).await?;
        let names: BTreeSet<&str> = list
            .value
            .iter()
            .flat_map(|labels| labels.iter().map(|label| label.name.as_ref()))
            .collect();
        Ok(Partial {
            value: names.into_iter().map(str::to_owned).collect(),
            completeness: list.completeness.clone(),
        })
    }

    /// The values label `name` has in [`Fleet::series`], sorted.
    ///
    /// # Errors
    /// As [`Fleet::series`].
    pub async fn label_values(
        &self,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Partial<Vec<String>>, FleetError> {
        let list = self.list(request).await?;
        let values: BTreeSet<&str> = list.value.iter().filter_map(|labels| labels.get(name)).collect();
        Ok(Partial {
            value: values.into_iter().map(str::to_owned).collect(),
            completeness: list.completeness.clone(),
        })
    }

    /// Kind, unit and help of every metric any answering leaf has.
    pub async fn metadata(&self) -> BTreeMap<String, MetricInfo> {
        let mut all = BTreeMap::new();
        for node in self.nodes_shared().await.iter() {
            if let Ok(info) = &node.info {
                for (name, metric) in &info.metrics {
                    all.entry(name.clone()).or_insert_with(|| metric.clone());
                }
            }
        }
        let up = catalog::find(agent::UP.name).unwrap_or(&agent::UP);
        all.entry(up.name.to_owned()).or_insert_with(|| MetricInfo {
            kind: up.kind,
            unit: up.unit,
            help: up.help.to_owned(),
            interval_ms: UP_INTERVAL_MS,
        });
        all
    }

    /// Every target with what its agent says of itself, or why it does not answer. A real round trip, at most two
    /// seconds old.
    pub async fn inventory(&self) -> Vec<NodeStatus> {
        self.nodes_shared().await.as_ref().clone()
    }

    async fn nodes_shared(&self) -> Arc<Vec<NodeStatus>> {
        let kept = self
            .inner
            .lists
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((at, nodes)) = kept
            && at.elapsed() < INFO_AGE
        {
            return nodes;
        }
        let deadline = Instant::now() + self.inner.config.timeout;
        let gate = Arc::clone(&self.inner.gate);
        let job = move |node: Arc<Node>| {
            let gate = Arc::clone(&gate);
            async move {
                let info = node
                    .ask_regardless(&gate, deadline, |leaf| leaf.info())
                    .await?
                    .value;
                node.check_identity(&info.instance, &info.leaf_id)?;
                Ok(info)
            }
        };
        // Nothing is fatal here: no error ends the round.
        let answers = ask::each(&self.inner.nodes, job, |_| false)
            .await
            .unwrap_or_default();
        let nodes: Vec<NodeStatus> = self
            .inner
            .nodes
            .iter()
            .zip(answers)
            .map(|(node, info)| NodeStatus {
                instance: node.instance(),
                url: node.spec.url.clone(),
                info,
            })
            .collect();
        let nodes = Arc::new(nodes);
        let fresh = Some((Instant::now(), Arc::clone(&nodes)));
        *self
            .inner
            .lists
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
        nodes
    }

    async fn list(&self, request: &SeriesRequest) -> Result<List, FleetError> {
        if self.inner.nodes.is_empty() {
            return Err(FleetError::NoTargets);
        }
        let mut key = request.clone();
        key.start_ms = key.start_ms.div_euclid(TIME_GRAIN_MS);
        key.end_ms = key.end_ms.div_euclid(TIME_GRAIN_MS);
        let kept = {
            let mut lists = self
                .inner
                .lists
                .series
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            lists.retain(|(_, at, _)| at.elapsed() < LIST_AGE);
            lists
                .iter()
                .find(|(kept, _, _)| *kept == key)
                .map(|(_, _, list)| Arc::clone(list))
        };
        if let Some(list) = kept {
            return Ok(list);
        }
        let begin = || -> Work<_> {
            let (fleet, request) = (self.clone(), request.clone());
            Box::pin(async move { fleet.ask_for_series(&request).await.map(Arc::new) })
        };
        let list = self.inner.lists.asking.share(format!("{key:?}"), begin).await?;
        if list.value.len() <= MAX_KEPT_SERIES {
            let mut lists = self
                .inner
                .lists
                .series
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if lists.len() >= MAX_LISTS {
                lists.remove(0);
            }
            lists.push((key, Instant::now(), Arc::clone(&list)));
        }
        Ok(list)
    }

    async fn ask_for_series(&self, request: &SeriesRequest) -> Result<Partial<Vec<Labels>>, FleetError> {
        let deadline = Instant::now() + self.inner.config.timeout;
        let gate = Arc::clone(&self.inner.gate);
        let mut limits = self.inner.config.limits;
        limits.timeout_ms = limits.timeout_ms.min(self.inner.timeout_ms());
        let asked: Vec<Arc<Node>> = self
            .inner
            .nodes
            .iter()
            .filter(|node| node.can_match(&request.selectors))
            .map(Arc::clone)
            .collect();
        let wanted = request.clone();
        let job = move |node: Arc<Node>| {
            let gate = Arc::clone(&gate);
            let query = SeriesQuery {
                selectors: wanted.selectors.clone(),
                start_ms: wanted.start_ms,
                end_ms: wanted.end_ms,
                target: node.target(),
                user: wanted.user.clone(),
                limits,
            };
            async move {
                let answer = node.ask(&gate, deadline, |leaf| leaf.series(query)).await?.value;
                node.check_identity(&answer.instance, &answer.leaf_id)?;
                Ok(answer)
            }
        };
        let answers = ask::each(&asked, job, is_fatal)
            .await
            .map_err(|(node, error)| FleetError::Leaf {
                instance: node.instance(),
                url: node.spec.url.clone(),
                error,
            })?;
        let (kept, completeness) = ask::sort_out(&asked, answers, |answer| &answer.leaf_id);
        if completeness.answered == 0 && completeness.expected > 0 {
            return Err(FleetError::NoneAnswered(completeness));
        }
        let mut all: Vec<Labels> = kept.into_iter().flat_map(|(_, answer)| answer.series).collect();
        if request
            .user
            .as_ref()
            .is_none_or(|scope| scope.is_public(agent::UP.name))
        {
            let selected = |labels: &Labels| {
                let mut selectors = request.selectors.iter();
                request.selectors.is_empty()
                    || selectors.any(|matchers| may_be_up(matchers) && all_match(matchers, labels))
            };
            all.extend(
                self.inner
                    .nodes
                    .iter()
                    .map(|node| up_labels(node))
                    .filter(selected),
            );
        }
        all.sort_unstable();
        all.dedup();
        Ok(Partial {
            value: all,
            completeness,
        })
    }
}
