//! Which source serves an expression (rule 6 of the design).

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::catalog;
use podscope_model::labels::NAME;
use podscope_model::leaf::MetricInfo;
use podscope_model::matcher::{MatchOp, Matcher, fixed_name};
use podscope_promql::Parsed;

use super::Sources;
use crate::error::QueryError;
use crate::instances::Instance;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    Agents,
    /// Its place in [`Sources::stores`].
    Store(usize),
}

/// Who answers an expression: all its selectors must be of one source.
///
/// # Errors
/// An expression whose selectors are of different sources, naming one of each.
pub async fn served_by(instance: &Arc<Instance>, parsed: &Parsed) -> Result<Served, QueryError> {
    let selectors = parsed.selectors();
    let sources = &instance.sources;
    // The inventory costs a round trip the first time; most selectors need none.
    let known = selectors
        .iter()
        .map(|selector| sources.without_inventory(selector));
    let inventory = match known.clone().any(|served| served.is_none()) {
        true => Some(instance.metadata().await),
        false => None,
    };
    let mut all = known.zip(&selectors).map(|(served, selector)| {
        let served = served.unwrap_or_else(|| match &inventory {
            Some(inventory) => sources.with_inventory(selector, inventory),
            None => Served::Agents,
        });
        (served, selector)
    });
    let Some((first, selector)) = all.next() else {
        return Ok(Served::Agents);
    };
    match all.find(|(served, _)| *served != first) {
        None => Ok(first),
        Some((other, odd)) => Err(QueryError::Shape(format!(
            "{} is served by {}, {} by {}: one expression reads one source; ask them as two queries and join them with \
             an expression or a transformation",
            written(selector),
            sources.name_of(first),
            written(odd),
            sources.name_of(other),
        ))),
    }
}

fn written(selector: &[Matcher]) -> String {
    let name = fixed_name(selector).unwrap_or_default();
    let others: Vec<String> = selector
        .iter()
        .filter(|matcher| !(matcher.name() == NAME && matcher.op() == MatchOp::Equal))
        .map(ToString::to_string)
        .collect();
    format!("{name}{{{}}}", others.join(","))
}

impl Sources {
    fn name_of(&self, served: Served) -> String {
        match served {
            Served::Agents => "the agents".to_owned(),
            Served::Store(at) => format!("the store {:?}", self.stores[at].settings.name),
        }
    }

    /// What needs no question to the agents: explicit routes, the catalog, and nobody else being there.
    pub(crate) fn without_inventory(&self, selector: &[Matcher]) -> Option<Served> {
        let explicit = self
            .stores
            .iter()
            .position(|store| store.settings.routes.iter().any(|route| covers(route, selector)));
        if let Some(at) = explicit {
            return Some(Served::Store(at));
        }
        // A VAST cluster's metrics are known to the catalog, but somebody must be there who reads them.
        let cataloged = fixed_name(selector).is_some_and(|name| match super::vast::is_catalogued(name) {
            true => self.reads_from_vast(name),
            false => catalog::find(name).is_some(),
        });
        (cataloged || self.fallback().is_none()).then_some(Served::Agents)
    }

    /// The rest: what an agent has is the agents', everything else the store's without routes.
    pub(crate) fn with_inventory(
        &self,
        selector: &[Matcher],
        inventory: &BTreeMap<String, MetricInfo>,
    ) -> Served {
        let Some(fallback) = self.fallback() else {
            return Served::Agents;
        };
        let names: Vec<&Matcher> = selector.iter().filter(|matcher| matcher.name() == NAME).collect();
        // What the servers could tell and do not is not there.
        let has = |name: &str| {
            inventory.contains_key(name) && (!super::vast::is_catalogued(name) || self.vast.is_empty())
        };
        let on_agents = match fixed_name(selector) {
            Some(name) => {
                has(name)
                    || ["_bucket", "_sum", "_count"]
                        .iter()
                        .filter_map(|suffix| name.strip_suffix(suffix))
                        .any(has)
            }
            // `{job="node"}` may mean anything: the agents are asked first.
            None if names.is_empty() => true,
            None => inventory
                .keys()
                .any(|name| names.iter().all(|matcher| matcher.matches(name))),
        };
        match on_agents {
            true => Served::Agents,
            false => Served::Store(fallback),
        }
    }

    fn fallback(&self) -> Option<usize> {
        self.stores
            .iter()
            .position(|store| store.settings.routes.is_empty())
    }
}

/// Whether every series a selector can mean is meant by the route.
fn covers(route: &[Matcher], selector: &[Matcher]) -> bool {
    route.iter().all(|wanted| {
        selector.iter().any(|given| {
            given.name() == wanted.name()
                && (given == wanted || (given.op() == MatchOp::Equal && wanted.matches(given.value())))
        })
    })
}

#[cfg(test)]
mod tests {
    use podscope_model::catalog::{Kind, Unit};

    use super::*;
    use crate::request::DataSource;
    use crate::settings::Settings;

    fn sources(stores: &str) -> Sources {
        let source = DataSource {
            json: format!(r#"{{"targets": [{{"url": "http://n1:1"}}], "stores": {stores}}}"#).into_bytes(),
            ..DataSource::default()
        };
        Sources::new(&Settings::read(&source).expect("valid")).expect("valid")
    }

    fn served(sources: &Sources, selector: &str) -> Served {
        let selector = podscope_promql::parse(selector)
            .expect(selector)
            .selectors()
            .remove(0);
        let info = MetricInfo {
            kind: Kind::Gauge,
            unit: Unit::None,
            help: String::new(),
            interval_ms: 1000,
        };
        let inventory = BTreeMap::from([
            ("vllm:latency".to_owned(), info.clone()),
            ("ds01_gpus".to_owned(), info),
        ]);
        sources
            .without_inventory(&selector)
            .unwrap_or_else(|| sources.with_inventory(&selector, &inventory))
    }

    #[test]
    fn a_route_goes_before_the_catalog_the_catalog_before_the_inventory_and_the_store_is_last() {
        let both = sources(
            r#"[{"name": "k8s", "url": "http://k:9090", "match": ["{job=\"kubelet\"}", "{__name__=~\"kube_.+\"}"]},
                {"name": "rest", "url": "http://r:9090"}]"#,
        );
        for (selector, wanted) in [
            (r#"up{job="kubelet"}"#, Served::Store(0)),
            ("kube_pod_info", Served::Store(0)),
            (r#"{__name__=~"kube_.+"}"#, Served::Store(0)),
            ("up", Served::Agents),
            (r#"up{job=~"kubelet|node"}"#, Served::Agents),
            ("DCGM_FI_DEV_GPU_UTIL", Served::Agents),
            ("vllm:latency_bucket", Served::Agents),
            ("ds01_gpus", Served::Agents),
            (r#"{__name__=~"ds01_.*"}"#, Served::Agents),
            (r#"{job="node"}"#, Served::Agents),
            ("apiserver_requests_total", Served::Store(1)),
            (r#"{__name__=~"apiserver_.*"}"#, Served::Store(1)),
        ] {
            assert_eq!(served(&both, selector), wanted, "{selector}");
        }
        let only_routes = sources(r#"[{"name": "k8s", "url": "http://k:9090", "match": ["kube_pod_info"]}]"#);
        assert_eq!(served(&only_routes, "apiserver_requests_total"), Served::Agents);
        assert_eq!(served(&only_routes, "kube_pod_info"), Served::Store(0));
    }
}
