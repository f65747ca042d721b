//! What the fleet has: nodes, series, label names and values, metadata. Lists of labels are made from the inventories, and
//! asked for only where none is known; what was asked for is kept for a few seconds, because an editor asks for several
//! lists at once, and again with every key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podscope_model::catalog::{self, agent};
use podscope_model::labels::Labels;
use podscope_model::leaf::{MetricInfo, Route};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::{NodeStatus, Partial, SeriesRequest};
use crate::ask;
use crate::coalesce::{Coalescer, Work};
use crate::error::FleetError;
use crate::fleet::Fleet;
use crate::listing::Part;
use crate::node::NO_LABELS;

/// How long a list is good.
const LIST_AGE: Duration = Duration::from_secs(5);
/// How long the nodes' own descriptions are good.
const INFO_AGE: Duration = Duration::from_secs(2);
/// Lists kept, and the longest one kept.
const MAX_LISTS: usize = 32;
const MAX_KEPT: usize = 200_000;
/// Requests whose times differ by less than this are the same to an editor.
const TIME_GRAIN_MS: i64 = 10_000;
/// How often `up` is known, as metadata tells it.
const UP_INTERVAL_MS: u64 = 1_000;

/// What a list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Series,
    Names,
    Values(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Listed {
    Series(Vec<Labels>),
    Texts(Vec<String>),
}

type List = Arc<Partial<Listed>>;

/// What was asked lately.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By the request as text, with its times made coarse.
    asking: Coalescer<String, Result<List, FleetError>>,
    kept: Mutex<Vec<(Of, SeriesRequest, Instant, List)>>,
    nodes: Mutex<Option<(Instant, Arc<Vec<NodeStatus>>)>>,
}

impl Lists {
    /// The nodes have changed, or what they have.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Fleet {
    /// The label sets any of the selectors matches, sorted, over all leaves; `up` of every node among them.
    ///
    /// # Errors
    /// No targets, no answer at all, or a question a leaf refuses.
    pub async fn series(&self, request: &SeriesRequest) -> Result<Partial<Vec<Labels>>, FleetError> {
        let list = self.list(Of::Series, request).await?;
        let value = match &list.value {
            Listed::Series(series) => series.clone(),
            Listed::Texts(_) => Vec::new(),
        };
        Ok(partial(value, &list))
    }

    /// The label names of [`Fleet::series`], sorted.
    ///
    /// # Errors
    /// As [`Fleet::series`].
    pub async fn label_names(&self, request: &SeriesRequest) -> Result<Partial<Vec<String>>, FleetError> {
        self.texts(Of::Names, request).await
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
        self.texts(Of::Values(name.to_owned()), request).await
    }

    async fn texts(&self, of: Of, request: &SeriesRequest) -> Result<Partial<Vec<String>>, FleetError> {
        let list = self.list(of, request).await?;
        let value = match &list.value {
            Listed::Texts(texts) => texts.clone(),
            Listed::Series(_) => Vec::new(),
        };
        Ok(partial(value, &list))
    }

    /// Kind, unit and help of every metric any leaf has.
    pub async fn metadata(&self) -> BTreeMap<String, MetricInfo> {
        self.keep_inventories();
        let mut all = BTreeMap::new();
        let nodes = self.inner.nodes();
        let mut unknown = false;
        for node in nodes.iter() {
            let Some(known) = node.known() else {
                unknown = true;
                continue;
            };
            for (name, held) in &known.inventory.metrics {
                if !all.contains_key(name) {
                    all.insert(name.clone(), held.info.clone());
                }
            }
        }
        if unknown {
            for node in self.nodes_shared().await.iter() {
                if let Ok(info) = &node.info {
                    for (name, metric) in &info.metrics {
                        all.entry(name.clone()).or_insert_with(|| metric.clone());
                    }
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
        let nodes = self.inner.nodes();
        let nodes: Vec<_> = nodes.iter().filter(|node| !node.source).map(Arc::clone).collect();
        let mut tasks = JoinSet::new();
        for (at, node) in nodes.iter().enumerate() {
            let (node, inner) = (Arc::clone(node), Arc::clone(&self.inner));
            tasks.spawn(async move {
                let asked = node
                    .ask_regardless(&inner.gate, deadline, |leaf| leaf.info())
                    .await;
                let info = asked.and_then(|answer| {
                    node.check_identity(&answer.value.instance, &answer.value.leaf_id)?;
                    Ok(answer.value)
                });
                (at, info)
            });
        }
        let mut infos: Vec<_> = nodes.iter().map(|_| Err(ask::unread())).collect();
        while let Some(done) = tasks.join_next().await {
            // Of a task that panicked nothing is known.
            let Ok((at, info)) = done else { continue };
            infos[at] = info;
        }
        let all = nodes.iter().zip(infos).map(|(node, info)| NodeStatus {
            instance: node.instance(),
            url: node.spec.url.clone(),
            info,
        });
        let all: Vec<NodeStatus> = all.collect();
        let all = Arc::new(all);
        let fresh = Some((Instant::now(), Arc::clone(&all)));
        *self
            .inner
            .lists
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
        all
    }

    async fn list(&self, of: Of, request: &SeriesRequest) -> Result<List, FleetError> {
        if self.inner.nodes().is_empty() {
            return Err(FleetError::NoTargets);
        }
        self.keep_inventories();
        let mut key = request.clone();
        key.start_ms = key.start_ms.div_euclid(TIME_GRAIN_MS);
        key.end_ms = key.end_ms.div_euclid(TIME_GRAIN_MS);
        let kept = {
            let mut lists = self
                .inner
                .lists
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            lists.retain(|(_, _, at, _)| at.elapsed() < LIST_AGE);
            lists
                .iter()
                .find(|(kind, kept, _, _)| *kind == of && *kept == key)
                .map(|(_, _, _, list)| Arc::clone(list))
        };
        if let Some(list) = kept {
            return Ok(list);
        }
        let begin = || -> Work<_> {
            let (inner, request, of) = (Arc::clone(&self.inner), request.clone(), of.clone());
            Box::pin(async move {
                let part = Part {
                    outer: NO_LABELS,
                    route: &Route::default(),
                    up: true,
                };
                inner.listed(&of, &request, part).await.map(Arc::new)
            })
        };
        let coalesced = format!("{of:?} {key:?}");
        let list = self.inner.lists.asking.share(coalesced, begin).await?;
        let length = match &list.value {
            Listed::Series(series) => series.len(),
            Listed::Texts(texts) => texts.len(),
        };
        if length <= MAX_KEPT {
            let mut lists = self
                .inner
                .lists
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if lists.len() >= MAX_LISTS {
                lists.remove(0);
            }
            lists.push((of, key, Instant::now(), Arc::clone(&list)));
        }
        Ok(list)
    }
}

fn partial<T>(value: T, list: &List) -> Partial<T> {
    Partial {
        value,
        completeness: list.completeness.clone(),
    }
}
