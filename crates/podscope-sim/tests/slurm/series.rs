//! What becomes of a simulated queue.

use std::sync::Arc;

use podscope_collect::contract::assert_collector_contract;
use podscope_collect::slurm::slo::{Contract, Incidents, NoIncidents, SloCollector, Tenant};
use podscope_collect::slurm::{BookOptions, SlurmBook, SlurmCollector, Snapshot};
use podscope_sim::slurmrestd::world::{running, waiting};
use podscope_sim::slurmrestd::{FixedWorld, SlurmWorld, SlurmrestdOptions, WorldSource};

use crate::{HandClock, NOW_S, Server, poll, series};

fn fixed() -> Arc<dyn SlurmWorld> {
    Arc::new(FixedWorld { origin_s: NOW_S })
}

/// Names that say how Slurm is asked, or that not all versions know.
const OF_THE_VERSION: [&str; 7] = [
    "podscope_slurm_up",
    "podscope_slurm_poll",
    "podscope_slurm_share_effective",
    "podscope_slurm_level",
    "slurm_account_fairshare",
    "podscope_slurm_share",
    "podscope_slurm_over",
];

#[test]
fn every_version_makes_the_same_series() {
    let clock = HandClock::at(NOW_S);
    let mut seen = Vec::new();
    for version in ["v0.0.38", "v0.0.40", "v0.0.41", "v0.0.42"] {
        let options = SlurmrestdOptions {
            versions: vec![version],
            ..SlurmrestdOptions::default()
        };
        let server = Server::start(fixed(), &clock, options);
        let book = SlurmBook::new(BookOptions::default());
        poll(&server.config(), &book, NOW_S).expect("an answer");
        assert_eq!(&*book.snapshot().api, version);
        assert_eq!(book.health().problems, Vec::<String>::new(), "{version}");
        let mut collector = SlurmCollector::new(book, Arc::new(clock.clone()));
        assert_collector_contract(&mut collector);
        let mut all = series(&mut collector);
        all.retain(|name, _| !OF_THE_VERSION.iter().any(|other| name.starts_with(other)));
        seen.push(all);
        for asked in server.slurmrestd.take_asked() {
            assert!(asked.starts_with("GET "), "{asked}");
        }
    }
    assert!(seen[0].len() > 100, "{} series", seen[0].len());
    for other in &seen[1..] {
        assert_eq!(&seen[0], other);
    }
}

#[test]
fn a_small_queue_counts_as_one_would_by_hand() {
    let clock = HandClock::at(NOW_S);
    let book = SlurmBook::new(BookOptions::default());
    let source = Box::new(WorldSource::new(fixed()));
    let mut collector = SlurmCollector::new(book, Arc::new(clock)).asking_itself(source);
    let all = series(&mut collector);
    for (name, value) in [
        ("slurm_queue_pending", 2.0),
        ("slurm_queue_running", 2.0),
        ("slurm_queue_failed", 1.0),
        ("slurm_gpus_total", 24.0),
        ("slurm_gpus_alloc", 12.0),
        ("slurm_gpus_available", 16.0),
        ("slurm_gpus_idle", 4.0),
        ("slurm_gpus_other", 8.0),
        ("slurm_nodes_drain", 1.0),
        ("slurm_nodes_alloc", 1.0),
        ("slurm_nodes_mix", 1.0),
        ("slurm_nodes_idle", 0.0),
        (r#"slurm_pending_reason_total{reason="Resources"}"#, 1.0),
        (r#"slurm_account_gpus_running{account="alpha"}"#, 8.0),
        (r#"slurm_account_gpus_pending{account="beta"}"#, 8.0),
        (
            r#"podscope_slurm_pending_gpus{class="capacity", partition="all"}"#,
            8.0,
        ),
        (
            r#"podscope_slurm_pending_gpus{class="limit", partition="train"}"#,
            8.0,
        ),
        (
            r#"podscope_slurm_pending_oldest_seconds{class="capacity", partition="all"}"#,
            1500.0,
        ),
        (
            r#"podscope_slurm_backlog_gpus{account="all", partition="all"}"#,
            8.0,
        ),
        (
            r#"podscope_slurm_backlog_gpu_hours{account="alpha", partition="train"}"#,
            384.0,
        ),
        (
            r#"podscope_slurm_node_unavailable_seconds{node="n3", reason="fabric check", state="drain"}"#,
            7200.0,
        ),
        // Started within the hour: jobs 2 (waited 1,200 s) and 3 (100 s). Job 4 waits.
        (
            r#"podscope_job_wait_seconds_started{account="all", partition="all", qos="all"}"#,
            2.0,
        ),
        (
            r#"podscope_job_wait_seconds_pending{account="all", partition="all", qos="all"}"#,
            1.0,
        ),
        (r#"podscope_slurm_share_now_ratio{account="beta"}"#, 4.0 / 12.0),
    ] {
        let found = all
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing of {all:#?}"));
        assert_eq!(*found, value, "{name}");
    }
    let quantiles = all
        .keys()
        .filter(|name| name.starts_with("podscope_job_wait_seconds{"));
    assert_eq!(quantiles.count(), 0, "two starts are too few");
}

/// A queue in which a job of eight GPUs is submitted every minute and starts after five, until `stops_s`; then none starts.
#[derive(Debug)]
struct Stall {
    stops_s: i64,
}

impl SlurmWorld for Stall {
    fn at(&self, t_ms: i64) -> Snapshot {
        let now = t_ms.div_euclid(1000);
        let mut jobs = Vec::new();
        for minute in (NOW_S - 10_800) / 60..=now / 60 {
            let eligible = minute * 60;
            let start = eligible + 300;
            // A job runs for ten minutes, and is forgotten five minutes later.
            if start <= now && start <= self.stops_s {
                let mut job = running(minute as u64, "alpha", "n1", 8.0, eligible, start);
                job.end_s = Some(start + 600);
                if start + 600 <= now {
                    job.state = podscope_collect::slurm::JobState::Completed;
                    job.gres = Box::default();
                }
                if start + 900 > now {
                    jobs.push(job);
                }
            } else {
                jobs.push(waiting(minute as u64, "alpha", "Priority", 8.0, eligible));
            }
        }
        Snapshot {
            cluster: "emea".into(),
            jobs: jobs.into(),
            ..Snapshot::default()
        }
    }
}

#[derive(Debug)]
struct Opened(i64);

impl Incidents for Opened {
    fn opened_ms(&self) -> Option<i64> {
        Some(self.0 * 1000)
    }
}

const EXPOSURE: &str = r#"podscope_slo_exposure_dollars_per_hour{tenant="Alpha Inc"}"#;
const ALL: &str = r#"account="all", partition="all", qos="all""#;

#[test]
fn when_starts_stop_the_estimate_rises_at_once_and_starts_alone_do_not() {
    let clock = HandClock::at(NOW_S - 7200);
    let book = SlurmBook::new(BookOptions::default());
    let world: Arc<dyn SlurmWorld> = Arc::new(Stall { stops_s: NOW_S });
    let source = Box::new(WorldSource::new(Arc::clone(&world)));
    let mut collector = SlurmCollector::new(book.clone(), Arc::new(clock.clone())).asking_itself(source);
    let contract = Contract {
        tenants: vec![Tenant {
            name: "Alpha Inc".to_owned(),
            accounts: vec!["alpha".to_owned()],
            gpus: 128.0,
            price: 2.0,
            penalty: 3.0,
            wait_penalty: 0.5,
            cap: Some(300.0),
        }],
        ..Contract::default()
    };
    let incidents = Arc::new(Opened(NOW_S));
    let mut slo = SloCollector::new(book, Arc::new(clock.clone()), contract, incidents);
    let p90 = format!(r#"podscope_job_wait_seconds{{{ALL}, quantile="0.9"}}"#);
    let (mut before, mut at_alarm, mut after) = (None, None, None);
    let (mut accrued, mut integral) = (0.0, 0.0);
    for step in 0..=240 + 120 {
        let now = NOW_S - 7200 + step * 30;
        clock.set(now);
        let row = series(&mut collector);
        let promise = series(&mut slo);
        let of = |row: &std::collections::BTreeMap<String, f64>, name: &str| row.get(name).copied();
        let breached = of(&promise, &format!("podscope_slo_breached{{{ALL}}}"));
        if now == NOW_S {
            before = Some((
                of(&row, &p90),
                breached,
                of(
                    &promise,
                    r#"podscope_slo_exposure_dollars_per_hour{tenant="Alpha Inc"}"#,
                ),
            ));
        }
        if now == NOW_S + 1800 {
            let started_alone = of(
                &row,
                r#"podscope_job_started_wait_seconds_bucket{le="300", partition="train"}"#,
            ) == of(
                &row,
                r#"podscope_job_started_wait_seconds_bucket{le="+Inf", partition="train"}"#,
            );
            at_alarm = Some((
                of(&row, &p90),
                of(&row, &p90.replace("seconds{", "seconds_lower_bound{")),
                started_alone,
                breached,
            ));
        }
        if let Some(cost) = of(
            &promise,
            r#"podscope_slo_exposure_accrued_dollars{tenant="Alpha Inc"}"#,
        ) {
            assert!(cost >= accrued, "what was lost does not come back");
            accrued = cost;
        }
        if now > NOW_S {
            integral += promise[EXPOSURE] / 120.0;
        }
        after = Some((row, promise));
    }
    let (wait, breached, exposure) = before.expect("seen");
    assert_eq!((wait, breached, exposure), (Some(300.0), Some(0.0), Some(0.0)));
    let (wait, at_least, started_alone, breached) = at_alarm.expect("seen");
    assert!(
        started_alone,
        "those that started waited 300 s, whatever the others do"
    );
    let at_least = wait.or(at_least).expect("known, or at least something");
    assert!(
        at_least > 600.0,
        "{at_least} s after half an hour without a start"
    );
    assert_eq!(breached, Some(1.0));
    let (row, promise) = after.expect("seen");
    // An hour without a start: nobody knows any quantile, but all know it is bad.
    assert_eq!(row.get(&p90), None);
    let late = promise[r#"podscope_slo_tenant_late_gpus{tenant="Alpha Inc"}"#];
    assert_eq!(late, 8.0 * 55.0, "the jobs of 55 minutes have waited over ten");
    assert_eq!(
        promise[r#"podscope_slo_tenant_owed_gpus{tenant="Alpha Inc"}"#],
        128.0
    );
    assert!(
        accrued > 100.0 && (accrued - integral).abs() < 0.03 * integral,
        "{accrued} and {integral}"
    );
    // 128 GPUs at 3 dollars and a broken wait clause would be 448 an hour; no more than the cap leaves is at stake.
    assert!(
        (promise[EXPOSURE] - (300.0 - accrued)).abs() < 5.0,
        "{} and {accrued}",
        promise[EXPOSURE]
    );
    let status = promise
        .keys()
        .find(|name| name.starts_with("podscope_slo_tenant_status{"));
    assert!(
        status.expect("told").contains(r#"status="breached""#),
        "{status:?}"
    );
    // Arrivals, starts and backlog agree: what came either started or waits.
    let sum = |name: &str| -> f64 {
        let of_name = row.iter().filter(|(series, _)| series.starts_with(name));
        of_name.map(|(_, value)| value).sum()
    };
    let waiting = row[r#"podscope_slurm_backlog_jobs{account="all", partition="all"}"#];
    let waited_at_first = 5.0;
    assert_eq!(
        sum("podscope_slurm_jobs_arrived_total{") + waited_at_first,
        sum("podscope_slurm_jobs_started_total{") + waiting
    );
    assert_eq!(sum("podscope_slurm_jobs_left_queue_total{"), 0.0);
}

#[test]
fn what_is_promised_passes_the_contract_of_collectors() {
    let clock = HandClock::at(NOW_S);
    let book = SlurmBook::new(BookOptions::default());
    let mut source = WorldSource::new(fixed());
    book.refresh(&mut source, NOW_S * 1000).expect("an answer");
    let contract = Contract {
        idle_price: Some(2.5),
        tenants: ["alpha", "beta"]
            .map(|name| Tenant {
                name: name.to_owned(),
                accounts: vec![name.to_owned()],
                gpus: 16.0,
                price: 2.0,
                penalty: 2.0,
                ..Tenant::default()
            })
            .into(),
        ..Contract::default()
    };
    let mut slo = SloCollector::new(book, Arc::new(clock), contract, Arc::new(NoIncidents));
    assert_collector_contract(&mut slo);
    let all = series(&mut slo);
    // Alpha has 8 of 16 promised GPUs and has waited 1,500 s for 8 more; beta waits for a limit of its own.
    assert_eq!(
        all[r#"podscope_slo_exposure_dollars_per_hour{tenant="alpha"}"#],
        16.0
    );
    assert_eq!(
        all[r#"podscope_slo_exposure_dollars_per_hour{tenant="beta"}"#],
        0.0
    );
    assert_eq!(all[r#"podscope_slo_tenant_pending_gpus{tenant="beta"}"#], 0.0);
    assert_eq!(all["podscope_slo_idle_gpu_price_dollars_per_hour"], 2.5);
    assert!(
        !all.keys()
            .any(|name| name.starts_with("podscope_slo_exposure_accrued")),
        "no incident"
    );
}
