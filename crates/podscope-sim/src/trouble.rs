//! Troubles by name: what can go wrong with a simulated node for a while, in its past or present, as the hardware, the driver and the
//! kernel would show it. What counters counted stays counted when a trouble ends.

use podscope_collect::gpu::sim::{SimFault, SimGpu, SimGpus};

/// Declares the troubles with their names.
macro_rules! troubles {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Trouble {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Trouble {
            /// Every trouble.
            pub const ALL: &'static [Trouble] = &[$(Trouble::$name),+];

            /// The name it goes by on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What it is, in a sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

troubles! {
    /// The GPU runs at 87 °C.
    GpuHot = "gpu-hot";
    /// The GPU runs at 92 °C.
    GpuCritical = "gpu-critical";
    /// 98 % of the GPU's memory is in use.
    GpuMemoryFull = "gpu-memory-full";
    /// The GPU's free memory shrinks by 60 MiB a second until none is left.
    GpuMemoryGrowing = "gpu-memory-growing";
    /// The driver reports XID 48, a double-bit ECC error, when it begins.
    XidFatal = "xid-48";
    /// The driver reports XID 31, a page fault of an application's making, when it begins.
    XidApplication = "xid-31";
    /// XID 79: the GPU falls off the bus, and is back when it ends.
    GpuLost = "xid-79";
    /// An uncorrectable memory error every minute.
    EccDoubleBit = "ecc-double-bit";
    /// Ten corrected memory errors a minute.
    EccSingleBit = "ecc-single-bit";
    /// A memory row could not be remapped.
    RowRemapFailure = "row-remap-failure";
    /// Remapped rows wait for a reset.
    RowRemapPending = "row-remap-pending";
    /// Heat holds the clocks down for a fifth of the time.
    Throttle = "throttle";
    /// Two of the GPU's NVLinks are down.
    NvlinkDown = "nvlink-down";
    /// An NVLink recovers twice a minute.
    NvlinkErrors = "nvlink-errors";
    /// The PCIe link repeats a packet every second.
    PcieReplays = "pcie-replays";
    /// The PCIe link runs with half of its lanes.
    PcieWidth = "pcie-width";
    /// Persistence mode is off.
    PersistenceOff = "persistence-off";
    /// Every call into the GPU library answers an error.
    DriverFails = "driver-fails";
    /// The agent's process is not running.
    AgentDown = "agent-down";
    /// The root file system has 4 % free.
    DiskFull = "disk-full";
}

impl std::str::FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|trouble| trouble.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|trouble| trouble.name()).collect();
            format!("there is no trouble {text:?}; there are {}", names.join(", "))
        })
    }
}

/// A trouble of one node, and of one of its GPUs where it is about one, from a time to another (ms since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    pub trouble: Trouble,
    pub node: usize,
    pub gpu: usize,
    /// `from_ms <= t < to_ms`.
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Spell {
    fn lasts(&self, at_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }
}

/// What a GPU's counters have counted because of troubles, beside what its model counts.
#[derive(Clone, Copy, Debug, Default)]
struct Damage {
    corrected: f64,
    uncorrected: f64,
    thermal_ns: f64,
    recoveries: f64,
    replays: f64,
    memory_gone: f64,
}

/// The troubles of one node.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    spells: Vec<Spell>,
    damage: Vec<Damage>,
    begun: Vec<bool>,
}

impl Troubles {
    pub(crate) fn new(all: &[Spell], node: usize, gpus: usize) -> Self {
        let spells: Vec<Spell> = all.iter().filter(|spell| spell.node == node).copied().collect();
        Self {
            begun: vec![false; spells.len()],
            spells,
            damage: vec![Damage::default(); gpus],
        }
    }

    pub(crate) fn has(&self, trouble: Trouble, at_ms: i64) -> bool {
        self.spells
            .iter()
            .any(|spell| spell.trouble == trouble && spell.lasts(at_ms))
    }

    /// Applies what lasts at `at_ms`, `elapsed_ms` after the last time; to be called after the models have moved on.
    pub(crate) fn apply(&mut self, at_ms: i64, elapsed_ms: i64, gpus: &SimGpus) {
        if self.spells.is_empty() {
            return;
        }
        let seconds = elapsed_ms as f64 / 1000.0;
        gpus.change(|state| {
            state.broken = None;
            for gpu in &mut state.gpus {
                restore(gpu);
            }
            for (spell, begun) in self.spells.iter().zip(&mut self.begun) {
                if !spell.lasts(at_ms) {
                    continue;
                }
                let first = !std::mem::replace(begun, true);
                let Some(damage) = self.damage.get_mut(spell.gpu) else {
                    continue;
                };
                match spell.trouble {
                    Trouble::DriverFails => {
                        state.broken = Some("the driver answers: unknown error".to_owned());
                    }
                    Trouble::XidFatal if first => state.raise_xid(spell.gpu, 48),
                    Trouble::XidApplication if first => state.raise_xid(spell.gpu, 31),
                    Trouble::GpuLost if first => state.raise_xid(spell.gpu, 79),
                    _ => {}
                }
                if let Some(gpu) = state.gpus.get_mut(spell.gpu) {
                    afflict(spell.trouble, seconds, damage, gpu);
                }
            }
            for (gpu, damage) in state.gpus.iter_mut().zip(&self.damage) {
                count(damage, gpu);
            }
        });
    }
}

/// Undoes what troubles set and no model sets anew.
fn restore(gpu: &mut SimGpu) {
    gpu.faults.retain(|fault| *fault != SimFault::GpuLost);
    let readings = &mut gpu.readings;
    readings.remap_failure = Some(0.0);
    readings.remap_pending = Some(0.0);
    readings.nvlinks_active = readings.nvlinks;
    readings.pcie_link_width = readings.pcie_max_link_width;
    readings.persistence_mode = Some(1.0);
}

fn afflict(trouble: Trouble, seconds: f64, damage: &mut Damage, gpu: &mut SimGpu) {
    let readings = &mut gpu.readings;
    let total = readings.fb_used.unwrap_or(0.0) + readings.fb_free.unwrap_or(0.0);
    match trouble {
        Trouble::GpuHot => readings.gpu_temp = Some(87.0),
        Trouble::GpuCritical => readings.gpu_temp = Some(92.0),
        Trouble::GpuMemoryFull => {
            readings.fb_used = Some((total * 0.98).round());
            readings.fb_free = Some(total - (total * 0.98).round());
        }
        Trouble::GpuMemoryGrowing => {
            damage.memory_gone += 60.0 * seconds;
            let used = damage.memory_gone.min(total);
            readings.fb_used = Some(used.round());
            readings.fb_free = Some(total - used.round());
        }
        Trouble::GpuLost => gpu.faults.push(SimFault::GpuLost),
        Trouble::EccDoubleBit => damage.uncorrected += seconds / 60.0,
        Trouble::EccSingleBit => damage.corrected += seconds / 6.0,
        Trouble::RowRemapFailure => readings.remap_failure = Some(1.0),
        Trouble::RowRemapPending => readings.remap_pending = Some(1.0),
        Trouble::Throttle => damage.thermal_ns += 0.2 * seconds * 1e9,
        Trouble::NvlinkDown => {
            readings.nvlinks_active = readings.nvlinks.map(|links| (links - 2.0).max(0.0));
        }
        Trouble::NvlinkErrors => damage.recoveries += seconds / 30.0,
        Trouble::PcieReplays => damage.replays += seconds,
        Trouble::PcieWidth => {
            readings.pcie_link_width = readings.pcie_max_link_width.map(|lanes| lanes / 2.0);
        }
        Trouble::PersistenceOff => readings.persistence_mode = Some(0.0),
        Trouble::XidFatal
        | Trouble::XidApplication
        | Trouble::DriverFails
        | Trouble::AgentDown
        | Trouble::DiskFull => {}
    }
}

/// Puts what troubles counted on top of what the model counted.
fn count(damage: &Damage, gpu: &mut SimGpu) {
    let readings = &mut gpu.readings;
    let more = |reading: &mut Option<f64>, by: f64| {
        if by > 0.0 {
            *reading = reading.map(|value| value + by.floor());
        }
    };
    // The model sets these anew each time.
    more(&mut readings.ecc_sbe_volatile, damage.corrected);
    more(&mut readings.pcie_replay, damage.replays);
    more(&mut readings.thermal_violation, damage.thermal_ns);
    more(&mut readings.hw_therm_slowdown, 0.0);
    // And never touches these.
    readings.ecc_dbe_volatile = Some(damage.uncorrected.floor());
    readings.nvlink_recovery = Some(damage.recoveries.floor());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_has_a_name_of_its_own_and_a_sentence() {
        for (at, trouble) in Trouble::ALL.iter().enumerate() {
            assert_eq!(trouble.name().parse(), Ok(*trouble));
            assert!(trouble.about().ends_with('.'), "{}", trouble.about());
            assert!(
                Trouble::ALL[..at]
                    .iter()
                    .all(|other| other.name() != trouble.name())
            );
        }
        let unknown = "gpu-on-fire".parse::<Trouble>().expect_err("unknown");
        assert!(unknown.contains("gpu-hot"), "{unknown}");
    }

    #[test]
    fn a_trouble_begins_and_ends_and_what_was_counted_stays() {
        let gpus = SimGpus::new(2, "NVIDIA H100 80GB HBM3", 1);
        let spell = |trouble, gpu| Spell {
            trouble,
            node: 3,
            gpu,
            from_ms: 10_000,
            to_ms: 130_000,
        };
        let all = [spell(Trouble::EccDoubleBit, 1), spell(Trouble::NvlinkDown, 1)];
        assert!(Troubles::new(&all, 0, 2).spells.is_empty());
        let mut troubles = Troubles::new(&all, 3, 2);
        let mut seen = Vec::new();
        for second in 0..200 {
            troubles.apply(second * 1000, 1000, &gpus);
            seen.push(gpus.change(|state| {
                let readings = &state.gpus[1].readings;
                (readings.ecc_dbe_volatile, readings.nvlinks_active)
            }));
        }
        assert_eq!(seen[9], (Some(0.0), Some(18.0)));
        assert_eq!(seen[75], (Some(1.0), Some(16.0)));
        assert_eq!(seen[199], (Some(2.0), Some(18.0)));
        let other = gpus.change(|state| state.gpus[0].readings.ecc_dbe_volatile);
        assert_eq!(other, Some(0.0));
    }
}
