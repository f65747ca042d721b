//! Every number of the model, with its unit and why it has this value. docs/scenario.md explains the equations.
//!
//! Values marked *set* were chosen so that the calm pod and the incident show the figures the scenario is known by; the
//! others are ordinary for the hardware. Rates are per GPU at full speed unless said otherwise.

/// What a job is, as far as the model cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Inference that stays for days.
    Service,
    /// Pre-training over many nodes for days: the whales' runs.
    Pretrain,
    /// Fine-tuning on whole nodes for an hour or two.
    Tune,
    /// A few GPUs of one node for some minutes.
    Small,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Service, Self::Pretrain, Self::Tune, Self::Small];

    pub(crate) fn at(self) -> usize {
        self as usize
    }
}

/// What a class asks for and suffers, per GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// Mean GPU utilisation when nothing is slow, 0 to 1.
    pub busy: f64,
    /// Part of the power budget a busy second takes, 0 to 1.
    pub intensity: f64,
    /// Client reads from the storage cluster, bytes per second.
    pub reads: f64,
    /// Client writes (checkpoints, averaged), bytes per second.
    pub writes: f64,
    /// Traffic between nodes, bytes per second and adapter.
    pub collective: f64,
    /// How much a step lengthens per unit of relative latency above what loaders hide.
    pub starves: f64,
    /// How much a step lengthens per unit of ECN mark ratio (congestion control slows senders).
    pub throttles: f64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    pub habits: [Habits; 4],
    /// Part of the front ends' read-ahead buffer that data in use occupies in the mean; the rest is the slack that
    /// speculative data may fill without harm. *set*
    pub hot: f64,
    /// Part of the buffer that aggressive prefetch fills per hour at the calm demand: with `hot` it decides how long after
    /// the change the slack is gone. *set* (0.42 of the buffer in two hours)
    pub fill_per_hour: f64,
    /// Seconds in which speculative data that nobody asked for is dropped once prefetch is off.
    pub drain_seconds: f64,
    /// Overflow (part of the buffer) at which read-ahead evicts everything before it is read.
    pub thrash_width: f64,
    /// Bytes read from SSD and never asked for, per byte asked for: without aggressive prefetch, with it, and more at full
    /// overflow. *set*
    pub waste: [f64; 3],
    /// Part of the reads answered from the read-ahead buffer: without aggressive prefetch, with it while there is slack, and
    /// at full overflow.
    pub hits: [f64; 3],
    /// What the SSDs deliver, bytes per second, for the default pod. *set*
    pub ssd_capacity: f64,
    /// What the ports of the storage cluster carry in both directions before bursts collide, bytes per second. *set*
    pub storage_ports: f64,
    /// By how much a port's bursts exceed its mean: of large sequential reads, and of many small ones at full overflow, when
    /// front ends ask for the same bytes again at once (incast). *set*
    pub bursts: [f64; 2],
    /// Seconds: median service time of a read from the buffer and from SSD on an idle system, and the logarithms' spread.
    pub hit_seconds: f64,
    pub miss_seconds: f64,
    pub spread: f64,
    /// Weight of queueing at the SSDs: `1 + weight * rho^5 / (1 - rho)`. *set*
    pub queueing: f64,
    /// Seconds that every read waits per unit of ECN mark ratio on the storage ports.
    pub network_seconds: f64,
    /// Largest mark ratio of the switches' WRED profile, and how steeply marks follow utilisation.
    pub mark_most: f64,
    pub mark_power: i32,
    /// Part of the storage ports' congestion that other RoCE traffic meets on shared uplinks. *set*
    pub shared: f64,
    /// Marks that collectives cause by themselves.
    pub mark_floor: f64,
    /// Pause time per unit of mark ratio above `pause_above`.
    pub pause_per_mark: f64,
    pub pause_above: f64,
    /// Relative latency that loaders hide with batches read ahead.
    pub hidden: f64,
    /// Seconds with which GPUs follow (batches in flight), and queues build up.
    pub gpu_lag: f64,
    pub queue_lag: f64,
    /// Small jobs that arrive from people per minute, for 200 GPUs left to them. *set*
    pub arrivals_per_minute: f64,
    /// Parameter sweeps look at the queue every few seconds and submit their next job while fewer jobs than this wait: they
    /// use what others leave, and keep away when it is busy. *set*
    pub sweep_below: f64,
    /// Fine-tuning jobs that arrive per hour.
    pub tunes_per_hour: f64,
    /// Mean minutes of work of a small job and of a fine-tuning job.
    pub small_minutes: f64,
    pub tune_minutes: f64,
    /// Seconds that epilog and health check hold the GPUs after a job.
    pub epilog_seconds: f64,
    /// Amplitude of the day's wave in arrivals and in inference.
    pub diurnal_jobs: f64,
    pub diurnal_service: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        const GB: f64 = 1e9;
        Self {
            habits: [
                Habits {
                    busy: 0.80,
                    intensity: 0.62,
                    reads: 0.02 * GB,
                    writes: 0.0,
                    collective: 0.0,
                    starves: 0.02,
                    throttles: 0.0,
                },
                Habits {
                    busy: 0.95,
                    intensity: 0.92,
                    reads: 0.12 * GB,
                    writes: 0.03 * GB,
                    collective: 12.0 * GB,
                    starves: 0.17,
                    throttles: 1.0,
                },
                Habits {
                    busy: 0.92,
                    intensity: 0.86,
                    reads: 0.15 * GB,
                    writes: 0.02 * GB,
                    collective: 6.0 * GB,
                    starves: 0.17,
                    throttles: 0.8,
                },
                Habits {
                    busy: 0.86,
                    intensity: 0.78,
                    reads: 0.15 * GB,
                    writes: 0.01 * GB,
                    collective: 0.0,
                    starves: 0.215,
                    throttles: 0.0,
                },
            ],
            hot: 0.55,
            fill_per_hour: 0.228,
            drain_seconds: 300.0,
            thrash_width: 0.05,
            waste: [0.06, 0.15, 2.9],
            hits: [0.82, 0.86, 0.28],
            ssd_capacity: 180.0 * GB,
            storage_ports: 320.0 * GB,
            bursts: [1.5, 1.675],
            hit_seconds: 0.000_130,
            miss_seconds: 0.000_187,
            spread: 0.36,
            queueing: 3.6,
            network_seconds: 0.001_2,
            mark_most: 0.25,
            mark_power: 10,
            shared: 0.45,
            mark_floor: 0.0003,
            pause_per_mark: 0.25,
            pause_above: 0.01,
            hidden: 1.6,
            gpu_lag: 60.0,
            queue_lag: 30.0,
            arrivals_per_minute: 3.76,
            sweep_below: 16.0,
            tunes_per_hour: 3.3,
            small_minutes: 20.0,
            tune_minutes: 90.0,
            epilog_seconds: 30.0,
            diurnal_jobs: 0.03,
            diurnal_service: 0.25,
        }
    }
}
