//! One fleet per data source: connections, lists and circuits live as long as its settings do.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use podscope_fanout::Fleet;
use podscope_model::leaf::MetricInfo;
use podscope_model::scope::Scope;

use crate::error::QueryError;
use crate::request::{Context, DataSource};
use crate::settings::Settings;
use crate::sources::Sources;

/// How long the metrics' collection intervals are good before they are asked for again, behind the query's back.
const METADATA_AGE: Duration = Duration::from_secs(60);
/// Expressions whose number of series is remembered.
const COUNTS: usize = 4096;

/// A data source as it is configured now.
#[derive(Debug)]
pub struct Instance {
    pub settings: Settings,
    pub fleet: Fleet,
    pub sources: Sources,
    counts: Mutex<Counts>,
    metadata: tokio::sync::Mutex<Option<Metadata>>,
}

type Metadata = (Instant, Arc<BTreeMap<String, MetricInfo>>);

/// A person's number of series is not another's.
type CountKey = (Option<String>, String);

fn count_key(scope: Option<&Scope>, expr: &str) -> CountKey {
    (scope.map(|scope| scope.name.clone()), expr.to_owned())
}

/// Expression -> number of series it answered last, oldest forgotten first.
#[derive(Debug, Default)]
struct Counts {
    by_expr: HashMap<CountKey, u64>,
    order: VecDeque<CountKey>,
}

impl Instance {
    /// Sets a data source up; connects to nobody yet.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, QueryError> {
        let sources = Sources::new(&settings)?;
        let servers = sources.vast.iter().map(|server| server.leaf()).collect();
        let fleet = Fleet::with_sources(settings.fleet_config(), servers)?;
        Ok(Self {
            settings,
            fleet,
            sources,
            counts: Mutex::default(),
            metadata: tokio::sync::Mutex::default(),
        })
    }

    /// How many series an expression answered when it was last asked.
    pub fn known_series(&self, scope: Option<&Scope>, expr: &str) -> Option<u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.by_expr.get(&count_key(scope, expr)).copied()
    }

    /// Remembers how many series an expression has.
    pub fn remember_series(&self, scope: Option<&Scope>, expr: &str, series: u64) {
        let key = count_key(scope, expr);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.by_expr.insert(key.clone(), series).is_none() {
            counts.order.push_back(key);
        }
        while counts.order.len() > COUNTS {
            if let Some(oldest) = counts.order.pop_front() {
                counts.by_expr.remove(&oldest);
            }
        }
    }

    /// What the nodes say of their metrics. Waits for them the first time; later a list that has grown old is renewed
    /// behind the caller's back.
    pub async fn metadata(self: &Arc<Self>) -> Arc<BTreeMap<String, MetricInfo>> {
        let mut kept = self.metadata.lock().await;
        if let Some((at, list)) = kept.as_mut() {
            if at.elapsed() > METADATA_AGE {
                // Nobody else renews it for a while.
                *at = Instant::now();
                let instance = Arc::clone(self);
                tokio::spawn(async move {
                    let fresh = Arc::new(instance.fleet.metadata().await);
                    *instance.metadata.lock().await = Some((Instant::now(), fresh));
                });
            }
            return Arc::clone(list);
        }
        let list = Arc::new(self.fleet.metadata().await);
        // An empty list means that nobody answered: ask again next time.
        if list.len() > 1 {
            *kept = Some((Instant::now(), Arc::clone(&list)));
        }
        list
    }
}

/// The data sources in use, by organisation and uid.
#[derive(Debug, Default)]
pub struct Instances {
    by_source: Mutex<HashMap<(i64, String), Slot>>,
}

#[derive(Debug)]
struct Slot {
    fingerprint: u64,
    instance: Arc<Instance>,
}

/// Changes with every save, and with everything the settings are read from: a data source is also replaced by
/// provisioning, restored from a backup, or served by a host that keeps no time.
fn fingerprint(source: &DataSource) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source.updated_ms, &source.url, &source.json).hash(&mut hasher);
    let mut secrets: Vec<_> = source.secrets.iter().collect();
    secrets.sort();
    secrets.hash(&mut hasher);
    hasher.finish()
}

impl Instances {
    /// The instance for a request; made anew when the data source was saved since.
    ///
    /// # Errors
    /// A request without a data source, or settings that cannot be used.
    pub fn get(&self, context: &Context) -> Result<Arc<Instance>, QueryError> {
        let source = context.datasource.as_ref().ok_or(QueryError::NoDataSource)?;
        let key = (context.org_id, source.uid.clone());
        let fingerprint = fingerprint(source);
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = by_source.get(&key)
            && slot.fingerprint == fingerprint
        {
            return Ok(Arc::clone(&slot.instance));
        }
        let instance = Arc::new(Instance::new(Settings::read(source)?)?);
        by_source.insert(
            key,
            Slot {
                fingerprint,
                instance: Arc::clone(&instance),
            },
        );
        Ok(instance)
    }

    /// Requests to agents under way, over all data sources.
    pub fn in_flight(&self) -> usize {
        let by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        by_source
            .values()
            .map(|slot| slot.instance.fleet.in_flight())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(updated_ms: i64) -> Context {
        let datasource = DataSource {
            uid: "podscope".to_owned(),
            json: br#"{"targets": [{"url": "http://127.0.0.1:1"}]}"#.to_vec(),
            updated_ms,
            ..DataSource::default()
        };
        Context {
            org_id: 1,
            datasource: Some(datasource),
            ..Context::default()
        }
    }

    #[test]
    fn a_saved_data_source_is_set_up_anew_and_an_untouched_one_kept() {
        let instances = Instances::default();
        let first = instances.get(&context(1)).expect("valid");
        assert!(Arc::ptr_eq(&first, &instances.get(&context(1)).expect("valid")));
        assert!(!Arc::ptr_eq(&first, &instances.get(&context(2)).expect("valid")));
        let mut new_token = context(2);
        let source = new_token.datasource.as_mut().expect("has one");
        source.secrets.insert("token".to_owned(), "new".to_owned());
        let second = instances.get(&context(2)).expect("valid");
        assert!(!Arc::ptr_eq(&second, &instances.get(&new_token).expect("valid")));
        let first = instances.get(&context(1)).expect("valid");
        let other_org = Context {
            org_id: 2,
            ..context(1)
        };
        assert!(!Arc::ptr_eq(&first, &instances.get(&other_org).expect("valid")));
    }

    #[test]
    fn a_request_without_a_data_source_says_so() {
        assert!(matches!(
            Instances::default().get(&Context::default()),
            Err(QueryError::NoDataSource)
        ));
    }

    #[tokio::test]
    async fn the_oldest_expressions_are_forgotten() {
        let instance = Instances::default().get(&context(1)).expect("valid");
        for at in 0..=COUNTS {
            instance.remember_series(None, &format!("m{at}"), at as u64);
        }
        assert_eq!(instance.known_series(None, "m0"), None);
        assert_eq!(
            instance.known_series(None, &format!("m{COUNTS}")),
            Some(COUNTS as u64)
        );
    }
}
