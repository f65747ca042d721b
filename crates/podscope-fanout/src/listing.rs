//! Making one list: from what is known of the nodes, and by asking those of whom nothing is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podscope_model::catalog::agent;
use podscope_model::inventory::{LabelsAnswer, LabelsQuery};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{Behind, Route, SeriesAnswer, SeriesQuery};
use podscope_model::matcher::all_match;
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use crate::answer::{Completeness, Partial, SeriesRequest};
use crate::ask::{self, Answered, Gathered, Wanted};
use crate::coverage::may_be_up;
use crate::error::FleetError;
use crate::expected::all_up_labels;
use crate::fleet::Inner;
use crate::known::NodeLabels;
use crate::lists::{Listed, Of};
use crate::node::Node;
use crate::route::{Way, id_of};

impl Answered for SeriesAnswer {
    fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    fn behind(&self) -> Option<&Behind> {
        self.behind.as_deref()
    }
}

impl Answered for LabelsAnswer {
    fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    fn behind(&self) -> Option<&Behind> {
        self.behind.as_deref()
    }
}

/// The part of a fleet a list is of.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) outer: &'a BTreeMap<String, String>,
    pub(crate) route: &'a Route,
    /// Whether `up`, which the root makes, is among the series.
    pub(crate) up: bool,
}

impl Inner {
    pub(crate) async fn listed(
        self: &Arc<Self>,
        of: &Of,
        request: &SeriesRequest,
        part: Part<'_>,
    ) -> Result<Partial<Listed>, FleetError> {
        let mut listed = match of {
            Of::Series => {
                let Gathered {
                    kept, completeness, ..
                } = self.series_of(request, part.outer, part.route).await?;
                let series = kept.into_iter().flat_map(|(_, answer)| answer.series).collect();
                Partial {
                    value: Listed::Series(series),
                    completeness,
                }
            }
            Of::Names => self.texts_of(None, request, part).await?,
            Of::Values(name) => self.texts_of(Some(name), request, part).await?,
        };
        // What is nobody's own is hidden from a user who may only see their own.
        let ups: Vec<Labels> = if part.up
            && request
                .user
                .as_ref()
                .is_none_or(|scope| scope.is_public(agent::UP.name))
        {
            let selected = |labels: &Labels| {
                request.selectors.is_empty()
                    || request
                        .selectors
                        .iter()
                        .any(|matchers| may_be_up(matchers) && all_match(matchers, labels))
            };
            all_up_labels(&self.nodes())
                .into_iter()
                .filter(selected)
                .collect()
        } else {
            Vec::new()
        };
        match (&mut listed.value, of) {
            (Listed::Series(series), _) => {
                series.extend(ups);
                series.sort_unstable();
                series.dedup();
            }
            (Listed::Texts(texts), of) => {
                let mut all: BTreeSet<String> = texts.drain(..).collect();
                for labels in &ups {
                    match of {
                        Of::Values(name) => all.extend(labels.get(name).map(str::to_owned)),
                        _ => all.extend(labels.iter().map(|label| label.name.to_string())),
                    }
                }
                texts.extend(all);
            }
        }
        Ok(listed)
    }

    /// Asks the leaves that can match for their label sets.
    pub(crate) async fn series_of(
        self: &Arc<Self>,
        request: &SeriesRequest,
        outer: &BTreeMap<String, String>,
        route: &Route,
    ) -> Result<Gathered<SeriesAnswer>, FleetError> {
        let deadline = Instant::now() + self.config.timeout;
        let gate = Arc::clone(&self.gate);
        let mut limits = self.config.limits;
        limits.timeout_ms = limits.timeout_ms.min(self.timeout_ms());
        let (request_of_all, given) = (request.clone(), outer.clone());
        let job = move |way: Way| {
            let gate = Arc::clone(&gate);
            let query = SeriesQuery {
                selectors: request_of_all.selectors.clone(),
                start_ms: request_of_all.start_ms,
                end_ms: request_of_all.end_ms,
                target: way.node.target(&given),
                user: request_of_all.user.clone(),
                limits,
                route: way.route.clone(),
            };
            async move {
                let answer = way
                    .node
                    .ask(&gate, deadline, |leaf| leaf.series(query))
                    .await?
                    .value;
                way.node.check_identity(&answer.instance, &answer.leaf_id)?;
                Ok(answer)
            }
        };
        let wanted = Wanted {
            parts: vec![&request.selectors],
            outer,
            route,
            done: FxHashSet::default(),
        };
        answered(ask::gather(self, &wanted, deadline, job, ask::refusals).await)
    }

    /// Label names, or values of one label: from the inventories of leaves, and from the others by asking.
    async fn texts_of(
        self: &Arc<Self>,
        name: Option<&str>,
        request: &SeriesRequest,
        part: Part<'_>,
    ) -> Result<Partial<Listed>, FleetError> {
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut done = FxHashSet::default();
        let mut answered_here = 0;
        if request.user.is_none() {
            for node in self.nodes().iter().filter(|node| !node.is_open()) {
                let admitted = part.route.is_plain() || part.route.admits(&id_of(node));
                if admitted && take_known(node, part.outer, name, request, &mut all) {
                    done.insert(Arc::as_ptr(node) as usize);
                    answered_here += usize::from(node.can_match(&request.selectors, part.outer));
                }
            }
        }
        let deadline = Instant::now() + self.config.timeout;
        let gate = Arc::clone(&self.gate);
        let mut limits = self.config.limits;
        limits.timeout_ms = limits.timeout_ms.min(self.timeout_ms());
        let (request_of_all, given) = (request.clone(), part.outer.clone());
        let wanted_name = name.map(str::to_owned);
        let job = move |way: Way| {
            let gate = Arc::clone(&gate);
            let query = LabelsQuery {
                name: wanted_name.clone(),
                selectors: request_of_all.selectors.clone(),
                start_ms: request_of_all.start_ms,
                end_ms: request_of_all.end_ms,
                target: way.node.target(&given),
                user: request_of_all.user.clone(),
                limits,
                route: way.route.clone(),
            };
            async move {
                let answer = way
                    .node
                    .ask(&gate, deadline, |leaf| leaf.labels(query))
                    .await?
                    .value;
                way.node.check_identity(&answer.instance, &answer.leaf_id)?;
                Ok(answer)
            }
        };
        let wanted = Wanted {
            parts: vec![&request.selectors],
            outer: part.outer,
            route: part.route,
            done,
        };
        let asked = ask::gather(self, &wanted, deadline, job, ask::refusals).await;
        let Gathered {
            kept,
            mut completeness,
            ..
        } = match asked {
            Ok(gathered) => gathered,
            Err(fatal) => return Err(leaf_error(fatal)),
        };
        all.extend(kept.into_iter().flat_map(|(_, answer)| answer.values));
        completeness.expected += answered_here;
        completeness.answered += answered_here;
        if completeness.answered == 0 && completeness.expected > 0 {
            return Err(FleetError::NoneAnswered(completeness));
        }
        Ok(Partial {
            value: Listed::Texts(all.into_iter().collect()),
            completeness,
        })
    }

    /// What a hub answers to its parent's question for label names or values.
    pub(crate) async fn labels_for(
        self: &Arc<Self>,
        name: Option<&str>,
        request: &SeriesRequest,
        outer: &BTreeMap<String, String>,
        route: &Route,
    ) -> Result<(Vec<String>, Completeness), FleetError> {
        let part = Part {
            outer,
            route,
            up: false,
        };
        let of = name.map_or(Of::Names, |name| Of::Values(name.to_owned()));
        let found = self.listed(&of, request, part).await?;
        match found.value {
            Listed::Texts(texts) => Ok((texts, found.completeness)),
            Listed::Series(_) => Ok((Vec::new(), found.completeness)),
        }
    }
}

/// Adds what the node's inventory tells; answers whether it tells all.
fn take_known(
    node: &Node,
    outer: &BTreeMap<String, String>,
    name: Option<&str>,
    request: &SeriesRequest,
    all: &mut BTreeSet<String>,
) -> bool {
    let Some(known) = node.known().filter(|known| !known.is_hub()) else {
        return false;
    };
    if known
        .inventory
        .oldest_ms
        .is_some_and(|oldest| request.end_ms < oldest)
    {
        return true;
    }
    let instance = node.instance();
    let labels = NodeLabels {
        instance: Some(&instance),
        labels: &node.spec.labels,
        outer,
    };
    let mut add = |text: &str| {
        if !all.contains(text) {
            all.insert(text.to_owned());
        }
    };
    known.for_each_series(
        labels,
        &request.selectors,
        &mut |metric, series, node| match name {
            Some(NAME) => add(metric),
            Some("instance") => add(&instance),
            Some(name) => {
                if let Some(value) = series.get(name).or_else(|| node.get(name)) {
                    add(value);
                }
            }
            None => {
                for own in [NAME, "instance"] {
                    add(own);
                }
                let given = node.labels.keys().chain(node.outer.keys()).map(String::as_str);
                let own = series.iter().map(|label| label.name.as_ref());
                own.chain(given).for_each(&mut add);
            }
        },
    );
    true
}

fn leaf_error((node, error): ask::Fatal) -> FleetError {
    FleetError::Leaf {
        instance: node.instance(),
        url: node.spec.url.clone(),
        error,
    }
}

fn answered<T>(gathered: Result<Gathered<T>, ask::Fatal>) -> Result<Gathered<T>, FleetError> {
    let gathered = gathered.map_err(leaf_error)?;
    if gathered.completeness.answered == 0 && gathered.completeness.expected > 0 {
        return Err(FleetError::NoneAnswered(gathered.completeness));
    }
    Ok(gathered)
}
