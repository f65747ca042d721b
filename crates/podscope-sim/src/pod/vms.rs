//! The storage cluster as its management server tells it: front ends, SSDs, addresses, views, who reads how much, settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flows::{READ_BYTES, WRITE_BYTES, WRITE_SECONDS};
use super::model::physics::Physics;
use super::model::story::{PREFETCH_ON, ROLLBACK};
use super::state::Pod;
use super::topology::{TENANTS, Topology};
use crate::noise::{smooth, unit};
use crate::vms::world::{
    CNode, Cluster, DNode, Flow, Grade, Load, Nic, Op, Quota, Ssd, View, Vip, VmsAlarm, VmsEvent, VmsState,
    VmsWorld,
};

/// SSDs behind the front ends.
const SSDS: u32 = 44;
const DNODES: u32 = 8;
/// NFS operations per NVMe-oF read.
const NFS_PER_READ: f64 = 1.0 / 400.0;

/// See the module.
#[derive(Clone, Debug)]
pub struct PodStorage(pub Arc<Pod>);

impl PodStorage {
    /// The part of the load that a front end serves; they add up to 1.
    fn share(&self, cnode: usize, t_ms: i64) -> f64 {
        let count = self.0.topology().cnodes();
        let weight = |at: usize| {
            let seconds = t_ms as f64 / 1_000.0;
            1.0 + 0.08 * (unit(0x636e, at as u64, 0) - 0.5)
                + 0.05 * smooth(self.0.seed(), 7_000 + at as u64, seconds, 600.0)
        };
        let all: f64 = (0..count).map(weight).sum();
        weight(cnode) / all
    }

    fn load(physics: &Physics, share: f64) -> [(String, Load); 2] {
        let reads = physics.reads * share / READ_BYTES;
        let writes = physics.writes * share / WRITE_BYTES;
        let block = Load {
            read: Op {
                iops: reads,
                bw: physics.reads * share,
                latency_us: physics.server_latency * 1e6,
            },
            write: Op {
                iops: writes,
                bw: physics.writes * share,
                latency_us: WRITE_SECONDS * 0.8 * 1e6,
            },
            md_iops: 0.0,
        };
        let nfs = reads * NFS_PER_READ;
        let files = Load {
            read: Op {
                iops: nfs,
                bw: nfs * 65_536.0,
                latency_us: physics.server_latency * 1e6 * 1.1,
            },
            write: Op {
                iops: nfs * 0.2,
                bw: nfs * 0.2 * 32_768.0,
                latency_us: WRITE_SECONDS * 1e6,
            },
            md_iops: nfs * 3.0,
        };
        [("BlockCommon".to_owned(), block), ("NFSCommon".to_owned(), files)]
    }

    fn cnodes(&self, physics: &Physics, t_ms: i64) -> Vec<CNode> {
        let count = self.0.topology().cnodes();
        let each = |at: usize| {
            let share = self.share(at, t_ms);
            let even = share * count as f64;
            // A front end works for what it serves and for what it fetches.
            let work = (0.16 + 0.30 * physics.ssd_busy + 0.42 * physics.overflow * physics.ports_busy) * even;
            CNode {
                id: at as u32 + 1,
                name: Topology::cnode_name(at),
                ip: format!("172.22.0.{}", at + 1),
                state: "ACTIVE".to_owned(),
                cpu_percent: (work * 100.0).clamp(1.0, 99.0),
                mem_percent: 48.0 + 40.0 * (physics.hot + physics.speculative).min(1.0),
                cpu_celsius: 48.0 + 25.0 * work,
                window_runtime: (work * 110.0).clamp(1.0, 100.0),
                rdma_links: (2 * self.0.topology().nodes() / count) as f64,
                load: BTreeMap::from(Self::load(physics, share)),
            }
        };
        (0..count).map(each).collect()
    }

    /// What each job's node does, over the address its paths lead to.
    fn flows(&self, physics: &Physics, t_ms: i64) -> Vec<Flow> {
        let mut flows = Vec::new();
        let topology = self.0.topology();
        for node in 0..topology.nodes() {
            let rates = self.0.node_rates(node, t_ms);
            let jobs = self.0.on_node(node, t_ms);
            let gpus: u32 = jobs.iter().map(|(_, _, gpus)| gpus.count_ones()).sum();
            if gpus == 0 || rates.reads <= 0.0 {
                continue;
            }
            for (_, job, held) in jobs {
                let part = f64::from(held.count_ones()) / f64::from(gpus);
                let cnodes = topology.cnodes_of(node);
                let cnode = cnodes[job.id as usize % 2];
                let part_of_pod = rates.reads * part / physics.reads.max(1.0);
                let [(_, load), _] = Self::load(physics, part_of_pod);
                flows.push(Flow {
                    host: Topology::node_address(node),
                    vip: Topology::vip(cnode),
                    view: format!("/{}", job.account()),
                    user: job.user().to_owned(),
                    uid: job.uid(),
                    tenant: "default".to_owned(),
                    load,
                });
            }
        }
        flows
    }
}

impl VmsWorld for PodStorage {
    fn began_ms(&self) -> i64 {
        self.0.began_ms()
    }

    fn at(&self, t_ms: i64) -> VmsState {
        let physics = self.0.physics(t_ms);
        let cnodes = self.cnodes(&physics, t_ms);
        let count = cnodes.len() as u32;
        let mut cluster = Cluster {
            name: format!("vast-{}", self.0.topology().cluster()),
            ..Cluster::default()
        };
        // A setting of the cluster; front ends follow it one by one.
        let on = self.0.prefetch(0, t_ms);
        cluster
            .settings
            .insert("data_prefetch_enabled".to_owned(), on.into());
        let days = (t_ms - self.began_ms()) as f64 / 86_400_000.0;
        cluster.physical_space_in_use *= 1.0 + 0.004 * days;
        cluster.logical_space_in_use *= 1.0 + 0.004 * days;
        let nics = (0..cnodes.len()).map(|at| {
            let share = self.share(at, t_ms);
            let late = (physics.latency / 0.000_16).powi(3);
            Nic {
                id: at as u32 + 1,
                name: "enp65s0f0".to_owned(),
                cnode: Topology::cnode_name(at),
                r_mbs: (physics.behind() + physics.writes) * share / 1e6,
                t_mbs: physics.reads * share / 1e6,
                t_pause: physics.pause * 4_000.0,
                out_of_sequence: 0.02 * late,
                out_of_buffer: 40.0 * physics.overflow,
                rnr_nak_retry_err: 0.002 * late,
                local_ack_timeout_err: 0.01 * late,
                rx_crc_errors_phy: 0.0,
            }
        });
        let ssd = |id: u32| {
            let uneven = 0.9 + 0.2 * unit(0x0073_7364, u64::from(id), 0);
            Ssd {
                id,
                name: format!("ssd-{id}"),
                r_mbs: physics.behind() / f64::from(SSDS) / 1e6 * uneven,
                w_mbs: physics.writes * 1.5 / f64::from(SSDS) / 1e6 * uneven,
                r_await: physics.parts[1].mean() * 1e3,
                w_await: 0.3,
                celsius: 38.0 + 14.0 * physics.ssd_busy,
                endurance: 97.0 - unit(0x0065_6e64, u64::from(id), 0) * 4.0,
                media_errors: if id == 17 { 3.0 } else { 0.0 },
            }
        };
        let view = |(at, tenant): (usize, &super::topology::Tenant)| View {
            id: at as u32 + 1,
            path: format!("/{}", tenant.account),
            protocols: vec!["NFS".to_owned(), "BLOCK".to_owned()],
            tenant: "default".to_owned(),
            logical_capacity: f64::from(tenant.promised) * 2.4e12,
            physical_capacity: f64::from(tenant.promised) * 1.3e12,
        };
        let quota = |(at, tenant): (usize, &super::topology::Tenant)| {
            let limit = f64::from(tenant.promised) * 3.0e12;
            let used = limit * (0.55 + 0.4 * unit(0x0071_756f, at as u64, 0)).min(0.93);
            Quota {
                id: at as u32 + 1,
                name: tenant.account.to_owned(),
                path: format!("/{}", tenant.account),
                state: if used > limit * 0.9 { "SOFT_EXCEEDED" } else { "OK" }.to_owned(),
                tenant: "default".to_owned(),
                used_capacity: used,
                used_inodes: used / 4e6,
                soft_limit: Some(limit * 0.9),
                hard_limit: Some(limit),
            }
        };
        VmsState {
            nics: nics.collect(),
            ssds: (1..=SSDS).map(ssd).collect(),
            dnodes: (1..=DNODES)
                .map(|id| DNode {
                    id,
                    name: format!("dnode-{id}"),
                    state: "ACTIVE".to_owned(),
                })
                .collect(),
            vips: (0..count)
                .map(|at| Vip {
                    id: at + 1,
                    ip: Topology::vip(at as usize),
                    vippool: "main".to_owned(),
                    cnode: Topology::cnode_name(at as usize),
                    tenant: "default".to_owned(),
                })
                .collect(),
            views: TENANTS.iter().enumerate().map(view).collect(),
            quotas: TENANTS.iter().enumerate().map(quota).collect(),
            flows: self.flows(&physics, t_ms),
            cnodes,
            cluster,
        }
    }

    fn events(&self, from_ms: i64, to_ms: i64) -> Vec<VmsEvent> {
        let clock = self.0.clock();
        let name = format!("vast-{}", self.0.topology().cluster());
        let story = [
            (PREFETCH_ON, 7_101, "False -> True"),
            (ROLLBACK, 7_102, "True -> False"),
        ];
        let mut events = Vec::new();
        for (at, id, what) in story {
            let time_ms = clock.wall_ms(at);
            let happened = self.0.prefetch(0, time_ms + 1_000) != self.0.prefetch(0, time_ms - 1_000);
            if (from_ms..=to_ms).contains(&time_ms) && happened {
                events.push(VmsEvent {
                    id,
                    time_ms,
                    event_type: "OBJECT_MODIFIED".to_owned(),
                    event_name: "CLUSTER_MODIFIED".to_owned(),
                    message: format!("Cluster {name} settings modified: data_prefetch_enabled {what}"),
                    object_type: "Cluster".to_owned(),
                    object_id: 1,
                    object_name: name.clone(),
                    grade: Grade::Info,
                });
            }
        }
        // Of no weight: a power supply that comes and goes, a snapshot that took long.
        let hour = 3_600_000;
        for number in from_ms.div_euclid(hour)..=to_ms.div_euclid(hour) {
            let dice = unit(self.0.seed() ^ 0x0065_7674, 1, number.cast_unsigned());
            let time_ms = number * hour + (dice * 3.5e6) as i64;
            if !(from_ms..=to_ms).contains(&time_ms) || dice > 0.4 {
                continue;
            }
            let (event_name, message, grade) = if dice < 0.12 {
                (
                    "PSU_STATE",
                    "PSU 2 of dbox-3 changed state: OK -> DEGRADED -> OK",
                    Grade::Minor,
                )
            } else {
                (
                    "SNAPSHOT_CREATED",
                    "Snapshot nightly of /helix was created in 41 s",
                    Grade::Info,
                )
            };
            events.push(VmsEvent {
                id: 8_000_000 + number.cast_unsigned(),
                time_ms,
                event_type: "OBJECT_MODIFIED".to_owned(),
                event_name: event_name.to_owned(),
                message: message.to_owned(),
                object_type: "Cluster".to_owned(),
                object_id: 1,
                object_name: name.clone(),
                grade,
            });
        }
        events.sort_by_key(|event| event.time_ms);
        events
    }

    fn alarms(&self, t_ms: i64) -> Vec<VmsAlarm> {
        let alarm =
            |id, since_ms, event_name: &str, message: String, grade, object: (&str, u32, String)| VmsAlarm {
                id,
                since_ms,
                updated_ms: t_ms,
                event_type: "THRESHOLD_ALERT".to_owned(),
                event_name: event_name.to_owned(),
                message,
                object_type: object.0.to_owned(),
                object_id: object.1,
                object_name: object.2,
                grade,
                acknowledged: false,
            };
        // It was there before and will be there after.
        let mut alarms = vec![alarm(
            51,
            self.began_ms(),
            "SSD_MEDIA_ERRORS",
            "ssd-17 reports 3 media errors".to_owned(),
            Grade::Minor,
            ("SSD", 17, "ssd-17".to_owned()),
        )];
        let physics = self.0.physics(t_ms);
        if physics.server_latency > 0.000_5 {
            let mut since_ms = t_ms;
            // When it began, to the minute.
            while since_ms > self.began_ms() && self.0.physics(since_ms - 60_000).server_latency > 0.000_5 {
                since_ms -= 60_000;
            }
            alarms.push(alarm(
                52,
                since_ms,
                "CLUSTER_HIGH_LATENCY",
                format!(
                    "Read latency of the cluster is {:.2} ms, above its threshold of 0.50 ms",
                    physics.server_latency * 1e3
                ),
                Grade::Major,
                ("Cluster", 1, format!("vast-{}", self.0.topology().cluster())),
            ));
        }
        alarms
    }
}
