//! VAST clusters, read from their management servers: to the fleet each is one more that answers, as an agent does.
//!
//! A question's selectors say which properties of which objects are wanted and for which time. What of that is not kept yet is
//! asked of the server, per type of object and family of properties; then the expression is evaluated by the same engine as
//! on any agent. Sixty people looking at one panel ask the server once per cadence.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `wanted` | from selectors to properties |
//! | `kept` | lists that are read once for all, and served stale |
//! | `series` | time series, kept and continued |
//! | `objects` | states, capacities, quotas: what lists of objects say now |
//! | `top` | who is busiest |
//! | `events` | events and alarms |
//! | `answer` | the agent API over all of it |
//! | `scraped` | clusters whose own exporter is scraped |

mod answer;
mod events;
mod kept;
mod objects;
mod scraped;
mod series;
mod top;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use podscope_fanout::{FleetConfig, FleetQuery, TargetSpec, TlsConfig};
use podscope_model::catalog::vast as names;
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{Annotation, Target};
use podscope_model::matcher::{Matcher, fixed_name};
use podscope_promql::Parsed;
use podscope_promql::memory::MemorySource;
use podscope_vms::monitor::Granularity;
use podscope_vms::top::Flow;
use podscope_vms::{VmsAuth, VmsClient, VmsConfig, VmsError};

use super::Sources;
use crate::error::QueryError;
use crate::settings::{Settings, VastLogin, VastSettings};
use events::Events;
use kept::{Kept, locked};
use objects::Lists;
use series::{Family, FamilyKey, Want};
use top::Tops;
use wanted::{Metrics, Part};

pub(crate) use answer::VastLeaf;
pub use scraped::Scraped;
pub(crate) use wanted::is_catalogued;

/// How long a question waits for the server where something older is known, and where nothing is.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Ranges up to so long are read as the server measures them; up to so long by the minute, longer ones by the hour.
const RAW_MS: i64 = 3 * 3_600_000;
const MINUTES_MS: i64 = 50 * 3_600_000;
/// The oldest that is asked for.
const PAST_MS: i64 = 90 * 86_400_000;
/// Samples of a coarse bucket stand this close, so that the lookback finds one.
const FILL_MS: i64 = 120_000;
/// The label `job` of everything here.
pub(crate) const JOB: &str = "vast";

/// One management server with what is known of it.
pub struct Vast {
    pub settings: VastSettings,
    client: Arc<VmsClient>,
    metrics: Metrics,
    families: Mutex<BTreeMap<FamilyKey, Arc<Family>>>,
    lists: Lists,
    tops: Tops,
    events: Arc<Events>,
    flows: Arc<Kept<Vec<Flow>>>,
    /// Clusters whose exporter somebody scrapes: their series are not ours to tell.
    scraped: RwLock<BTreeSet<String>>,
    inventory: Arc<podscope_model::inventory::Inventory>,
    last_error: Mutex<Option<(Instant, VmsError)>>,
    patience: Duration,
}

impl fmt::Debug for Vast {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vast")
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}

impl Vast {
    /// # Errors
    /// Credentials or TLS settings that cannot be used.
    pub fn new(settings: VastSettings, all: &Settings) -> Result<Arc<Self>, QueryError> {
        let config = FleetConfig {
            token: None,
            tls: TlsConfig {
                ca_pem: settings.ca_pem.clone(),
                server_name: settings.server_name.clone(),
                skip_verify: settings.skip_verify,
                ..TlsConfig::default()
            },
            timeout: settings.timeout,
            connect_timeout: all.connect_timeout.max(Duration::from_secs(2)),
            ..FleetConfig::default()
        };
        let http = podscope_fanout::client::http_client(&config, settings.url.starts_with("https"))?;
        let auth = match &settings.login {
            VastLogin::Basic { user, password } => VmsAuth::Basic {
                user: user.clone(),
                password: password.expose().to_owned(),
            },
            VastLogin::Jwt { user, password } => VmsAuth::Jwt {
                user: user.clone(),
                password: password.expose().to_owned(),
            },
            VastLogin::ApiToken(token) => VmsAuth::ApiToken(token.expose().to_owned()),
        };
        let client = VmsClient::new(
            http,
            VmsConfig {
                tenant: settings.tenant.clone(),
                timeout: settings.timeout,
                calls_per_minute: settings.calls_per_minute,
                concurrency: settings.concurrency,
                ..VmsConfig::new(settings.url.clone(), auth)
            },
        )
        .map_err(|error| QueryError::Vast {
            name: settings.name.clone(),
            error,
        })?;
        let metrics = Metrics::new(&settings.properties);
        let inventory = Arc::new(answer::inventory(&settings, &metrics));
        // The fleet waits for its timeout; what is late is told before that.
        let patience = all.timeout.mul_f64(0.85);
        Ok(Arc::new(Self {
            client: Arc::new(client),
            metrics,
            families: Mutex::default(),
            lists: Lists::new(),
            tops: Tops::new(),
            events: Arc::default(),
            flows: Kept::new(Duration::from_secs(60)),
            scraped: RwLock::default(),
            inventory,
            last_error: Mutex::default(),
            patience,
            settings,
        }))
    }

    /// How the fleet lists it.
    pub fn target(&self) -> TargetSpec {
        TargetSpec {
            url: self.settings.url.clone(),
            instance: Some(self.settings.name.clone()),
            labels: self.settings.labels.clone(),
        }
    }

    /// How the fleet lists and asks it.
    pub(crate) fn leaf(self: &Arc<Self>) -> (TargetSpec, VastLeaf) {
        (self.target(), VastLeaf(Arc::clone(self)))
    }

    /// Whether a metric is read here and not left out.
    pub fn tells(&self, name: &str) -> bool {
        let known = self.lists.clusters.peek().value;
        let cluster =
            known
                .iter()
                .flat_map(|list| list.iter())
                .find(|cluster| match self.settings.cluster_id {
                    None => true,
                    Some(id) => cluster.id == id,
                });
        let left_out = match cluster.and_then(|cluster| cluster.name.as_deref()) {
            Some(name) => self.is_left_out(name),
            None => self.settings.scraped,
        };
        self.metrics.has(name) && !left_out
    }

    /// Clusters whose own exporter is scraped by somebody: from now on their series are left out here.
    pub fn leave_out(&self, clusters: BTreeSet<String>) {
        *self
            .scraped
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = clusters;
    }

    fn is_left_out(&self, cluster: &str) -> bool {
        let scraped = self
            .scraped
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.settings.scraped || scraped.contains(cluster)
    }

    /// The cluster's id and name.
    async fn cluster(&self, patience: Duration) -> Result<(i64, String), VmsError> {
        let had = self.lists.clusters(&self.client, patience).await;
        let Some(list) = had.value else {
            return Err(had.error.unwrap_or_else(|| VmsError::Shape {
                resource: "clusters".to_owned(),
                problem: "nothing was read yet".to_owned(),
            }));
        };
        let found = match self.settings.cluster_id {
            None => list.first(),
            Some(id) => list.iter().find(|cluster| cluster.id == id),
        };
        found
            .map(|cluster| {
                (
                    cluster.id,
                    cluster.name.clone().unwrap_or_else(|| cluster.id.to_string()),
                )
            })
            .ok_or_else(|| VmsError::Shape {
                resource: "clusters".to_owned(),
                problem: match self.settings.cluster_id {
                    None => "there is no cluster".to_owned(),
                    Some(id) => format!("there is no cluster {id}; correct clusterId"),
                },
            })
    }

    /// A real question, for `Save & test`: what is there, in a few words.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub async fn check(&self) -> Result<String, VmsError> {
        let clusters = self.client.clusters().await?;
        let cluster = match self.settings.cluster_id {
            None => clusters.first(),
            Some(id) => clusters.iter().find(|cluster| cluster.id == id),
        };
        let Some(cluster) = cluster else {
            let ids: Vec<String> = clusters.iter().map(|cluster| cluster.id.to_string()).collect();
            return Err(VmsError::Config(format!(
                "has no such cluster; clusterId must be one of: {}",
                ids.join(", ")
            )));
        };
        let name = cluster.name.as_deref().unwrap_or("unnamed");
        let version = cluster.sw_version.as_deref().unwrap_or("of unknown version");
        let skew = self.client.skew_ms() / 1_000;
        let clock = match skew.abs() >= 5 {
            true => format!(", but its clock is {skew} s ahead of this machine's: synchronise them"),
            false => String::new(),
        };
        Ok(format!("answers: cluster {name}, VAST {version}{clock}"))
    }

    /// Which client reaches which view through which address and CNode.
    ///
    /// # Errors
    /// Why nothing is known.
    pub async fn flows(&self) -> Result<Arc<Vec<Flow>>, VmsError> {
        let client = Arc::clone(&self.client);
        let had = self
            .flows
            .get(self.patience, move || async move { client.flows().await })
            .await;
        match (had.value, had.error) {
            (Some(flows), _) => Ok(flows),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Arc::default()),
        }
    }

    fn family(&self, key: FamilyKey) -> Arc<Family> {
        let mut families = locked(&self.families);
        let made = || Family::new(key.clone());
        Arc::clone(families.entry(key.clone()).or_insert_with(made))
    }

    fn note(&self, error: &VmsError) {
        *locked(&self.last_error) = Some((Instant::now(), error.clone()));
    }

    /// The series that selectors mean, with `from_ms < t <= to_ms`, and remarks.
    ///
    /// # Errors
    /// Nothing is known and the server does not answer.
    async fn series(
        &self,
        selectors: &[Vec<Matcher>],
        (from_ms, to_ms): (i64, i64),
        target: &Target,
    ) -> Result<(MemorySource, Vec<Annotation>), VmsError> {
        let metrics = self.metrics.meant(selectors);
        let mut source = MemorySource::new();
        if metrics.is_empty() {
            return Ok((source, Vec::new()));
        }
        let began = Instant::now();
        let (cluster_id, cluster) = match self.cluster(self.patience).await {
            Ok(found) => found,
            Err(error) => {
                self.note(&error);
                // What is known without the server: that it does not answer.
                let own: BTreeSet<String> = metrics.iter().filter(|name| is_own(name)).cloned().collect();
                if own.is_empty() {
                    return Err(error);
                }
                self.own_series(&own, to_ms, target, &mut source);
                return Ok((source, Vec::new()));
            }
        };
        if self.is_left_out(&cluster) {
            return Ok((source, Vec::new()));
        }
        let now_ms = self.client.now_ms();
        let from_ms = from_ms.max(now_ms - PAST_MS);
        let granularity = match now_ms - from_ms {
            span if span <= RAW_MS => Granularity::Raw,
            span if span <= MINUTES_MS => Granularity::Minutes,
            _ => Granularity::Hours,
        };
        let plan = Plan::of(&self.metrics, &metrics, selectors, granularity);
        let mut remarks = Remarks::default();
        let left = || {
            self.patience
                .saturating_sub(began.elapsed())
                .max(Duration::from_millis(50))
        };
        // Families, lists and lists of who is busiest are independent of one another.
        let monitors = futures_util::future::join_all(plan.families.iter().map(|(key, properties)| async {
            let (ids, error) = self.ids(&key.object_type, cluster_id, left()).await;
            let family = self.family(key.clone());
            let want = Want {
                properties: properties.iter().map(|part| part.fqn.clone()).collect(),
                ids: ids.keys().copied().collect(),
                from_ms: from_ms - holds_ms(&key.class),
                to_ms,
            };
            if want.ids.is_empty() {
                return (family, ids, error, Vec::new());
            }
            // Where something older is known, it is not waited for long.
            let patience = if family.knows(&want) {
                left().min(PATIENCE)
            } else {
                left()
            };
            let outcome = family.read(&self.client, want, patience).await;
            (family, ids, outcome.error, outcome.refused)
        }));
        let objects = futures_util::future::join_all(
            plan.objects
                .iter()
                .map(|metric| self.lists.read(&self.client, metric, &cluster, left())),
        );
        let tops = futures_util::future::join_all(
            plan.top_keys()
                .into_iter()
                .map(|key| self.tops.read(&self.client, key, (from_ms, to_ms), left())),
        );
        let (monitors, objects, tops) = tokio::join!(monitors, objects, tops);
        for ((family, ids, error, refused), parts) in monitors.iter().zip(plan.families.values()) {
            remarks.family(family, error.as_ref(), refused, now_ms);
            let holds_ms = holds_ms(&family.key().class);
            for part in parts {
                for (object, samples) in family.samples(&part.fqn, from_ms - holds_ms, to_ms) {
                    let Some(labels) = ids.get(&object) else { continue };
                    let mut pairs = vec![(NAME, part.metric.as_str()), ("cluster", &cluster)];
                    pairs.extend(labels.iter().map(|(name, value)| (*name, value.as_str())));
                    pairs.extend(
                        part.labels
                            .iter()
                            .map(|(name, value)| (name.as_str(), value.as_str())),
                    );
                    let samples = samples
                        .into_iter()
                        .map(|(at, value)| (at, wanted::scaled(&part.metric, value)))
                        .collect();
                    let mut samples = filled(samples, part.accumulates);
                    if !part.accumulates {
                        hold(&mut samples, holds_ms, to_ms);
                    }
                    insert(&mut source, &Labels::from_pairs(pairs), samples, target);
                }
            }
        }
        for (metric, problem) in plan.objects.iter().zip(objects) {
            remarks.list(problem);
            for (labels, samples) in self.lists.seen(metric) {
                insert(&mut source, &labels, reaching(samples, to_ms), target);
            }
        }
        for error in tops {
            remarks.error(error.as_ref());
        }
        for (metric, column) in &plan.tops {
            for (labels, samples) in self.tops.series(metric, *column, &cluster, (from_ms, to_ms)) {
                insert(&mut source, &labels, reaching(samples, to_ms), target);
            }
        }
        match &remarks.error {
            Some(error) => self.note(error),
            None => *locked(&self.last_error) = None,
        }
        let own: BTreeSet<String> = metrics.into_iter().filter(|name| is_own(name)).collect();
        self.own_series(&own, to_ms, target, &mut source);
        if source.is_empty()
            && own.is_empty()
            && let Some(error) = remarks.error
        {
            return Err(error);
        }
        Ok((source, remarks.told(&self.settings.name)))
    }

    /// The objects of a type by id, with their labels.
    async fn ids(
        &self,
        object_type: &str,
        cluster_id: i64,
        patience: Duration,
    ) -> (BTreeMap<i64, Vec<(&'static str, String)>>, Option<VmsError>) {
        if object_type == "cluster" {
            return (BTreeMap::from([(cluster_id, Vec::new())]), None);
        }
        let had = self.lists.devices(&self.client, object_type, patience).await;
        let list = had.value.iter().flat_map(|list| list.iter());
        let ids = list.map(|device| {
            let id = device.id.to_string();
            let labels = match object_type {
                "cnode" => vec![("cnode_id", id), ("hostname", device.host_name().to_owned())],
                "nic" => vec![
                    ("nic_id", id),
                    ("name", device.called().to_owned()),
                    ("hostname", device.host_name().to_owned()),
                ],
                _ => vec![("ssd_id", id), ("name", device.called().to_owned())],
            };
            (
                device.id,
                labels
                    .into_iter()
                    .filter(|(_, value)| !value.is_empty())
                    .collect(),
            )
        });
        (ids.collect(), had.error)
    }

    /// What the plugin itself knows of the server.
    fn own_series(&self, wanted: &BTreeSet<String>, to_ms: i64, target: &Target, source: &mut MemorySource) {
        let mut add = |name: &str, more: &[(&str, &str)], value: f64| {
            if wanted.contains(name) {
                let pairs = [(NAME, name)].into_iter().chain(more.iter().copied());
                insert(source, &Labels::from_pairs(pairs), vec![(to_ms, value)], target);
            }
        };
        let peeked = self.lists.clusters.peek();
        let up = peeked.error.is_none() && peeked.value.is_some();
        add(names::PODSCOPE_VAST_UP.name, &[], f64::from(u8::from(up)));
        if peeked.value.is_some() {
            add(
                names::PODSCOPE_VAST_CLOCK_SKEW_SECONDS.name,
                &[],
                self.client.skew_ms() as f64 / 1_000.0,
            );
        }
        let (answered, failed) = self.client.calls();
        add(
            names::PODSCOPE_VAST_CALLS_TOTAL.name,
            &[("outcome", "ok")],
            answered as f64,
        );
        add(
            names::PODSCOPE_VAST_CALLS_TOTAL.name,
            &[("outcome", "error")],
            failed as f64,
        );
        let now_ms = self.client.now_ms();
        let mut oldest: BTreeMap<String, i64> = BTreeMap::new();
        for family in locked(&self.families).values() {
            if family.key().granularity == Granularity::Raw
                && let Some(newest) = family.newest_ms()
            {
                let entry = oldest.entry(family.key().class.clone()).or_insert(newest);
                *entry = (*entry).max(newest);
            }
        }
        for (class, newest) in oldest {
            let age = (now_ms - newest).max(0) as f64 / 1_000.0;
            add(
                names::PODSCOPE_VAST_SAMPLE_AGE_SECONDS.name,
                &[("family", &class)],
                age,
            );
        }
    }
}

/// Whether an expression has a selector of something that is read from a management server.
pub(crate) fn concerns(sources: &Sources, parsed: &Parsed) -> bool {
    !sources.vast.is_empty()
        && parsed.selectors().iter().any(|matchers| {
            fixed_name(matchers)
                .is_some_and(|name| sources.vast.iter().any(|server| server.metrics.has(name)))
        })
}

/// A storage cluster cannot tell whose its series are: it is not asked on behalf of somebody who sees only their own.
///
/// # Errors
/// [`QueryError::VastScope`].
pub(crate) fn refuse_scope(sources: &Sources, query: &FleetQuery, parsed: &Parsed) -> Result<(), QueryError> {
    let Some(scope) = &query.user else { return Ok(()) };
    let hidden = |name: &str| sources.reads_from_vast(name) && !scope.is_public(name);
    let selectors = parsed.selectors();
    match selectors
        .iter()
        .filter_map(|matchers| fixed_name(matchers))
        .any(hidden)
    {
        true => Err(QueryError::VastScope(
            sources
                .vast
                .first()
                .map_or_else(String::new, |server| server.settings.name.clone()),
        )),
        false => Ok(()),
    }
}

fn is_own(name: &str) -> bool {
    matches!(
        podscope_vms::table::find(name),
        Some((_, podscope_vms::table::Origin::Own))
    )
}

/// A property that is wanted, and how its series are called.
#[derive(Debug)]
struct Wished {
    metric: String,
    fqn: String,
    accumulates: bool,
    labels: Vec<(String, String)>,
}

/// What to read for a question.
#[derive(Debug, Default)]
struct Plan {
    families: BTreeMap<FamilyKey, Vec<Wished>>,
    objects: Vec<&'static str>,
    tops: Vec<(&'static str, podscope_vms::table::TopColumn)>,
}

impl Plan {
    fn of(
        metrics: &Metrics,
        names: &BTreeSet<String>,
        selectors: &[Vec<Matcher>],
        granularity: Granularity,
    ) -> Self {
        let mut plan = Self::default();
        for part in names.iter().flat_map(|name| metrics.parts(name, selectors)) {
            match part {
                Part::Objects(metric) => plan.objects.push(metric),
                Part::Top(metric, column) => plan.tops.push((metric, column)),
                Part::Own(_) => {}
                Part::Monitor {
                    metric,
                    object_type,
                    fqn,
                    accumulates,
                    labels,
                } => {
                    let key = FamilyKey {
                        object_type,
                        class: fqn.split(',').next().unwrap_or_default().to_owned(),
                        // As the family measures, the last value is the value.
                        accumulates: accumulates && granularity != Granularity::Raw,
                        granularity,
                    };
                    plan.families.entry(key).or_default().push(Wished {
                        metric,
                        fqn,
                        accumulates,
                        labels,
                    });
                }
            }
        }
        plan
    }

    fn top_keys(&self) -> BTreeSet<&'static str> {
        self.tops.iter().map(|(_, column)| column.key).collect()
    }
}

/// Remarks on an answer.
#[derive(Debug, Default)]
struct Remarks {
    error: Option<VmsError>,
    oldest: Option<(i64, String)>,
    refused: BTreeMap<String, String>,
}

impl Remarks {
    fn error(&mut self, error: Option<&VmsError>) {
        if self.error.is_none() {
            self.error = error.cloned();
        }
    }

    fn list(&mut self, problem: Option<(VmsError, Duration)>) {
        if let Some((error, age)) = problem {
            self.error(Some(&error));
            self.aged(i64::try_from(age.as_millis()).unwrap_or(i64::MAX), "the list");
        }
    }

    fn aged(&mut self, age_ms: i64, what: &str) {
        if age_ms > 0 && self.oldest.as_ref().is_none_or(|(oldest, _)| *oldest < age_ms) {
            self.oldest = Some((age_ms, what.to_owned()));
        }
    }

    fn family(
        &mut self,
        family: &Family,
        error: Option<&VmsError>,
        refused: &[(String, String)],
        now_ms: i64,
    ) {
        self.error(error);
        self.refused.extend(refused.iter().cloned());
        if error.is_some()
            && let Some(newest) = family.newest_ms()
        {
            self.aged(now_ms - newest, &family.key().class);
        }
    }

    fn told(self, name: &str) -> Vec<Annotation> {
        let mut told = Vec::new();
        if let Some(error) = &self.error {
            let age = match &self.oldest {
                Some((age, class)) => format!("; {class} shown here is {} s old", age / 1_000),
                None => String::new(),
            };
            told.push(Annotation::Warning(format!(
                "the VAST server {name:?} {error}{age}"
            )));
        }
        if let Some((fqn, why)) = self.refused.first_key_value() {
            let more = match self.refused.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            told.push(Annotation::Info(format!(
                "the VAST server {name:?} does not serve {fqn}{more}: {why}"
            )));
        }
        told
    }
}

/// Puts a series into the source under the labels its server was given.
fn insert(source: &mut MemorySource, labels: &Labels, samples: Vec<(i64, f64)>, target: &Target) {
    if samples.is_empty() {
        return;
    }
    let mut labels = labels.with("job", JOB).with("instance", &target.instance);
    let more: Labels = Labels::from_pairs(&target.labels);
    labels = labels.or(&more);
    let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
    source.insert(podscope_model::sample::SeriesData {
        labels,
        timestamps: timestamps.into(),
        values: values.into(),
    });
}

/// What was read just after a question's end stands for its end: a list is read because of the question.
fn reaching(samples: Vec<(i64, f64)>, to_ms: i64) -> Vec<(i64, f64)> {
    const LATE_MS: i64 = 300_000;
    let mut kept: Vec<(i64, f64)> = samples.iter().copied().filter(|(at, _)| *at <= to_ms).collect();
    let near = kept.last().is_some_and(|(at, _)| to_ms - at < LATE_MS);
    let next = samples.iter().find(|(at, _)| *at > to_ms && at - to_ms < LATE_MS);
    if let (false, Some((_, value))) = (near, next) {
        kept.push((to_ms, *value));
    }
    kept
}

/// Samples that stand far apart are brought closer, so that the lookback finds one: what accumulates rises evenly between
/// two of them, and a mean holds for its whole bucket.
fn filled(samples: Vec<(i64, f64)>, accumulates: bool) -> Vec<(i64, f64)> {
    /// Further apart than any bucket: a gap.
    const GAP_MS: i64 = 2 * 3_600_000;
    let mut dense = Vec::with_capacity(samples.len());
    let mut before: Option<(i64, f64)> = None;
    for (at, value) in samples {
        if let Some((last, old)) = before
            && at - last > FILL_MS
            && at - last <= GAP_MS
        {
            let mut t_ms = last + FILL_MS;
            while t_ms < at {
                let part = (t_ms - last) as f64 / (at - last) as f64;
                dense.push((
                    t_ms,
                    if accumulates {
                        old + (value - old) * part
                    } else {
                        value
                    },
                ));
                t_ms += FILL_MS;
            }
        }
        dense.push((at, value));
        before = Some((at, value));
    }
    dense
}

/// How long the last value of a class stands for what is now: until the next but one is due, where values come so seldom
/// that the lookback would lose them in between.
fn holds_ms(class: &str) -> i64 {
    match podscope_vms::table::cadence_ms(class) {
        cadence if cadence > FILL_MS => 2 * cadence,
        _ => 0,
    }
}

/// Lets the last value stand for `holds_ms`, not beyond the question's end.
fn hold(samples: &mut Vec<(i64, f64)>, holds_ms: i64, to_ms: i64) {
    let Some((last, value)) = samples.last().copied() else {
        return;
    };
    let until = to_ms.min(last + holds_ms);
    let mut t_ms = last + FILL_MS;
    while t_ms <= until {
        samples.push((t_ms, value));
        t_ms += FILL_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_seldom_stands_until_the_next_but_one_is_due() {
        let mut samples = vec![(0, 7.0)];
        hold(&mut samples, 600_000, 400_000);
        assert_eq!(samples.last(), Some(&(360_000, 7.0)));
        let mut samples = vec![(0, 7.0)];
        hold(&mut samples, 600_000, 4_000_000);
        assert_eq!(samples.last(), Some(&(600_000, 7.0)));
        assert_eq!((holds_ms("Capacity"), holds_ms("ProtoMetrics")), (600_000, 0));
    }

    #[test]
    fn means_hold_for_their_bucket_and_totals_rise_evenly() {
        let hour = 3_600_000;
        let means = filled(vec![(0, 1.0), (hour, 5.0)], false);
        assert_eq!(means.len(), 31);
        assert!(means[1..].iter().all(|(_, value)| *value == 5.0));
        let totals = filled(vec![(0, 0.0), (hour, 3_600.0)], true);
        assert!(
            totals
                .iter()
                .all(|(at, value)| (*value - *at as f64 / 1_000.0).abs() < 1e-6)
        );
        assert_eq!(
            filled(vec![(0, 1.0), (10 * hour, 5.0)], false).len(),
            2,
            "a gap stays one"
        );
    }

    #[test]
    fn a_list_read_for_a_question_answers_it_and_one_read_long_after_does_not() {
        assert_eq!(reaching(vec![(1_200, 7.0)], 1_000), [(1_000, 7.0)]);
        assert_eq!(reaching(vec![(900, 6.0), (1_200, 7.0)], 1_000), [(900, 6.0)]);
        assert!(reaching(vec![(1_000_000, 7.0)], 1_000).is_empty());
    }
}
