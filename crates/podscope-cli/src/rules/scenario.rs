//! Every rule against the simulated cluster: quiet while all is well, firing under its own trouble, resolved after.
//!
//! One cluster lives through the past two hours with each trouble on a node of its own, so that a rule must also stay quiet on everybody else's.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use podscope_fanout::{Fleet, FleetConfig, TargetSpec};
use podscope_sim::{SimCluster, SimOptions, Spell, Trouble};

use super::file::Rule;
use super::replay::replay;
use super::state::Change;

/// Which troubles make a rule fire. A rule that is not here cannot be tested and fails the run.
const TROUBLES: &[(&str, &[Trouble])] = &[
    ("ds01-gpu-hot", &[Trouble::GpuHot, Trouble::GpuCritical]),
    ("ds01-gpu-critical", &[Trouble::GpuCritical]),
    (
        "ds01-gpu-memory",
        &[Trouble::GpuMemoryFull, Trouble::GpuMemoryGrowing],
    ),
    ("podscope-gpu-memory-growing", &[Trouble::GpuMemoryGrowing]),
    ("ds01-exporter-down", &[Trouble::AgentDown]),
    ("ds01-dcgm-exporter-down", &[Trouble::DriverFails]),
    ("ds01-disk-space", &[Trouble::DiskFull]),
    (
        "podscope-xid-fatal",
        &[
            Trouble::XidFatal,
            Trouble::GpuLost,
            Trouble::NvlinkDown,
            Trouble::RowRemapPending,
            Trouble::RowRemapFailure,
            Trouble::RecoveryAction,
        ],
    ),
    ("podscope-xid-application", &[Trouble::XidApplication]),
    ("podscope-ecc-double-bit", &[Trouble::EccDoubleBit]),
    ("podscope-ecc-single-bit-rate", &[Trouble::EccSingleBit]),
    ("podscope-row-remap-failure", &[Trouble::RowRemapFailure]),
    ("podscope-row-remap-pending", &[Trouble::RowRemapPending]),
    ("podscope-gpu-throttled", &[Trouble::Throttle]),
    ("podscope-nvlink-down", &[Trouble::NvlinkDown]),
    ("podscope-nvlink-errors", &[Trouble::NvlinkErrors]),
    ("podscope-pcie-replays", &[Trouble::PcieReplays]),
    ("podscope-pcie-width", &[Trouble::PcieWidth]),
    ("podscope-gpus-missing", &[Trouble::GpuLost]),
    ("podscope-persistence-off", &[Trouble::PersistenceOff]),
    ("ds01-gpu-waste", &[Trouble::GpuWaste]),
    ("ds01-mig-waste", &[Trouble::MigWaste]),
    ("ds01-container-memory", &[Trouble::ContainerMemoryFull]),
];

/// Rules about many nodes at once, which have a cluster of their own, and what befalls each of its nodes but the first.
const FLEET_RULES: &[(&str, Trouble)] = &[("podscope-fleet-incomplete", Trouble::AgentDown)];

/// Rules that may fire where nothing was done to a node: what they look for happens in the simulated calm too.
const CALM_TOO: &[(&str, &str)] = &[
    ("podscope-xid-application", "applications fault now and then"),
    ("ds01-gpu-hot", "one simulated GPU has a loose heat sink"),
    ("ds01-gpu-critical", "one simulated GPU has a loose heat sink"),
    (
        "podscope-gpu-throttled",
        "one simulated GPU has a loose heat sink",
    ),
    (
        "podscope-gpu-memory-growing",
        "a job that starts fills the memory within seconds",
    ),
];

const LIVED: Duration = Duration::from_secs(2 * 3600 + 1800);
/// The troubles last from half an hour after the beginning to half an hour before the end.
const QUIET_BEFORE: i64 = 1_800_000;
const LASTS: i64 = 4_800_000;
/// The GPU that has the trouble.
const GPU: usize = 1;

/// What a rule did.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) quiet: Result<(), String>,
    pub(crate) firing: Result<String, String>,
    pub(crate) resolved: Result<String, String>,
}

impl Verdict {
    pub(crate) fn passed(&self) -> bool {
        self.quiet.is_ok() && self.firing.is_ok() && self.resolved.is_ok()
    }
}

/// A cluster that has lived through its troubles, and when they were.
struct Past {
    cluster: SimCluster,
    fleet: Fleet,
    began_ms: i64,
    ended_ms: i64,
    start_ms: i64,
    end_ms: i64,
}

async fn live(nodes: usize, afflicted: impl Iterator<Item = (usize, Trouble)>) -> anyhow::Result<Past> {
    let now = jiff::Timestamp::now().as_millisecond();
    let end_ms = now - now.rem_euclid(60_000);
    let start_ms = end_ms - i64::try_from(LIVED.as_millis())?;
    let (began_ms, ended_ms) = (start_ms + QUIET_BEFORE, start_ms + QUIET_BEFORE + LASTS);
    let troubles = afflicted
        .map(|(node, trouble)| Spell {
            trouble,
            node,
            gpu: GPU,
            from_ms: began_ms,
            to_ms: ended_ms,
        })
        .collect();
    let cluster = SimCluster::start(SimOptions {
        nodes,
        gpus: 2,
        cpus: 2,
        backfill: LIVED,
        live: false,
        now_ms: Some(end_ms),
        troubles,
        cluster: "rules".to_owned(),
        ..SimOptions::default()
    })
    .await?;
    let targets = cluster
        .targets()
        .into_iter()
        .map(|target| TargetSpec {
            url: target.url,
            instance: Some(target.instance),
            labels: target.labels,
        })
        .collect();
    let fleet = Fleet::new(FleetConfig {
        targets,
        timeout: Duration::from_secs(60),
        ..FleetConfig::default()
    })?;
    Ok(Past {
        cluster,
        fleet,
        began_ms,
        ended_ms,
        // Rates need something to begin with.
        start_ms: start_ms + 600_000,
        end_ms,
    })
}

/// Tries every rule out.
///
/// # Errors
/// The simulated cluster did not start, or a query failed.
pub(crate) async fn run(rules: &[Rule]) -> anyhow::Result<BTreeMap<String, Verdict>> {
    let mut verdicts = BTreeMap::new();
    // The first node stays well; then one node per trouble, and last the one that serves inference.
    let past = live(
        Trouble::ALL.len() + 2,
        Trouble::ALL
            .iter()
            .enumerate()
            .map(|(at, trouble)| (at + 1, *trouble)),
    )
    .await?;
    for rule in rules {
        let Some((_, troubles)) = TROUBLES.iter().find(|(uid, _)| *uid == rule.uid) else {
            continue;
        };
        let own: Vec<String> = Trouble::ALL
            .iter()
            .enumerate()
            .filter(|(_, trouble)| troubles.contains(trouble))
            .map(|(at, _)| past.cluster.node(at + 1).instance().to_owned())
            .collect();
        let changes = replay(&past.fleet, rule, past.start_ms, past.end_ms).await?;
        verdicts.insert(rule.uid.clone(), judge(rule, &changes, &own, &past));
    }
    past.cluster.stop().await;
    let fleet_rules: Vec<&Rule> = rules
        .iter()
        .filter(|rule| FLEET_RULES.iter().any(|(uid, _)| *uid == rule.uid))
        .collect();
    for rule in fleet_rules {
        let (_, trouble) = FLEET_RULES
            .iter()
            .find(|(uid, _)| *uid == rule.uid)
            .context("a rule about the fleet")?;
        let past = live(4, (1..4).map(|node| (node, *trouble))).await?;
        let changes = replay(&past.fleet, rule, past.start_ms, past.end_ms).await?;
        verdicts.insert(rule.uid.clone(), judge(rule, &changes, &[String::new()], &past));
        past.cluster.stop().await;
    }
    for rule in rules {
        ensure!(
            verdicts.contains_key(&rule.uid),
            "rule {:?} has no trouble to be tried out with; add it to the scenarios",
            rule.uid
        );
    }
    Ok(verdicts)
}

fn judge(rule: &Rule, changes: &[Change], own: &[String], past: &Past) -> Verdict {
    let instance = |change: &Change| change.labels.get("instance").unwrap_or_default().to_owned();
    let minutes = |from: i64, to: i64| format!("{} min", (to - from) / 60_000);
    let may_be_calm = CALM_TOO.iter().any(|(uid, _)| *uid == rule.uid);
    let stray = changes.iter().find(|change| {
        change.firing && (change.at_ms < past.began_ms || !own.contains(&instance(change))) && !may_be_calm
    });
    let quiet = match stray {
        None => Ok(()),
        Some(change) => Err(format!("fires without cause: {}", change.labels)),
    };
    let mut firing = Ok(String::new());
    let mut resolved = Ok(String::new());
    for node in own {
        let mine: Vec<&Change> = changes
            .iter()
            .filter(|change| instance(change) == *node)
            .collect();
        let fired = mine
            .iter()
            .find(|change| change.firing && (past.began_ms..past.ended_ms).contains(&change.at_ms));
        let Some(fired) = fired else {
            firing = Err(format!("does not fire on {node:?} under its trouble"));
            resolved = Err("never fired".to_owned());
            break;
        };
        if let Ok(text) = &mut firing {
            *text = format!("after {}", minutes(past.began_ms, fired.at_ms));
        }
        let open = mine
            .iter()
            .rev()
            .find(|change| change.labels == fired.labels)
            .is_some_and(|last| last.firing);
        let ended = mine
            .iter()
            .rev()
            .find(|change| !change.firing && change.labels == fired.labels);
        match (open, ended) {
            (false, Some(ended)) => {
                if let Ok(text) = &mut resolved {
                    *text = format!("after {}", minutes(past.ended_ms, ended.at_ms));
                }
            }
            _ => {
                resolved = Err(format!(
                    "still fires on {node:?} {}",
                    minutes(past.ended_ms, past.end_ms)
                ));
                break;
            }
        }
    }
    Verdict {
        quiet,
        firing,
        resolved,
    }
}
