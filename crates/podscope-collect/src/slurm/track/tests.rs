use super::*;
use crate::slurm::spells::{Since, Weight};
use crate::slurm::wait::{Fate, Observed, Waits};

const NOW: i64 = 1_795_250_000;

fn pending(id: u64, reason: &str, eligible_s: Option<i64>) -> Job {
    Job {
        id,
        array_job: 0,
        array_task: None,
        tasks: 1,
        name: "train".into(),
        user: "ann".into(),
        account: "alpha".into(),
        partition: "gpu".into(),
        qos: "normal".into(),
        state: JobState::Pending,
        reason: reason.into(),
        submit_s: Some(NOW),
        eligible_s,
        start_s: None,
        end_s: None,
        limit_s: Some(3600),
        nodes: "".into(),
        node_count: 1,
        cpus: 8,
        gpus: 4.0,
        gres: Box::default(),
        restarts: 0,
        work_dir: "/home/ann".into(),
    }
}

fn running(id: u64, eligible_s: i64, start_s: i64) -> Job {
    Job {
        state: JobState::Running,
        start_s: Some(start_s),
        nodes: "n1".into(),
        ..pending(id, "None", Some(eligible_s))
    }
}

fn ended(id: u64, state: JobState, eligible_s: i64, start_s: i64, end_s: i64) -> Job {
    Job {
        state,
        end_s: Some(end_s),
        ..running(id, eligible_s, start_s)
    }
}

fn snapshot(jobs: &[Job]) -> Snapshot {
    Snapshot {
        jobs: jobs.into(),
        ..Snapshot::default()
    }
}

fn observed(tracker: &Tracker, now_s: i64) -> Vec<Observed> {
    let spells = tracker.spells.all();
    spells
        .filter_map(|(spell, ended)| spell.observed(ended, Since::Eligible, Weight::Jobs, now_s, 3600))
        .collect()
}

fn fates(tracker: &Tracker, now_s: i64) -> Vec<(f64, Fate)> {
    let mut fates: Vec<(f64, Fate)> = observed(tracker, now_s)
        .iter()
        .map(|one| (one.exit, one.fate))
        .collect();
    fates.sort_by(|a, b| a.0.total_cmp(&b.0));
    fates
}

fn jobs_of(flows: &BTreeMap<super::super::supply::Pair, super::super::supply::Flow>) -> f64 {
    flows.values().map(|flow| flow.jobs).sum()
}

#[test]
fn only_waiting_for_capacity_counts() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[]), NOW);
    // A limit of its own holds it back for ten minutes, then it waits one minute for nodes.
    tracker.observe(&snapshot(&[pending(1, "QOSMaxGRESPerUser", Some(NOW))]), NOW + 30);
    assert!(fates(&tracker, NOW + 30).is_empty());
    tracker.observe(&snapshot(&[pending(1, "Resources", Some(NOW))]), NOW + 600);
    tracker.observe(&snapshot(&[running(1, NOW, NOW + 660)]), NOW + 670);
    assert_eq!(fates(&tracker, NOW + 670), [(60.0, Fate::Started)]);
    // From capacity to a limit: it left the queue of those who wait for capacity.
    tracker.observe(&snapshot(&[pending(2, "Priority", Some(NOW + 700))]), NOW + 700);
    tracker.observe(
        &snapshot(&[pending(2, "AssocGrpGRES", Some(NOW + 700))]),
        NOW + 730,
    );
    assert_eq!(
        fates(&tracker, NOW + 730),
        [(30.0, Fate::Left), (60.0, Fate::Started)]
    );
    assert_eq!(jobs_of(&tracker.supply.left), 1.0);
    // Held and never eligible: nothing at all.
    tracker.observe(&snapshot(&[pending(3, "JobHeldUser", None)]), NOW + 760);
    let cancelled = Job {
        state: JobState::Cancelled,
        start_s: Some(NOW + 770),
        end_s: Some(NOW + 770),
        ..pending(3, "JobHeldUser", None)
    };
    tracker.observe(&snapshot(&[cancelled]), NOW + 790);
    assert_eq!(fates(&tracker, NOW + 790).len(), 2);
}

#[test]
fn a_requeue_begins_a_new_spell_and_has_a_cause() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[running(1, NOW - 100, NOW - 50)]), NOW);
    let again = Job {
        restarts: 1,
        submit_s: Some(NOW + 60),
        ..pending(1, "Priority", Some(NOW + 60))
    };
    let down = super::super::node::Node {
        name: "n1".into(),
        state: super::super::node::NodeState::of_words(&["DOWN"]),
        ..Default::default()
    };
    let state = Snapshot {
        nodes: Arc::from([down]),
        ..snapshot(std::slice::from_ref(&again))
    };
    tracker.observe(&state, NOW + 90);
    assert_eq!(tracker.supply.restarts[&RestartCause::NodeFail], 1.0);
    assert_eq!(
        fates(&tracker, NOW + 90),
        [(30.0, Fate::Waiting), (50.0, Fate::Started)]
    );
    let started = Job {
        restarts: 1,
        ..running(1, NOW + 60, NOW + 100)
    };
    tracker.observe(&snapshot(&[started]), NOW + 120);
    assert_eq!(
        fates(&tracker, NOW + 120),
        [(40.0, Fate::Started), (50.0, Fate::Started)]
    );
    // Put back by hand: nothing is wrong with its node.
    let by_hand = Job { restarts: 2, ..again };
    tracker.observe(&snapshot(&[by_hand]), NOW + 150);
    assert_eq!(tracker.supply.restarts[&RestartCause::Requeue], 1.0);
}

#[test]
fn tasks_of_an_array_are_jobs_and_arrive_once() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[]), NOW);
    let array = |tasks| Job {
        tasks,
        array_job: 7,
        ..pending(7, "Resources", Some(NOW + 10))
    };
    tracker.observe(&snapshot(&[array(5)]), NOW + 30);
    assert_eq!(jobs_of(&tracker.supply.arrived), 5.0);
    let task = |id, start| Job {
        array_job: 7,
        array_task: Some(id),
        ..running(id, NOW + 10, start)
    };
    tracker.observe(
        &snapshot(&[array(3), task(8, NOW + 40), task(9, NOW + 50)]),
        NOW + 60,
    );
    assert_eq!(jobs_of(&tracker.supply.arrived), 5.0, "they came with the array");
    assert_eq!(jobs_of(&tracker.supply.started), 2.0);
    let weights =
        |tracker: &Tracker, now| -> f64 { observed(tracker, now).iter().map(|one| one.weight).sum() };
    assert_eq!(weights(&tracker, NOW + 60), 5.0);
    // The last three start between two looks; one of them under the array's own number.
    let rest = [
        running(7, NOW + 10, NOW + 70),
        task(10, NOW + 70),
        task(11, NOW + 80),
        task(8, NOW + 40),
        task(9, NOW + 50),
    ];
    tracker.observe(&snapshot(&rest), NOW + 90);
    assert_eq!(weights(&tracker, NOW + 90), 5.0);
    assert_eq!(jobs_of(&tracker.supply.started), 5.0);
    assert_eq!(jobs_of(&tracker.supply.arrived), 5.0);
}

#[test]
fn resubmissions_are_like_the_job_that_failed() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[running(1, NOW - 100, NOW - 50)]), NOW);
    let failed = ended(1, JobState::Failed, NOW - 100, NOW - 50, NOW + 10);
    tracker.observe(&snapshot(std::slice::from_ref(&failed)), NOW + 30);
    assert_eq!(
        tracker.supply.lost_gpu_hours[&super::super::supply::Failure::User],
        4.0 * 60.0 / 3600.0
    );
    let again = Job {
        submit_s: Some(NOW + 40),
        ..pending(2, "Priority", Some(NOW + 40))
    };
    let other = Job {
        name: "eval".into(),
        submit_s: Some(NOW + 40),
        ..pending(3, "Priority", Some(NOW + 40))
    };
    tracker.observe(&snapshot(&[failed, again, other]), NOW + 60);
    assert_eq!(tracker.supply.resubmissions, 1.0);
}

#[test]
fn what_slurmdbd_tells_fills_a_pause() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[pending(1, "Resources", Some(NOW - 10))]), NOW);
    // Twenty minutes nobody could ask; job 1 started, ended and was forgotten, and job 2 came and went.
    let past = vec![
        ended(1, JobState::Completed, NOW - 10, NOW + 100, NOW + 200),
        ended(2, JobState::NodeFail, NOW + 50, NOW + 300, NOW + 400),
    ];
    let state = Snapshot {
        past,
        ..snapshot(&[])
    };
    tracker.observe(&state, NOW + 1200);
    assert_eq!(
        fates(&tracker, NOW + 1200),
        [(110.0, Fate::Started), (250.0, Fate::Started)]
    );
    assert_eq!(jobs_of(&tracker.supply.started), 2.0);
    assert_eq!(
        tracker.supply.ended.values().map(|flow| flow.jobs).sum::<f64>(),
        2.0
    );
    // Told again, it is counted no second time.
    tracker.observe(&state, NOW + 1230);
    assert_eq!(jobs_of(&tracker.supply.started), 2.0);
}

#[test]
fn a_clock_set_back_begins_anew() {
    let mut tracker = Tracker::new(600.0);
    tracker.observe(&snapshot(&[pending(1, "Resources", Some(NOW - 10))]), NOW);
    tracker.observe(
        &snapshot(&[pending(1, "Resources", Some(NOW - 4000))]),
        NOW - 3600,
    );
    assert_eq!(fates(&tracker, NOW - 3600), [(400.0, Fate::Waiting)]);
    assert!(tracker.edges.contains(&600.0));
}

/// One job of a made-up day.
#[derive(Clone, Copy, Debug)]
struct Truth {
    id: u64,
    eligible: i64,
    /// It starts then, or is cancelled.
    leaves: i64,
    starts: bool,
    ends: i64,
}

#[test]
fn looked_at_every_thirty_seconds_a_day_is_known_exactly() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: i64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.unsigned_abs()) as i64
    };
    let truth: Vec<Truth> = (1..1500)
        .map(|id| {
            let eligible = NOW + random(4 * 3600);
            let longest = if random(4) == 0 { 3000 } else { 300 };
            let leaves = eligible + random(longest);
            Truth {
                id,
                eligible,
                leaves,
                starts: random(12) > 0,
                ends: leaves + 1 + random(1200),
            }
        })
        .collect();
    let at = |now: i64| -> Vec<Job> {
        let seen = |job: &&Truth| {
            let gone = if job.starts { job.ends } else { job.leaves };
            job.eligible <= now && now < gone + 300
        };
        let told = |job: &Truth| match (now >= job.leaves, job.starts) {
            (false, _) => pending(job.id, "Priority", Some(job.eligible)),
            (true, true) if now >= job.ends => {
                ended(job.id, JobState::Completed, job.eligible, job.leaves, job.ends)
            }
            (true, true) => running(job.id, job.eligible, job.leaves),
            (true, false) => Job {
                state: JobState::Cancelled,
                start_s: Some(job.leaves),
                end_s: Some(job.leaves),
                ..pending(job.id, "None", Some(job.eligible))
            },
        };
        truth.iter().filter(seen).map(told).collect()
    };
    let mut tracker = Tracker::new(600.0);
    let mut compared = 0;
    for step in 0..=(4 * 120) {
        let now = NOW + step * 30;
        tracker.observe(&snapshot(&at(now)), now);
        if step % 20 != 0 {
            continue;
        }
        let opened = now - 3600;
        let expected: Vec<Observed> = truth
            .iter()
            .filter(|job| job.eligible <= now && (job.leaves > now || job.leaves >= opened))
            .map(|job| Observed {
                entry: (opened - job.eligible).max(0) as f64,
                exit: (job.leaves.min(now) - job.eligible) as f64,
                fate: match (job.leaves <= now, job.starts) {
                    (false, _) => Fate::Waiting,
                    (true, true) => Fate::Started,
                    (true, false) => Fate::Left,
                },
                weight: 1.0,
            })
            .collect();
        let found = observed(&tracker, now);
        assert_eq!(found.len(), expected.len(), "step {step}");
        for p in [0.5, 0.9, 0.99] {
            assert_eq!(
                Waits::of(&found).quantile(p),
                Waits::of(&expected).quantile(p),
                "step {step}, p {p}"
            );
            compared += 1;
        }
        let waiting = expected.iter().filter(|one| one.fate == Fate::Waiting).count() as f64;
        let supply = &tracker.supply;
        let at_first = truth
            .iter()
            .filter(|job| job.eligible <= NOW && job.leaves > NOW)
            .count() as f64;
        assert_eq!(
            at_first + jobs_of(&supply.arrived),
            jobs_of(&supply.started) + jobs_of(&supply.left) + waiting,
            "step {step}: what came started, left or waits"
        );
    }
    assert!(compared > 60, "{compared}");
}
