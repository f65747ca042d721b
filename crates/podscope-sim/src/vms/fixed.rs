//! A cluster in which nothing changes but what a test tells it to.

use std::collections::BTreeMap;

use super::world::{
    CNode, Cluster, DNode, Flow, Grade, Load, Nic, Op, Quota, Ssd, View, Vip, VmsAlarm, VmsEvent, VmsState,
    VmsWorld,
};

/// Four CNodes under an even load; prefetch is switched on at `prefetch_ms`, which doubles what the SSDs read and the
/// latency of reads.
#[derive(Clone, Debug)]
pub struct FixedWorld {
    pub began_ms: i64,
    /// Where its clock stands; `None`: it goes with the system's.
    pub now_ms: Option<i64>,
    pub prefetch_ms: Option<i64>,
    pub cnodes: u32,
}

impl FixedWorld {
    /// A day of history before `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self {
            began_ms: now_ms - 86_400_000,
            now_ms: Some(now_ms),
            prefetch_ms: None,
            cnodes: 4,
        }
    }

    /// The same with a clock that goes on.
    #[must_use]
    pub fn live(self) -> Self {
        Self { now_ms: None, ..self }
    }

    fn prefetches(&self, t_ms: i64) -> bool {
        self.prefetch_ms.is_some_and(|since| t_ms >= since)
    }
}

impl VmsWorld for FixedWorld {
    fn began_ms(&self) -> i64 {
        self.began_ms
    }

    fn now_ms(&self) -> i64 {
        self.now_ms.unwrap_or_else(super::world::system_ms)
    }

    fn at(&self, t_ms: i64) -> VmsState {
        let factor = if self.prefetches(t_ms) { 2.0 } else { 1.0 };
        let read = |iops: f64| Op {
            iops,
            bw: iops * 1_048_576.0,
            latency_us: 400.0 * factor,
        };
        let write = |iops: f64| Op {
            iops,
            bw: iops * 262_144.0,
            latency_us: 900.0,
        };
        let block = Load {
            read: read(2_000.0),
            write: write(500.0),
            md_iops: 0.0,
        };
        let nfs = Load {
            read: read(300.0),
            write: write(100.0),
            md_iops: 250.0,
        };
        let cnodes: Vec<CNode> = (1..=self.cnodes)
            .map(|id| CNode {
                id,
                name: format!("cnode-{id}"),
                ip: format!("172.22.0.{id}"),
                state: "ACTIVE".to_owned(),
                cpu_percent: 30.0 * factor,
                mem_percent: 55.0,
                cpu_celsius: 61.0,
                window_runtime: 35.0 * factor,
                rdma_links: 128.0,
                load: BTreeMap::from([("BlockCommon".to_owned(), block), ("NFSCommon".to_owned(), nfs)]),
            })
            .collect();
        let mut cluster = Cluster {
            name: "vast-test".to_owned(),
            ..Cluster::default()
        };
        cluster
            .settings
            .insert("data_prefetch_enabled".to_owned(), self.prefetches(t_ms).into());
        let client_mbs = cnodes
            .iter()
            .flat_map(|cnode| cnode.load.values())
            .map(|load| load.read.bw)
            .sum::<f64>()
            / 1e6;
        VmsState {
            nics: cnodes
                .iter()
                .map(|cnode| Nic {
                    id: cnode.id,
                    name: "enp65s0f0".to_owned(),
                    cnode: cnode.name.clone(),
                    r_mbs: 400.0,
                    t_mbs: 2_400.0,
                    t_pause: 3.0,
                    ..Nic::default()
                })
                .collect(),
            ssds: (1..=8)
                .map(|id| Ssd {
                    id,
                    name: format!("ssd-{id}"),
                    r_mbs: client_mbs / 8.0 * factor,
                    w_mbs: 40.0,
                    r_await: 0.2,
                    w_await: 0.3,
                    celsius: 41.0,
                    endurance: 97.0,
                    media_errors: 0.0,
                })
                .collect(),
            dnodes: vec![DNode {
                id: 1,
                name: "dnode-1".to_owned(),
                state: "ACTIVE".to_owned(),
            }],
            vips: cnodes
                .iter()
                .map(|cnode| Vip {
                    id: cnode.id,
                    ip: format!("172.21.0.{}", cnode.id),
                    vippool: "main".to_owned(),
                    cnode: cnode.name.clone(),
                    tenant: "default".to_owned(),
                })
                .collect(),
            views: vec![View {
                id: 1,
                path: "/train".to_owned(),
                protocols: vec!["NFS".to_owned(), "BLOCK".to_owned()],
                tenant: "default".to_owned(),
                logical_capacity: 9e14,
                physical_capacity: 5e14,
            }],
            quotas: vec![Quota {
                id: 1,
                name: "train".to_owned(),
                path: "/train".to_owned(),
                state: "OK".to_owned(),
                tenant: "default".to_owned(),
                used_capacity: 9e14,
                used_inodes: 4e7,
                soft_limit: None,
                hard_limit: Some(1e15),
            }],
            flows: vec![
                Flow {
                    host: "10.9.0.1".to_owned(),
                    vip: "172.21.0.1".to_owned(),
                    view: "/train".to_owned(),
                    user: "alice".to_owned(),
                    uid: 1001,
                    tenant: "default".to_owned(),
                    load: block,
                },
                Flow {
                    host: "10.9.0.2".to_owned(),
                    vip: "172.21.0.2".to_owned(),
                    view: "/train".to_owned(),
                    user: "root".to_owned(),
                    uid: 0,
                    tenant: "default".to_owned(),
                    load: nfs,
                },
            ],
            cnodes,
            cluster,
        }
    }

    fn events(&self, from_ms: i64, to_ms: i64) -> Vec<VmsEvent> {
        let change = self.prefetch_ms.map(|time_ms| VmsEvent {
            id: 7001,
            time_ms,
            event_type: "OBJECT_MODIFIED".to_owned(),
            event_name: "CLUSTER_MODIFIED".to_owned(),
            message: "Cluster vast-test settings modified: data_prefetch_enabled False -> True".to_owned(),
            object_type: "Cluster".to_owned(),
            object_id: 1,
            object_name: "vast-test".to_owned(),
            grade: Grade::Info,
        });
        change
            .into_iter()
            .filter(|event| (from_ms..=to_ms).contains(&event.time_ms))
            .collect()
    }

    fn alarms(&self, t_ms: i64) -> Vec<VmsAlarm> {
        if !self.prefetches(t_ms) {
            return Vec::new();
        }
        vec![VmsAlarm {
            id: 51,
            since_ms: self.prefetch_ms.unwrap_or(t_ms),
            updated_ms: t_ms,
            event_type: "THRESHOLD_ALERT".to_owned(),
            event_name: "CNODE_HIGH_LATENCY".to_owned(),
            message: "Read latency of cnode-1 is above its threshold".to_owned(),
            object_type: "CNode".to_owned(),
            object_id: 1,
            object_name: "cnode-1".to_owned(),
            grade: Grade::Major,
            acknowledged: false,
        }]
    }
}
