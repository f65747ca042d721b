//! What is made from lists of objects as they are now: states, capacities, quotas, alarms. VMS keeps no past of these; what
//! was seen since the plugin started is kept for a day.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podscope_model::catalog::vast as names;
use podscope_model::event::Event;
use podscope_model::labels::{Labels, NAME};
use podscope_vms::objects::{VastCluster, VastDevice, VastQuota, VastView, VastVip};
use podscope_vms::{VmsClient, VmsError};

use super::kept::{Had, Kept, locked};

/// Lists that move, and lists that hardly do.
const OFTEN: Duration = Duration::from_secs(60);
const SELDOM: Duration = Duration::from_secs(300);
/// Samples kept of each series, and series.
const MAX_SAMPLES: usize = 1_500;
const MAX_SERIES: usize = 20_000;

/// The lists of one server.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) clusters: Arc<Kept<Vec<VastCluster>>>,
    pub(super) cnodes: Arc<Kept<Vec<VastDevice>>>,
    pub(super) dnodes: Arc<Kept<Vec<VastDevice>>>,
    pub(super) nics: Arc<Kept<Vec<VastDevice>>>,
    pub(super) ssds: Arc<Kept<Vec<VastDevice>>>,
    pub(super) vips: Arc<Kept<Vec<VastVip>>>,
    views: Arc<Kept<Vec<VastView>>>,
    quotas: Arc<Kept<Vec<VastQuota>>>,
    pub(super) alarms: Arc<Kept<Vec<Event>>>,
    seen: Mutex<BTreeMap<Labels, BTreeMap<i64, f64>>>,
}

impl Lists {
    pub(super) fn new() -> Self {
        Self {
            clusters: Kept::new(OFTEN),
            cnodes: Kept::new(OFTEN),
            dnodes: Kept::new(OFTEN),
            nics: Kept::new(SELDOM),
            ssds: Kept::new(SELDOM),
            vips: Kept::new(OFTEN),
            views: Kept::new(SELDOM),
            quotas: Kept::new(OFTEN),
            alarms: Kept::new(Duration::from_secs(30)),
            seen: Mutex::default(),
        }
    }

    /// The samples of a metric of this part, newest now, after reading what it is made of.
    pub(super) async fn read(
        &self,
        client: &Arc<VmsClient>,
        metric: &'static str,
        cluster: &str,
        patience: Duration,
    ) -> Option<(VmsError, Duration)> {
        let (series, error) = self.now(client, metric, cluster, patience).await;
        let now_ms = client.now_ms();
        let mut seen = locked(&self.seen);
        for (labels, value) in series {
            if seen.len() >= MAX_SERIES && !seen.contains_key(&labels) {
                continue;
            }
            let samples = seen.entry(labels).or_default();
            // Not denser than the lists are read.
            if samples
                .last_key_value()
                .is_none_or(|(at, _)| now_ms - at >= 10_000)
            {
                samples.insert(now_ms, value);
            } else if let Some(mut last) = samples.last_entry() {
                last.insert(value);
            }
            while samples.len() > MAX_SAMPLES {
                samples.pop_first();
            }
        }
        error
    }

    /// What was seen of a metric.
    pub(super) fn seen(&self, metric: &str) -> Vec<(Labels, Vec<(i64, f64)>)> {
        let seen = locked(&self.seen);
        seen.iter()
            .filter(|(labels, _)| labels.metric_name() == Some(metric))
            .map(|(labels, samples)| {
                (
                    labels.clone(),
                    samples.iter().map(|(at, value)| (*at, *value)).collect(),
                )
            })
            .collect()
    }

    async fn now(
        &self,
        client: &Arc<VmsClient>,
        metric: &'static str,
        cluster: &str,
        patience: Duration,
    ) -> (Vec<(Labels, f64)>, Option<(VmsError, Duration)>) {
        let mut series = Vec::new();
        let mut add = |more: &[(&str, &str)], value: Option<f64>| {
            let pairs = [(NAME, metric), ("cluster", cluster)];
            let pairs = pairs
                .into_iter()
                .chain(more.iter().copied())
                .filter(|(_, value)| !value.is_empty());
            series.extend(value.map(|value| (Labels::from_pairs(pairs), value)));
        };
        let flag = |state: &Option<String>, wanted: &str| {
            state
                .as_deref()
                .map(|state| f64::from(u8::from(state.eq_ignore_ascii_case(wanted))))
        };
        let error = match metric {
            name if name.starts_with("vast_quota") => {
                let had = get(&self.quotas, client, "quotas", patience).await;
                for quota in had.value.iter().flat_map(|list| list.iter()) {
                    let value = match name {
                        _ if name == names::VAST_QUOTA_USED_CAPACITY.name => quota.used_capacity,
                        _ if name == names::VAST_QUOTA_HARD_LIMIT.name => {
                            quota.hard_limit.filter(|limit| *limit > 0.0)
                        }
                        _ if name == names::VAST_QUOTA_SOFT_LIMIT.name => {
                            quota.soft_limit.filter(|limit| *limit > 0.0)
                        }
                        _ => quota.used_inodes,
                    };
                    let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
                    add(
                        &[
                            ("name", &text(&quota.name)),
                            ("path", &text(&quota.path)),
                            ("state", &text(&quota.state)),
                            ("tenant", &text(&quota.tenant_name)),
                        ],
                        value,
                    );
                }
                had.problem()
            }
            name if name.starts_with("vast_view") => {
                let had = get(&self.views, client, "views", patience).await;
                for view in had.value.iter().flat_map(|list| list.iter()) {
                    let value = match name == names::VAST_VIEW_LOGICAL_CAPACITY.name {
                        true => view.logical_capacity,
                        false => view.physical_capacity,
                    };
                    let (path, tenant) = (view.path.as_deref(), view.tenant_name.as_deref());
                    add(
                        &[
                            ("path", path.unwrap_or_default()),
                            ("tenant", tenant.unwrap_or_default()),
                        ],
                        value,
                    );
                }
                had.problem()
            }
            name if name.starts_with("vast_cnode") || name.starts_with("vast_dnode") => {
                let (kept, resource, id_label) = match name.starts_with("vast_cnode") {
                    true => (&self.cnodes, "cnodes", "cnode_id"),
                    false => (&self.dnodes, "dnodes", "dnode_id"),
                };
                let had = get(kept, client, resource, patience).await;
                let wanted = ["inactive", "active", "failed"]
                    .into_iter()
                    .find(|state| name.ends_with(&format!("_{state}")));
                for device in had.value.iter().flat_map(|list| list.iter()) {
                    let value = flag(&device.state, wanted.unwrap_or_default());
                    add(
                        &[
                            (id_label, &device.id.to_string()),
                            ("hostname", device.host_name()),
                        ],
                        value,
                    );
                }
                had.problem()
            }
            name if name == names::VAST_VMS_ALARMS.name => {
                let had = self.alarms(client, patience).await;
                let mut counted: BTreeMap<(String, String), f64> = BTreeMap::new();
                for alarm in had.value.iter().flat_map(|list| list.iter()) {
                    let event_name = alarm.labels.get("event_name").unwrap_or_default().to_owned();
                    *counted
                        .entry((alarm.severity.to_string(), event_name))
                        .or_default() += 1.0;
                }
                if counted.is_empty() && had.value.is_some() {
                    add(&[], Some(0.0));
                }
                for ((severity, event_name), count) in counted {
                    add(
                        &[("severity", &severity), ("event_name", &event_name)],
                        Some(count),
                    );
                }
                had.problem()
            }
            name if name == names::PODSCOPE_VAST_VIP_INFO.name => {
                let had = get(&self.vips, client, "vips", patience).await;
                for vip in had.value.iter().flat_map(|list| list.iter()) {
                    let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
                    add(
                        &[
                            ("ip", &text(&vip.ip)),
                            ("hostname", &text(&vip.cnode)),
                            ("vippool", &text(&vip.vippool)),
                            ("tenant", &text(&vip.tenant_name)),
                        ],
                        Some(1.0),
                    );
                }
                had.problem()
            }
            name => {
                let had = self.clusters(client, patience).await;
                let list = had.value.iter().flat_map(|list| list.iter());
                for found in list.filter(|found| found.name.as_deref() == Some(cluster)) {
                    let value = match name {
                        _ if name == names::VAST_CLUSTER_ONLINE.name => flag(&found.state, "ONLINE"),
                        _ if name == names::VAST_SSD_RAID_HEALTHY.name => {
                            flag(&found.ssd_raid_state, "HEALTHY")
                        }
                        _ if name == names::VAST_NVRAM_RAID_HEALTHY.name => {
                            flag(&found.nvram_raid_state, "HEALTHY")
                        }
                        _ if name == names::VAST_MEMORY_RAID_HEALTHY.name => {
                            flag(&found.memory_raid_state, "HEALTHY")
                        }
                        _ if name == names::PODSCOPE_VAST_PREFETCH_ENABLED.name => {
                            found.prefetch().map(|on| f64::from(u8::from(on)))
                        }
                        _ => None,
                    };
                    add(&[], value);
                }
                had.problem()
            }
        };
        (series, error)
    }

    pub(super) async fn clusters(
        &self,
        client: &Arc<VmsClient>,
        patience: Duration,
    ) -> Had<Vec<VastCluster>> {
        get(&self.clusters, client, "clusters", patience).await
    }

    /// The devices of a type, by id.
    pub(super) async fn devices(
        &self,
        client: &Arc<VmsClient>,
        object_type: &str,
        patience: Duration,
    ) -> Had<Vec<VastDevice>> {
        match object_type {
            "nic" => get(&self.nics, client, "nics", patience).await,
            "ssd" => get(&self.ssds, client, "ssds", patience).await,
            _ => get(&self.cnodes, client, "cnodes", patience).await,
        }
    }

    pub(super) async fn alarms(&self, client: &Arc<VmsClient>, patience: Duration) -> Had<Vec<Event>> {
        let client = Arc::clone(client);
        self.alarms
            .get(patience, move || async move { client.alarms().await })
            .await
    }
}

async fn get<T: serde::de::DeserializeOwned + Send + Sync + 'static>(
    kept: &Arc<Kept<Vec<T>>>,
    client: &Arc<VmsClient>,
    resource: &'static str,
    patience: Duration,
) -> Had<Vec<T>> {
    let client = Arc::clone(client);
    kept.get(patience, move || async move { client.objects(resource).await })
        .await
}
