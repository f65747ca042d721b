//! The four figures the incident is known by, taken from the trajectory by the definitions the panels use.

use super::Model;
use super::latency::quantile;
use super::physics::STEP;
use super::story::{ONSET, PREFETCH_ON, PRESENT, ROLLBACK};

/// The figures at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// P90 of the queue wait over an hour, pending jobs censored; seconds. `None` where the window does not reach it.
    pub wait_p90: Option<f64>,
    /// Mean utilisation over allocated GPUs, 0 to 1.
    pub busy: f64,
    /// ECN marks per frame of the RoCE class, sums over the pod, over a minute.
    pub marks: f64,
    /// P99 of the NVMe-oF latency over five minutes, all nodes' buckets added up; seconds.
    pub p99: f64,
    /// Allocated GPUs per available GPU.
    pub allocated: f64,
}

/// The figures of a stretch of time: medians of its minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    pub wait_p90: f64,
    pub busy: f64,
    pub marks: f64,
    pub p99: f64,
    pub allocated: f64,
}

/// Before, during and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Story {
    /// The two hours before the change.
    pub before: Phase,
    /// The last half hour before the rollback; of the wait, which lags, the highest from the onset to the present.
    pub during: Phase,
    /// The last quarter of an hour before the present.
    pub after: Phase,
}

/// The middle of some values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

impl Model {
    /// The figures at a moment the trajectory has reached.
    pub fn figures(&self, at: f64) -> Figures {
        let last = self.step_at(at - STEP);
        let back = |steps: usize| last.saturating_sub(steps - 1)..=last;
        let steps = self.steps();
        let (mut marked, mut frames, mut busy) = (0.0, 0.0, 0.0);
        for step in &steps[back(6)] {
            let physics = &step.physics;
            frames += physics.frames_storage + physics.frames_other;
            marked += physics.marks() * (physics.frames_storage + physics.frames_other);
            busy += step.busy() / 6.0;
        }
        let mut counts = vec![0.0; super::latency::BOUNDS.len() + 1];
        for step in &steps[back(30)] {
            for (count, share) in counts.iter_mut().zip(&step.shares) {
                *count += f64::from(*share) * step.physics.reads;
            }
        }
        let step = &steps[last];
        Figures {
            wait_p90: self.waits(at, |_| true).quantile(0.9),
            busy,
            marks: if frames > 0.0 { marked / frames } else { 0.0 },
            p99: quantile(0.99, &counts).unwrap_or(f64::NAN),
            allocated: step.allocated as f64 / step.available.max(1) as f64,
        }
    }

    /// The medians of a stretch, a value per minute.
    pub fn phase(&self, from: f64, until: f64) -> Phase {
        let mut list = Vec::new();
        let mut at = from;
        while at <= until {
            list.push(self.figures(at));
            at += 60.0;
        }
        let of = |value: fn(&Figures) -> f64| median(list.iter().map(value).collect());
        Phase {
            wait_p90: of(|figures| figures.wait_p90.unwrap_or(f64::INFINITY)),
            busy: of(|figures| figures.busy),
            marks: of(|figures| figures.marks),
            p99: of(|figures| figures.p99),
            allocated: of(|figures| figures.allocated),
        }
    }

    /// Before, during and after the incident; the trajectory must reach the present.
    pub fn story_figures(&self) -> Story {
        let mut during = self.phase(ROLLBACK - 1_800.0, ROLLBACK);
        let mut worst = 0.0f64;
        let mut at = ONSET;
        while at <= PRESENT {
            worst = worst.max(self.figures(at).wait_p90.unwrap_or(0.0));
            at += 60.0;
        }
        during.wait_p90 = worst;
        Story {
            before: self.phase(PREFETCH_ON - 7_200.0, PREFETCH_ON),
            during,
            after: self.phase(PRESENT - 900.0, PRESENT),
        }
    }

    /// When the marks first exceed 1 % for five minutes: the onset as the fabric shows it.
    pub fn onset(&self) -> Option<f64> {
        let mut lasting = 0;
        for (at, step) in self.steps().iter().enumerate() {
            lasting = if step.physics.marks() > 0.01 {
                lasting + 1
            } else {
                0
            };
            if lasting == 30 {
                return Some(super::story::BEGIN + (at + 1 - 30) as f64 * STEP);
            }
        }
        None
    }
}
