//! Integrals over the trajectory: what counters have counted at a moment, per node and for the whole pod, exact however
//! often they are asked for. Rates hold for a step of the model; sums are kept per minute and completed from the steps.

use super::model::Model;
use super::model::parameters::Class;
use super::model::physics::{FRAME, STEP};
use crate::noise::unit;

/// Steps between two kept sums.
const EVERY: usize = 6;
/// Bytes of a read and of a write over NVMe-oF.
pub const READ_BYTES: f64 = 131_072.0;
pub const WRITE_BYTES: f64 = 262_144.0;
/// Seconds a write takes: into the write buffer, which the incident leaves alone.
pub const WRITE_SECONDS: f64 = 0.000_21;

macro_rules! sums {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $field:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: f64,)+
        }

        impl $name {
            /// Adds so many seconds of rates.
            fn add(&mut self, rates: &Self, seconds: f64) {
                $(self.$field += rates.$field * seconds;)+
            }

            /// What was counted since.
            pub fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field - before.$field,)+ }
            }

            /// In `seconds` of another clock.
            pub fn scaled(&self, factor: f64) -> Self {
                Self { $($field: self.$field * factor,)+ }
            }

            pub fn plus(&self, other: &Self) -> Self {
                Self { $($field: self.$field + other.$field,)+ }
            }
        }
    };
}

sums! {
    /// Of one node, or its rates per second.
    NodeSums {
        /// Bytes read from and written to the storage cluster.
        reads,
        /// Bytes written to it.
        writes,
        /// Bytes of collectives, in each direction, over all adapters.
        collective,
        /// Marked frames received: of storage, and of collectives.
        marked_storage,
        /// Marked frames received of collectives.
        marked_collective,
        /// Seconds in which an adapter that carries storage was told to stop.
        paused,
        /// Seconds of the other adapters.
        paused_others,
        /// Seconds in which the node told the network to stop.
        pausing,
        /// Seconds spent in reads, added up over reads.
        read_seconds,
        /// Acknowledgements that came too late, and packets sent again.
        timeouts,
        /// Seconds of busy GPUs.
        busy,
    }
}

sums! {
    /// Of the whole pod, or its rates per second.
    PodSums {
        /// Bytes read by clients.
        reads,
        /// Bytes read from SSD.
        behind,
        /// Bytes written by clients.
        writes,
        /// Bytes of collectives.
        collective,
        /// Marked frames among the clients' reads, per hop.
        marked_reads,
        /// Marked frames on the ports towards front ends.
        marked_behind,
        /// Marked frames of collectives, per hop.
        marked_collective,
        /// Seconds that a port which carries storage sent pauses, and received them.
        paused,
        /// Seconds of the other ports.
        paused_others,
        /// Seconds spent in reads inside the storage cluster, added up over reads.
        server_seconds,
        /// Reads answered from the read-ahead buffer.
        hits,
    }
}

/// Kept sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    pod: Vec<PodSums>,
    nodes: Vec<Vec<NodeSums>>,
    /// Steps summed up.
    steps: usize,
    now: (PodSums, Vec<NodeSums>),
}

/// The pod's rates in a step.
pub(crate) fn pod_rates(model: &Model, step: usize) -> PodSums {
    let physics = &model.steps()[step].physics;
    PodSums {
        reads: physics.reads,
        behind: physics.behind(),
        writes: physics.writes,
        collective: physics.collective,
        marked_reads: physics.reads / FRAME * physics.marks_storage,
        marked_behind: (physics.behind() + physics.writes) / FRAME * physics.marks_storage,
        marked_collective: physics.collective / FRAME * physics.marks_other,
        paused: physics.pause,
        paused_others: physics.pause * 0.2,
        server_seconds: physics.reads / READ_BYTES * physics.server_latency,
        hits: physics.reads / READ_BYTES * physics.hits,
    }
}

/// GPUs of a node by class.
pub(crate) fn classes(model: &Model, node: usize, step: usize) -> [f64; 4] {
    let mut count = [0.0; 4];
    for job in model.slots(node, step).flatten() {
        count[model.jobs()[job].class.at()] += 1.0;
    }
    count
}

/// A node's rates in a step, from what runs on it.
pub(crate) fn node_rates(model: &Model, node: usize, step: usize) -> NodeSums {
    node_rates_of(model, node, step, &classes(model, node, step))
}

fn node_rates_of(model: &Model, node: usize, step: usize, here: &[f64; 4]) -> NodeSums {
    let state = &model.steps()[step];
    let physics = &state.physics;
    let share = |of: fn(&super::model::parameters::Habits) -> f64| {
        let (mut mine, mut all) = (0.0, 0.0);
        for class in Class::ALL {
            let at = class.at();
            let each = of(&model.parameters().habits[at]) * physics.speed[at];
            mine += here[at] * each;
            all += state.running[at] * each;
        }
        if all > 0.0 { mine / all } else { 0.0 }
    };
    let uneven = 0.8 + 0.4 * unit(0x6e6f_6465 + node as u64, 1, step as u64 / 3);
    let reads = physics.reads * share(|habits| habits.reads) * uneven;
    let collective = physics.collective * share(|habits| habits.collective);
    let active = if reads > 0.0 { 1.0 } else { 0.0 };
    let waiting = 0.6 + 0.8 * unit(0x6e6f_6465 + node as u64, 2, step as u64 / 6);
    NodeSums {
        reads,
        writes: physics.writes * share(|habits| habits.writes),
        collective,
        marked_storage: reads / FRAME * physics.marks_storage,
        marked_collective: collective / FRAME * physics.marks_other,
        paused: (physics.pause * waiting).min(1.0) * active,
        paused_others: (physics.pause * 0.2 * waiting).min(1.0) * active,
        pausing: 0.000_05 * active,
        read_seconds: reads / READ_BYTES * physics.latency,
        timeouts: reads / READ_BYTES * 1e-7 * (physics.latency / 0.000_16).powi(3),
        busy: Class::ALL
            .iter()
            .map(|class| here[class.at()] * physics.busy[class.at()])
            .sum(),
    }
}

impl Flows {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            pod: vec![PodSums::default()],
            nodes: vec![vec![NodeSums::default()]; nodes],
            steps: 0,
            now: (PodSums::default(), vec![NodeSums::default(); nodes]),
        }
    }

    /// Sums up what the model has gone on by.
    pub(crate) fn extend(&mut self, model: &Model) {
        let nodes = self.nodes.len();
        while self.steps < model.steps().len() {
            let step = self.steps;
            self.now.0.add(&pod_rates(model, step), STEP);
            for node in 0..nodes {
                self.now.1[node].add(&node_rates(model, node, step), STEP);
            }
            self.steps += 1;
            if self.steps.is_multiple_of(EVERY) {
                self.pod.push(self.now.0);
                for (kept, sums) in self.nodes.iter_mut().zip(&self.now.1) {
                    kept.push(*sums);
                }
            }
        }
    }

    /// The kept sums before a moment, the whole steps since, and seconds into the step after those.
    fn place(&self, model: &Model, at: f64) -> (usize, std::ops::Range<usize>, f64) {
        let since = (at - super::model::story::BEGIN).max(0.0);
        let step = ((since / STEP) as usize).min(self.steps);
        let into = if step < model.steps().len() {
            (since - step as f64 * STEP).clamp(0.0, STEP)
        } else {
            0.0
        };
        let kept = (step / EVERY).min(self.pod.len() - 1);
        (kept, kept * EVERY..step, into)
    }

    /// What the pod has counted at a moment.
    pub(crate) fn pod_at(&self, model: &Model, at: f64) -> PodSums {
        let (kept, steps, into) = self.place(model, at);
        let mut sums = self.pod[kept];
        let last = steps.end;
        for step in steps {
            sums.add(&pod_rates(model, step), STEP);
        }
        if into > 0.0 {
            sums.add(&pod_rates(model, last), into);
        }
        sums
    }

    /// What a node has counted at a moment.
    pub(crate) fn node_at(&self, model: &Model, node: usize, at: f64) -> NodeSums {
        let (kept, steps, into) = self.place(model, at);
        let mut sums = self.nodes[node][kept];
        let last = steps.end;
        for step in steps {
            sums.add(&node_rates(model, node, step), STEP);
        }
        if into > 0.0 {
            sums.add(&node_rates(model, node, last), into);
        }
        sums
    }
}
