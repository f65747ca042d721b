use super::figures::{Phase, median};
use super::parameters::Parameters;
use super::story::{Cause, ONSET, PREFETCH_ON, PRESENT, ROLLBACK, Story};
use super::*;

fn model(seed: u64, parameters: Parameters, without: &[Cause], until: f64) -> Model {
    let story = Story {
        without: without.to_vec(),
    };
    let mut model = Model::new(seed, &Topology::default(), parameters, story);
    model.extend(until);
    model
}

/// Runs a seed each on as many threads as there are cores.
fn each_seed<T: Send>(seeds: std::ops::RangeInclusive<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = std::sync::Mutex::new(seeds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let run = || {
            let mut done = Vec::new();
            loop {
                let Some(seed) = next.lock().expect("no panic").next() else {
                    return done;
                };
                done.push(work(seed));
            }
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn the_known_figures_come_out_as_the_median_of_twenty_seeds() {
    let stories = each_seed(1..=20, |seed| {
        let model = model(seed, Parameters::default(), &[], PRESENT + STEP);
        (model.story_figures(), model.onset())
    });
    assert_eq!(stories.len(), 20);
    let of = |which: fn(&super::figures::Story) -> &Phase, value: fn(&Phase) -> f64| {
        median(stories.iter().map(|(story, _)| value(which(story))).collect())
    };
    let check = |what: &str, found: f64, known: f64| {
        assert!(
            (found / known - 1.0).abs() < 0.10,
            "{what}: {found:.4}, known {known}"
        );
    };
    check(
        "wait before, min",
        of(|story| &story.before, |phase| phase.wait_p90 / 60.0),
        7.0,
    );
    check(
        "wait during, min",
        of(|story| &story.during, |phase| phase.wait_p90 / 60.0),
        31.0,
    );
    check("GPUs before", of(|story| &story.before, |phase| phase.busy), 0.86);
    check("GPUs during", of(|story| &story.during, |phase| phase.busy), 0.54);
    check(
        "ECN before",
        of(|story| &story.before, |phase| phase.marks),
        0.002,
    );
    check(
        "ECN during",
        of(|story| &story.during, |phase| phase.marks),
        0.048,
    );
    check(
        "P99 before, ms",
        of(|story| &story.before, |phase| phase.p99 * 1e3),
        0.38,
    );
    check(
        "P99 during, ms",
        of(|story| &story.during, |phase| phase.p99 * 1e3),
        2.8,
    );
    // Allocation is flat: it is not what anybody would have noticed.
    let allocated = [
        of(|story| &story.before, |phase| phase.allocated),
        of(|story| &story.during, |phase| phase.allocated),
        of(|story| &story.after, |phase| phase.allocated),
    ];
    assert!(
        allocated.iter().all(|part| (0.90..=1.0).contains(part)),
        "{allocated:?}"
    );
    // The others are back; the queue is not, an hour after the rollback.
    assert!(of(|story| &story.after, |phase| phase.p99 * 1e3) < 0.5);
    assert!(of(|story| &story.after, |phase| phase.marks) < 0.004);
    assert!(of(|story| &story.after, |phase| phase.busy) > 0.80);
    let still = stories
        .iter()
        .filter(|(story, _)| story.after.wait_p90 > 600.0)
        .count();
    assert!(still >= 18, "in breach at the end in {still} of 20");
    let onset = median(stories.iter().filter_map(|(_, onset)| *onset).collect());
    assert!((onset - ONSET).abs() < 600.0, "onset {:.2} h", onset / 3_600.0);
}

#[test]
fn the_onset_follows_from_the_buffers_filling_and_nothing_else() {
    let onset = |factor: f64| {
        let usual = Parameters::default();
        let parameters = Parameters {
            fill_per_hour: usual.fill_per_hour * factor,
            ..usual
        };
        // The rollback would come before a later onset.
        model(3, parameters, &[Cause::Rollback], PREFETCH_ON + 6.0 * 3_600.0)
            .onset()
            .map(|onset| onset - PREFETCH_ON)
    };
    let (usual, halved, doubled) = (onset(1.0), onset(0.5), onset(2.0));
    let usual = usual.expect("an incident");
    let halved = halved.expect("an incident, later");
    let doubled = doubled.expect("an incident, earlier");
    assert!((1.7..2.3).contains(&(halved / usual)), "{usual} {halved}");
    assert!((0.35..0.65).contains(&(doubled / usual)), "{usual} {doubled}");
}

#[test]
fn without_the_change_there_is_no_incident() {
    let runs = each_seed(1..=4, |seed| {
        let model = model(seed, Parameters::default(), &[Cause::Prefetch], PRESENT + STEP);
        (model.onset(), model.story_figures())
    });
    for (onset, story) in runs {
        assert_eq!(onset, None);
        assert!(story.during.p99 < 0.000_5 && story.during.marks < 0.004 && story.during.busy > 0.82);
    }
}

#[test]
fn without_the_rollback_it_goes_on() {
    let model = model(2, Parameters::default(), &[Cause::Rollback], PRESENT + STEP);
    let after = model.phase(PRESENT - 900.0, PRESENT);
    assert!(
        after.p99 > 0.002 && after.marks > 0.03 && after.busy < 0.65,
        "{after:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_pod_however_it_is_reached_and_another_another() {
    let until = BEGIN + 3.0 * 3_600.0;
    let once = model(5, Parameters::default(), &[], until);
    let mut pieces = model(5, Parameters::default(), &[], BEGIN + 100.0);
    while pieces.end() < until {
        pieces.extend(pieces.end() + 70.0);
    }
    let jobs = once.jobs().len().min(pieces.jobs().len());
    assert!(jobs > 100);
    for (a, b) in once.steps().iter().zip(pieces.steps()) {
        assert_eq!(a.physics, b.physics);
        assert_eq!(a.allocated, b.allocated);
    }
    let other = model(6, Parameters::default(), &[], until);
    assert_ne!(once.steps()[500].physics, other.steps()[500].physics);
}

#[test]
fn no_gpu_is_given_twice_and_jobs_run_only_where_they_may() {
    let model = model(1, Parameters::default(), &[], ROLLBACK);
    let partitions = model.topology().partitions();
    let mut seen = 0;
    for node in 0..model.topology().nodes() {
        for step in (0..model.steps().len()).step_by(97) {
            let mut held = std::collections::BTreeMap::new();
            for job in model.slots(node, step).flatten() {
                *held.entry(job).or_insert(0usize) += 1;
            }
            for (job, gpus) in held {
                let job = &model.jobs()[job];
                seen += 1;
                assert_eq!(gpus, job.gpus.min(8), "{job:?}");
                let partition = partitions.iter().find(|part| part.name == job.partition);
                assert!(
                    partition.is_some_and(|part| part.nodes.contains(&node)),
                    "{job:?}"
                );
            }
        }
    }
    assert!(seen > 1_000, "{seen}");
    let ended = model
        .jobs()
        .iter()
        .filter(|job| job.end.is_some() && job.start.is_some());
    let (mut small, mut failed) = (0, 0);
    for job in ended {
        small += usize::from(job.class == Class::Small);
        failed += usize::from(job.how == jobs::End::Failed);
        assert!(job.end >= job.start && job.start >= Some(job.eligible), "{job:?}");
    }
    assert!(small > 2_000 && failed > 50, "{small} {failed}");
}
