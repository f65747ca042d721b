//! `podscope verify --scenario sev1`: whether the simulated incident shows the figures it is known by.
//!
//! The figures are computed on the model's trajectory, by the definitions of the panels: no node is started for it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use clap::ValueEnum;
use podscope_sim::pod::model::Model;
use podscope_sim::pod::model::figures::{Phase, Story as Figures, median};
use podscope_sim::pod::model::parameters::Parameters;
use podscope_sim::pod::model::physics::STEP;
use podscope_sim::pod::model::story::{PRESENT, Story};
use podscope_sim::pod::topology::Topology;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ScenarioName {
    /// Aggressive prefetch fills a buffer for two hours, and then everything is slow.
    Sev1,
}

/// How far a figure may be from the known one.
const TOLERANCE: f64 = 0.10;

/// A figure: what it is, how it is taken, and what is known of it before and during the incident.
struct Known {
    name: &'static str,
    unit: &'static str,
    value: fn(&Phase) -> f64,
    before: f64,
    during: f64,
}

const KNOWN: [Known; 4] = [
    Known {
        name: "queue wait, P90 over 60 min, censored",
        unit: "min",
        value: |phase| phase.wait_p90 / 60.0,
        before: 7.0,
        during: 31.0,
    },
    Known {
        name: "GPU utilisation, mean over allocated GPUs",
        unit: "%",
        value: |phase| phase.busy * 100.0,
        before: 86.0,
        during: 54.0,
    },
    Known {
        name: "ECN marks, RoCE class, ratio of sums",
        unit: "%",
        value: |phase| phase.marks * 100.0,
        before: 0.2,
        during: 4.8,
    },
    Known {
        name: "NVMe-oF latency, P99 of merged buckets",
        unit: "ms",
        value: |phase| phase.p99 * 1e3,
        before: 0.38,
        during: 2.8,
    },
];

/// A seed's figures, and its onset in seconds of the scenario's day.
type Run = (u64, Figures, Option<f64>);

fn play(seeds: u64) -> Vec<Run> {
    let next = Mutex::new(1..=seeds);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.lock().ok().and_then(|mut seeds| seeds.next());
                    let Some(seed) = seed else { return };
                    let mut model = Model::new(
                        seed,
                        &Topology::default(),
                        Parameters::default(),
                        Story::default(),
                    );
                    model.extend(PRESENT + STEP);
                    if let Ok(mut done) = done.lock() {
                        done.push((seed, model.story_figures(), model.onset()));
                    }
                }
            });
        }
    });
    let mut runs = done.into_inner().unwrap_or_default();
    runs.sort_by_key(|(seed, _, _)| *seed);
    runs
}

/// Prints the figures; whether all are within the tolerance as medians of the seeds.
pub(crate) fn verify(seeds: u64, out: &mut impl Write) -> anyhow::Result<bool> {
    let seeds = seeds.clamp(1, 1_000);
    let runs = play(seeds);
    writeln!(
        out,
        "scenario sev1, {seeds} seed{}: medians, from the model's trajectory by the panels' definitions",
        if seeds == 1 { "" } else { "s" }
    )?;
    writeln!(
        out,
        "causes: spines replaced 16:26 the day before, prefetch ENABLED 06:26, rollback 09:41; nothing else is scripted"
    )?;
    let clock = |seconds: f64| {
        let minutes = (seconds / 60.0).round() as i64;
        format!("{:02}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
    };
    let onsets: Vec<f64> = runs.iter().filter_map(|(_, _, onset)| *onset).collect();
    if onsets.is_empty() {
        writeln!(out, "FAIL  onset: no incident")?;
    } else {
        writeln!(
            out,
            "onset (ECN marks above 1 % for 5 min): {}, known 08:26",
            clock(median(onsets))
        )?;
    }
    let mut good = !runs.is_empty();
    for known in &KNOWN {
        let of = |which: fn(&Figures) -> &Phase| {
            median(
                runs.iter()
                    .map(|(_, story, _)| (known.value)(which(story)))
                    .collect(),
            )
        };
        let found = [
            (of(|story| &story.before), known.before),
            (of(|story| &story.during), known.during),
        ];
        let within = found
            .iter()
            .all(|(found, known)| (found / known - 1.0).abs() <= TOLERANCE);
        good &= within;
        writeln!(
            out,
            "{}  {:<42} before {:>6.2} (known {}), during {:>6.2} (known {}), after {:>6.2} {}",
            if within { "ok  " } else { "FAIL" },
            known.name,
            found[0].0,
            known.before,
            found[1].0,
            known.during,
            of(|story| &story.after),
            known.unit,
        )?;
    }
    let allocated = |which: fn(&Figures) -> &Phase| {
        median(
            runs.iter()
                .map(|(_, story, _)| which(story).allocated * 100.0)
                .collect(),
        )
    };
    writeln!(
        out,
        "GPUs allocated: {:.0} %, {:.0} %, {:.0} %: flat",
        allocated(|story| &story.before),
        allocated(|story| &story.during),
        allocated(|story| &story.after)
    )?;
    let breached = runs
        .iter()
        .filter(|(_, story, _)| story.after.wait_p90 > 600.0)
        .count();
    writeln!(
        out,
        "queue still in breach an hour after the rollback: {breached} of {} seeds",
        runs.len()
    )?;
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_out_is_said_and_fails_the_check() {
        // One seed of twenty may well be out; what matters is that the words and the answer agree.
        let mut text = Vec::new();
        let good = verify(1, &mut text).expect("memory can be written to");
        let text = String::from_utf8(text).expect("text");
        assert_eq!(good, !text.contains("FAIL"), "{text}");
        let told = KNOWN.iter().filter(|known| text.contains(known.name)).count();
        assert_eq!(told, 4, "{text}");
    }
}
