//! Troubles by name: what can go wrong with a simulated node for a while, in its past or present, as the hardware, the driver and the
//! kernel would show it. What counters counted stays counted when a trouble ends.

use podscope_collect::gpu::sim::{SimFault, SimGpu, SimGpus};
use podscope_collect::gpu::{MigInstance, Readings};

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
    /// A container holds the GPU and nothing runs on it.
    GpuWaste = "gpu-waste";
    /// The GPU is cut into slices, which a container holds and on which nothing runs.
    MigWaste = "mig-waste";
    /// The GPU is cut into three slices.
    MigReconfig = "mig-reconfig";
    /// The GPU asks to be drained and reset.
    RecoveryAction = "recovery-action";
    /// A container uses 95 % of the memory it may.
    ContainerMemoryFull = "container-memory-full";
    /// Every call into the GPU driver hangs; of a living cluster only.
    NvmlHang = "nvml-hang";
    /// The kernel kills a process for want of memory when it begins.
    OomKill = "oom-kill";
    /// A disk does not answer when it begins.
    NvmeTimeout = "nvme-timeout";
    /// A CPU is stuck in the kernel when it begins.
    SoftLockup = "soft-lockup";
    /// A file system is remounted read-only when it begins.
    ReadOnly = "read-only";
}

/// Shorter words for the troubles most asked for.
const SHORT: [(&str, Trouble); 5] = [
    ("ecc", Trouble::EccDoubleBit),
    ("remap", Trouble::RowRemapPending),
    ("nvlink", Trouble::NvlinkDown),
    ("pcie", Trouble::PcieWidth),
    ("gpu-lost", Trouble::GpuLost),
];

impl std::str::FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let short = SHORT
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, trouble)| trouble);
        let found = Self::ALL.iter().find(|trouble| trouble.name() == text).or(short);
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

    /// One more trouble.
    pub(crate) fn begin(&mut self, spell: Spell) {
        self.spells.push(spell);
        self.begun.push(false);
    }

    /// Ends all that lasts.
    pub(crate) fn end(&mut self, at_ms: i64) {
        for spell in self.spells.iter_mut().filter(|spell| spell.to_ms > at_ms) {
            spell.to_ms = at_ms;
        }
    }

    /// What lasts.
    pub(crate) fn lasting(&self, at_ms: i64) -> Vec<Spell> {
        self.spells
            .iter()
            .filter(|spell| spell.lasts(at_ms))
            .copied()
            .collect()
    }

    /// The GPUs on which nothing runs although somebody holds them.
    pub(crate) fn idle(&self, at_ms: i64) -> Vec<usize> {
        let idle = |spell: &&Spell| matches!(spell.trouble, Trouble::GpuWaste | Trouble::MigWaste);
        let lasting = self.spells.iter().filter(|spell| spell.lasts(at_ms));
        lasting.filter(idle).map(|spell| spell.gpu).collect()
    }

    /// Applies what lasts at `at_ms`, `elapsed_ms` after the last time; to be called after the models have moved on.
    /// Answers what the kernel writes into its log about it.
    pub(crate) fn apply(&mut self, at_ms: i64, elapsed_ms: i64, gpus: &SimGpus) -> Vec<String> {
        let mut lines = Vec::new();
        if self.spells.is_empty() {
            return lines;
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
                if first {
                    lines.extend(kernel_line(spell.trouble, state.gpus.get(spell.gpu)));
                }
                if let Some(gpu) = state.gpus.get_mut(spell.gpu) {
                    afflict(spell.trouble, seconds, damage, gpu);
                }
            }
            for (gpu, damage) in state.gpus.iter_mut().zip(&self.damage) {
                count(damage, gpu);
            }
        });
        lines
    }
}

/// What the kernel writes when a trouble begins, in the driver's words and its own.
fn kernel_line(trouble: Trouble, gpu: Option<&SimGpu>) -> Option<String> {
    let xid = |number: u64, what: &str| {
        let gpu = gpu?;
        let address = gpu
            .identity
            .pci_bus_id
            .trim_start_matches("0000")
            .to_ascii_lowercase();
        let address = address
            .split('.')
            .next()
            .unwrap_or_default()
            .trim_start_matches(':')
            .to_owned();
        let process = gpu.processes.first().map_or(String::new(), |process| {
            format!("pid={}, name=python3, ", process.pid)
        });
        Some(format!(
            "NVRM: Xid (PCI:0000:{address}): {number}, {process}{what}"
        ))
    };
    let line = |text: &str| Some(text.to_owned());
    match trouble {
        Trouble::XidFatal => xid(48, "DBE (double bit error) ECC error"),
        Trouble::XidApplication => xid(31, "Ch 00000008, intr 00000000. MMU Fault"),
        Trouble::GpuLost => xid(79, "GPU has fallen off the bus."),
        Trouble::NvlinkDown => xid(74, "NVLink: fatal error detected on link 3"),
        Trouble::RowRemapPending => xid(
            63,
            "Row Remapper: New row marked for remapping, reset gpu to activate.",
        ),
        Trouble::RowRemapFailure => xid(64, "Row Remapper: Error writing row remapping info"),
        Trouble::RecoveryAction => xid(
            154,
            "GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
        ),
        Trouble::OomKill => line("Out of memory: Killed process 31337 (python3) total-vm:1048576kB"),
        Trouble::NvmeTimeout => {
            line("nvme nvme1: I/O tag 12 (100c) opcode 0x2 (I/O Cmd) QID 3 timeout, reset controller")
        }
        Trouble::SoftLockup => line("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:1234]"),
        Trouble::ReadOnly => line("EXT4-fs (nvme1n1): Remounting filesystem read-only"),
        _ => None,
    }
}

/// Cuts a GPU into three slices that are so busy. What the driver does not tell of a GPU in MIG mode is absent.
fn cut(gpu: &mut SimGpu, busy: f64) {
    let whole = &mut gpu.readings;
    whole.mig_mode = Some(1.0);
    for absent in [
        &mut whole.gpu_util,
        &mut whole.mem_copy_util,
        &mut whole.gr_engine_active,
        &mut whole.sm_active,
        &mut whole.sm_occupancy,
        &mut whole.tensor_active,
        &mut whole.dram_active,
    ] {
        *absent = None;
    }
    let uuid = gpu.identity.uuid.clone();
    let ratio = |share: f64| Some((share * 10_000.0).round() / 10_000.0);
    let slices = [
        (1, "3g.40gb", 40_192.0),
        (5, "2g.20gb", 19_968.0),
        (9, "1g.10gb", 9_728.0),
    ];
    let slice = |(index, (instance_id, profile, mebibytes)): (u32, (u32, &str, f64))| MigInstance {
        instance_id,
        index,
        uuid: format!("MIG-{uuid}-{instance_id}"),
        profile: profile.to_owned(),
        readings: Readings {
            fb_total: Some(mebibytes),
            fb_used: Some((mebibytes * 0.3).round()),
            fb_free: Some(mebibytes - (mebibytes * 0.3).round()),
            gr_engine_active: ratio(busy),
            sm_active: ratio(busy * 0.9),
            tensor_active: ratio(busy * 0.4),
            dram_active: ratio(busy * 0.5),
            ..Readings::default()
        },
    };
    gpu.mig = (0..).zip(slices).map(slice).collect();
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
    readings.recovery_action = Some(0.0);
    readings.mig_mode = Some(0.0);
    gpu.mig.clear();
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
        Trouble::RecoveryAction => readings.recovery_action = Some(4.0),
        Trouble::MigReconfig => cut(gpu, 0.6),
        Trouble::MigWaste => cut(gpu, 0.0),
        Trouble::GpuWaste
        | Trouble::ContainerMemoryFull
        | Trouble::NvmlHang
        | Trouble::OomKill
        | Trouble::NvmeTimeout
        | Trouble::SoftLockup
        | Trouble::ReadOnly
        | Trouble::XidFatal
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
    // Sixty sixtieths are one, whatever their sum in binary.
    let whole = |count: f64| Some((count + 1e-6).floor());
    readings.ecc_dbe_volatile = whole(damage.uncorrected);
    readings.nvlink_recovery = whole(damage.recoveries);
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
    fn every_trouble_of_the_hardware_shows_in_what_is_read_or_in_the_kernels_log() {
        let of_the_node = [
            Trouble::AgentDown,
            Trouble::DiskFull,
            Trouble::GpuWaste,
            Trouble::ContainerMemoryFull,
            Trouble::NvmlHang,
        ];
        for trouble in Trouble::ALL
            .iter()
            .filter(|trouble| !of_the_node.contains(trouble))
        {
            let gpus = SimGpus::new(2, "NVIDIA H100 80GB HBM3", 1);
            let before = gpus.change(|state| (state.gpus.clone(), state.broken.clone()));
            let mut troubles = Troubles::new(&[], 0, 2);
            troubles.begin(Spell {
                trouble: *trouble,
                node: 0,
                gpu: 1,
                from_ms: 0,
                to_ms: i64::MAX,
            });
            let mut lines = Vec::new();
            for minute in 0..5 {
                lines.extend(troubles.apply(minute * 60_000, 60_000, &gpus));
            }
            let now = gpus.change(|state| (state.gpus.clone(), state.broken.clone()));
            let shown = now.0[1].readings != before.0[1].readings
                || now.0[1].mig != before.0[1].mig
                || now.0[1].faults != before.0[1].faults
                || now.1 != before.1;
            assert!(shown || !lines.is_empty(), "{} shows nowhere", trouble.name());
            assert!(lines.len() <= 1, "told once: {lines:?}");
            troubles.end(300_000);
            assert!(troubles.lasting(300_000).is_empty());
            troubles.apply(300_000, 1_000, &gpus);
            let healed = gpus.change(|state| {
                (
                    state.gpus[1].mig.len(),
                    state.gpus[1].faults.len(),
                    state.broken.clone(),
                )
            });
            assert_eq!(healed, (0, 0, None), "{}", trouble.name());
        }
        for (word, trouble) in SHORT {
            assert_eq!(word.parse(), Ok(trouble));
        }
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
