//! Storage, fabric and GPUs in steps of ten seconds: how the demand of the running jobs and the state of the read-ahead
//! buffer become latency, marks, pauses and stalls. docs/scenario.md writes the same down as equations.

use super::latency::Part;
use super::parameters::{Class, Parameters};
use super::random::Random;

/// Length of a step in seconds.
pub const STEP: f64 = 10.0;

/// What is done to the pod from outside, at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Causes {
    /// Part of the front ends on which aggressive prefetch is on.
    pub prefetch: f64,
    /// Part of fabric `a`'s uplinks that carry traffic.
    pub uplinks: f64,
}

/// What runs: GPUs by class.
pub type Running = [f64; 4];

/// The pod at a step. Rates hold for the step; sizes of the default pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Physics {
    /// Part of the read-ahead buffer filled with data nobody has asked for yet.
    pub speculative: f64,
    /// Part of the buffer that data in use occupies.
    pub hot: f64,
    /// How far what is in the buffer exceeds it, 0 to 1 of the thrash width.
    pub overflow: f64,
    /// Part of the reads answered from the buffer.
    pub hits: f64,
    /// Bytes read from SSD per byte read by clients.
    pub amplification: f64,
    /// Bytes per second, clients' reads and writes.
    pub reads: f64,
    pub writes: f64,
    /// Part of the SSDs' throughput in use.
    pub ssd_busy: f64,
    /// Latency of reads from the buffer and from SSD.
    pub parts: [Part; 2],
    /// Mean latency as clients see it, and the part of it spent in the storage cluster; seconds.
    pub latency: f64,
    pub server_latency: f64,
    /// Part of the storage ports' throughput in use.
    pub ports_busy: f64,
    /// Mark ratio of RoCE frames on ports that carry storage, and on the others.
    pub marks_storage: f64,
    pub marks_other: f64,
    /// Bytes per second that collectives send between nodes.
    pub collective: f64,
    /// RoCE frames per second of both, over every egress of every switch.
    pub frames_storage: f64,
    pub frames_other: f64,
    /// Part of the time in which the network stops an adapter (and, on the switch, sends pauses).
    pub pause: f64,
    /// Utilisation and speed by class, 0 to 1; speed 1 is what the class does when nothing is slow.
    pub busy: [f64; 4],
    pub speed: [f64; 4],
    /// Part of the time in which collectives wait for the network.
    pub fabric_stall: [f64; 4],
    /// Slow noise of demand, and fast noise of the ports.
    noise: [f64; 2],
    queued: f64,
}

/// Bytes of a RoCE frame with a full payload.
pub const FRAME: f64 = 4_200.0;
/// Part of the storage reads, and of the collectives, that crosses a spine: up from one leaf, down to another.
pub const STORAGE_CROSSES: f64 = 0.75;
pub const COLLECTIVE_CROSSES: f64 = 0.3;

impl Physics {
    /// The pod at rest.
    pub fn calm(parameters: &Parameters) -> Self {
        Self {
            hot: parameters.hot,
            hits: parameters.hits[0],
            amplification: 1.0 + parameters.waste[0],
            queued: 1.0,
            busy: parameters.habits.map(|habits| habits.busy),
            speed: [1.0; 4],
            ..Self::default()
        }
    }

    /// Bytes per second that the front ends fetch from SSD.
    pub fn behind(&self) -> f64 {
        self.reads * self.amplification
    }

    /// Mark ratio of the pod's RoCE class: a ratio of sums.
    pub fn marks(&self) -> f64 {
        let frames = self.frames_storage + self.frames_other;
        if frames <= 0.0 {
            return 0.0;
        }
        (self.marks_storage * self.frames_storage + self.marks_other * self.frames_other) / frames
    }

    /// One step on. `size` is the pod's size relative to the default, `hour` the hour of the day.
    pub(crate) fn step(
        &mut self,
        parameters: &Parameters,
        running: &Running,
        causes: Causes,
        (size, hour): (f64, f64),
        random: &mut Random,
    ) {
        self.ask(parameters, running, random);
        self.fill(parameters, causes, size);
        self.serve(parameters, causes, running, size);
        self.stall(parameters, hour);
    }

    /// What the jobs read and write. A GPU that waits asks for less.
    fn ask(&mut self, parameters: &Parameters, running: &Running, random: &mut Random) {
        self.noise[0] +=
            -self.noise[0] * STEP / 300.0 + 0.04 * (2.0 * STEP / 300.0f64).sqrt() * random.normal();
        self.noise[1] = 0.03 * random.normal();
        let ripple = (1.0 + self.noise[0]).clamp(0.7, 1.3);
        let sum = |of: fn(&super::parameters::Habits) -> f64| -> f64 {
            let each = Class::ALL.iter().map(|class| {
                let at = class.at();
                running[at] * of(&parameters.habits[at]) * self.speed[at]
            });
            each.sum()
        };
        let (reads, writes) = (sum(|habits| habits.reads), sum(|habits| habits.writes));
        (self.reads, self.writes) = (reads * ripple, writes * ripple);
    }

    /// The read-ahead buffer: the state variable that carries the cause over two hours.
    fn fill(&mut self, parameters: &Parameters, causes: Causes, size: f64) {
        let calm = 60e9 * size;
        let hours = STEP / 3_600.0;
        let demand = (self.reads / calm).clamp(0.0, 2.0);
        self.hot = parameters.hot * (0.9 + 0.1 * demand);
        let on = causes.prefetch;
        let filling = parameters.fill_per_hour * on * demand * hours;
        let dropped = self.speculative * (1.0 - on) * (1.0 - (-STEP / parameters.drain_seconds).exp());
        let most = 1.0 - self.hot + parameters.thrash_width;
        self.speculative = (self.speculative + filling - dropped).clamp(0.0, most.max(0.0));
        let over = self.speculative - (1.0 - self.hot);
        self.overflow = (over / parameters.thrash_width).clamp(0.0, 1.0);
        let over = self.overflow;
        let [plain, ahead, thrash] = parameters.waste;
        self.amplification = 1.0 + plain + on * (ahead - plain) + over * (thrash - ahead);
        let [plain, ahead, thrash] = parameters.hits;
        self.hits = plain + on * (ahead - plain) + over * (thrash - ahead);
    }

    /// Latency, marks and pauses under that load.
    fn serve(&mut self, parameters: &Parameters, causes: Causes, running: &Running, size: f64) {
        let ssd = self.behind() + 1.5 * self.writes;
        self.ssd_busy = (ssd / (parameters.ssd_capacity * size)).min(0.96);
        let rho = self.ssd_busy;
        let target = 1.0 + parameters.queueing * rho.powi(5) / (1.0 - rho);
        self.queued += (target - self.queued) * (1.0 - (-STEP / parameters.queue_lag).exp());
        // What clients read leaves a front end's ports, what SSDs deliver enters them.
        let storage = self.reads + self.behind() + 2.0 * self.writes;
        let [usual, incast] = parameters.bursts;
        let burst = usual + (incast - usual) * self.overflow;
        let busy = burst * storage / (parameters.storage_ports * size) * (1.0 + self.noise[1]);
        self.ports_busy = busy.clamp(0.0, 0.98);
        let marks = parameters.mark_most * self.ports_busy.powi(parameters.mark_power);
        // Fewer uplinks carry the same traffic.
        let missing = (1.0 - causes.uplinks).clamp(0.0, 0.9);
        self.marks_storage = marks * (1.0 + missing);
        self.marks_other =
            parameters.mark_floor + parameters.shared * self.marks_storage + 0.012 * missing * missing;
        let collective: f64 = Class::ALL
            .iter()
            .map(|class| {
                let at = class.at();
                running[at] * parameters.habits[at].collective * self.speed[at]
            })
            .sum();
        self.collective = collective;
        self.frames_storage =
            (self.reads * (1.0 + 2.0 * STORAGE_CROSSES) + self.behind() + self.writes) / FRAME;
        self.frames_other = collective * (1.0 + 2.0 * COLLECTIVE_CROSSES) / FRAME;
        self.pause =
            0.000_2 + parameters.pause_per_mark * (self.marks_storage - parameters.pause_above).max(0.0);
        let network = parameters.network_seconds * self.marks_storage;
        let server = [
            Part {
                weight: self.hits,
                median: parameters.hit_seconds * (1.0 + 0.1 * (self.queued - 1.0)),
                spread: parameters.spread,
            },
            Part {
                weight: 1.0 - self.hits,
                median: parameters.miss_seconds * self.queued,
                spread: parameters.spread + 0.03 * (self.queued - 1.0).min(4.0),
            },
        ];
        self.server_latency = server.iter().map(|part| part.weight * part.mean()).sum();
        self.parts = server.map(|part| Part {
            median: part.median + network,
            ..part
        });
        self.latency = self.parts.iter().map(|part| part.weight * part.mean()).sum();
    }

    /// GPUs that wait for data or for the network.
    fn stall(&mut self, parameters: &Parameters, hour: f64) {
        let calm = calm_latency(parameters);
        let late = (self.latency / calm - parameters.hidden).max(0.0);
        let follow = 1.0 - (-STEP / parameters.gpu_lag).exp();
        let wave = parameters.diurnal_service * (std::f64::consts::TAU * (hour - 8.5) / 24.0).sin();
        for class in Class::ALL {
            let (at, habits) = (class.at(), &parameters.habits[class.at()]);
            let longer = 1.0 + habits.starves * late;
            let network = 1.0 + habits.throttles * self.marks_other;
            let usual = match class {
                Class::Service => habits.busy * (1.0 + wave),
                _ => habits.busy,
            };
            // Waiting for the network keeps a kernel running, waiting for data does not.
            self.busy[at] += (usual / longer - self.busy[at]) * follow;
            self.speed[at] += (1.0 / (longer * network) - self.speed[at]) * follow;
            self.fabric_stall[at] = 1.0 - 1.0 / network;
        }
    }
}

/// The mean latency against which lateness is measured: that of the calm pod.
fn calm_latency(parameters: &Parameters) -> f64 {
    let mean = |seconds: f64, weight: f64| {
        let part = Part {
            weight,
            median: seconds,
            spread: parameters.spread,
        };
        weight * part.mean()
    };
    let hits = parameters.hits[0];
    mean(parameters.hit_seconds, hits) + mean(parameters.miss_seconds * 1.1, 1.0 - hits)
}
