//! One GPU under load: power follows the load, temperature follows power with a lag, clocks follow temperature and power,
//! energy integrates power, errors are rare. The figures are those of an H100 SXM (700 W).

use podscope_collect::gpu::Readings;
use podscope_collect::gpu::sim::SimGpu;

use crate::noise::unit;
use crate::workload::GpuLoad;

const IDLE_WATTS: f64 = 72.0;
const POWER_LIMIT: f64 = 700.0;
const FULL_CLOCK: f64 = 1_980.0;
const IDLE_CLOCK: f64 = 345.0;
const TOTAL_MIB: f64 = 81_559.0;
const RESERVED_MIB: f64 = 560.0;
/// Degrees per watt of a GPU whose cooling is in order, and of one with a loose heat sink.
const COOLED: f64 = 0.058;
const POORLY_COOLED: f64 = 0.108;
/// Seconds in which a change of temperature is two thirds done.
const LAG: f64 = 22.0;
/// From here on the driver slows the clocks.
const SLOWDOWN_AT: f64 = 83.0;

/// `nvmlClocksEventReason*` of nvml.h.
const REASON_IDLE: u32 = 0x1;
const REASON_POWER_CAP: u32 = 0x4;
const REASON_THERMAL: u32 = 0x20;

/// What a GPU remembers from one moment to the next.
#[derive(Clone, Debug)]
pub(crate) struct GpuModel {
    seed: u64,
    cooling: f64,
    temperature: f64,
    energy_mj: f64,
    corrected: f64,
    replays: f64,
    /// Corrected errors per day.
    errors_per_day: f64,
    /// Bytes sent and received over NVLink.
    nvlink: [f64; 2],
    /// Nanoseconds held down by the power limit, and by temperature.
    held_down: [f64; 2],
}

impl GpuModel {
    /// `poorly_cooled`: the one that throttles under load.
    pub(crate) fn new(seed: u64, poorly_cooled: bool) -> Self {
        Self {
            seed,
            cooling: if poorly_cooled {
                POORLY_COOLED
            } else {
                COOLED * (0.94 + 0.12 * unit(seed, 1, 0))
            },
            temperature: 31.0,
            energy_mj: 1.0e9 + 5.0e8 * unit(seed, 2, 0),
            corrected: 0.0,
            replays: 0.0,
            errors_per_day: if unit(seed, 3, 0) < 0.1 { 40.0 } else { 1.5 },
            nvlink: [0.0; 2],
            held_down: [0.0; 2],
        }
    }

    /// Goes on by `elapsed` seconds to `seconds` under a load, and answers whether the GPU raised an XID error.
    pub(crate) fn advance(
        &mut self,
        seconds: f64,
        elapsed: f64,
        load: &GpuLoad,
        gpu: &mut SimGpu,
    ) -> Option<u64> {
        let step = seconds as u64;
        let seed = self.seed;
        let jitter = |stream: u64| unit(seed, stream, step) * 2.0 - 1.0;
        let working = load.busy > 0.0;
        let hot = (self.temperature - SLOWDOWN_AT).max(0.0);
        let mut clock = if working {
            FULL_CLOCK - 75.0 * hot
        } else {
            IDLE_CLOCK
        };
        let mut reasons = if working { 0 } else { REASON_IDLE };
        if hot > 0.0 && working {
            reasons |= REASON_THERMAL;
        }
        clock = clock.max(if working { 1_100.0 } else { IDLE_CLOCK });
        let speed = clock / FULL_CLOCK;
        let mut watts = IDLE_WATTS
            + load.busy
                * load.intensity
                * (POWER_LIMIT - IDLE_WATTS)
                * if working { speed * speed } else { 0.0 }
            + 3.0 * jitter(10);
        if watts > POWER_LIMIT * 0.97 {
            reasons |= REASON_POWER_CAP;
            clock -= (watts - POWER_LIMIT * 0.97) * 2.0;
            watts = watts.min(POWER_LIMIT);
        }
        let room = 24.0 + 1.5 * (std::f64::consts::TAU * seconds / 7_200.0).sin();
        let target = room + self.cooling * watts;
        self.temperature += (target - self.temperature) * (1.0 - (-elapsed / LAG).exp());
        self.energy_mj += watts * elapsed * 1_000.0;
        let day = elapsed / 86_400.0;
        if unit(self.seed, 20, step) < self.errors_per_day * day {
            self.corrected += 1.0;
        }
        if working && unit(self.seed, 21, step) < 3.0 * day {
            self.replays += 1.0;
        }
        self.count_traffic_and_throttling(elapsed, load, reasons);
        let readings = &mut gpu.readings;
        self.profile(load, readings);
        readings.power_instant = Some((watts + 4.0 * jitter(11)).round());
        readings.temp_margin = Some((SLOWDOWN_AT + 5.0 - self.temperature).round());
        readings.pstate = Some(0.0);
        let percent = |share: f64| Some((share * 100.0).round().clamp(0.0, 100.0));
        readings.gpu_util = percent(load.busy);
        readings.mem_copy_util = percent(load.busy * load.intensity * 0.6);
        readings.power_usage = Some((watts * 1_000.0).round() / 1_000.0);
        readings.gpu_temp = Some(self.temperature.round());
        readings.memory_temp = Some((self.temperature + 8.0 + 6.0 * load.busy).round());
        readings.energy = Some(self.energy_mj.round());
        readings.sm_clock = Some((clock / 15.0).round() * 15.0);
        readings.clocks_event_reasons = Some(f64::from(reasons));
        let used = if working { load.memory_mib.round() } else { 4.0 };
        readings.fb_used = Some(used);
        readings.fb_free = Some(TOTAL_MIB - RESERVED_MIB - used);
        readings.fb_reserved = Some(RESERVED_MIB);
        readings.fb_total = Some(TOTAL_MIB);
        readings.pcie_rx = Some(load.pcie_rx.round());
        readings.pcie_tx = Some(load.pcie_tx.round());
        readings.pcie_replay = Some(self.replays);
        readings.ecc_sbe_volatile = Some(self.corrected);
        readings.ecc_sbe_aggregate = Some(self.corrected + (self.seed % 7) as f64);
        // 31: a page fault of an application's own making; the commonest one.
        (working && unit(self.seed, 22, step) < 0.06 * day).then_some(31)
    }
}

impl GpuModel {
    fn count_traffic_and_throttling(&mut self, elapsed: f64, load: &GpuLoad, reasons: u32) {
        for counted in &mut self.nvlink {
            *counted += load.nvlink * elapsed;
        }
        for (counted, reason) in self.held_down.iter_mut().zip([REASON_POWER_CAP, REASON_THERMAL]) {
            if reasons & reason != 0 {
                *counted += elapsed * 1e9;
            }
        }
    }

    /// What profiling shows of a load: a GPU that only waits for others is busy, but its tensor pipes are not.
    fn profile(&self, load: &GpuLoad, readings: &mut Readings) {
        let ratio = |share: f64| Some((share.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0);
        let (busy, work) = (load.busy, load.busy * load.intensity);
        readings.gr_engine_active = ratio(busy);
        readings.sm_active = ratio(busy * (0.70 + 0.25 * load.intensity));
        readings.sm_occupancy = ratio(work * 0.42);
        readings.tensor_active = ratio(work * 0.58);
        readings.tensor_hmma_active = ratio(work * 0.56);
        readings.tensor_imma_active = ratio(work * 0.02);
        readings.tensor_dfma_active = ratio(0.0);
        readings.dram_active = ratio(work * 0.48);
        readings.fp64_active = ratio(0.0);
        readings.fp32_active = ratio(work * 0.12);
        readings.fp16_active = ratio(work * 0.04);
        readings.int_active = ratio(work * 0.09);
        let rate = Some(load.nvlink.round());
        (readings.nvlink_tx, readings.nvlink_rx) = (rate, rate);
        [readings.nvlink_tx_bytes, readings.nvlink_rx_bytes] = self.nvlink.map(|bytes| Some(bytes.round()));
        let [power, thermal] = self.held_down.map(Some);
        readings.power_violation = power;
        readings.thermal_violation = thermal;
        readings.sw_therm_slowdown = thermal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: GpuLoad = GpuLoad {
        busy: 0.97,
        intensity: 0.9,
        memory_mib: 70_000.0,
        pcie_rx: 1e9,
        pcie_tx: 1e9,
        nvlink: 5e10,
    };

    fn after(model: &mut GpuModel, load: &GpuLoad, from: u32, seconds: u32) -> SimGpu {
        let mut gpu = SimGpu::default();
        for second in from..from + seconds {
            model.advance(f64::from(second), 1.0, load, &mut gpu);
        }
        gpu
    }

    #[test]
    fn temperature_follows_power_with_a_lag_and_energy_integrates_it() {
        let mut model = GpuModel::new(3, false);
        let idle = after(&mut model, &GpuLoad::default(), 0, 300).readings;
        let begun = after(&mut model, &FULL, 300, 2).readings;
        let settled = after(&mut model, &FULL, 302, 300).readings;
        assert!(idle.power_usage < Some(80.0) && begun.power_usage > Some(550.0));
        assert!(
            begun.gpu_temp < idle.gpu_temp.map(|idle| idle + 8.0),
            "heat needs time"
        );
        assert!(
            settled.gpu_temp > Some(55.0) && settled.gpu_temp < Some(75.0),
            "{:?}",
            settled.gpu_temp
        );
        let joules = (settled.energy.expect("told") - begun.energy.expect("told")) / 1_000.0;
        let watts = settled.power_usage.expect("told");
        assert!(
            (joules / 300.0 - watts).abs() < 10.0,
            "{joules} J in 300 s at {watts} W"
        );
        assert_eq!(settled.clocks_event_reasons, Some(0.0));
    }

    #[test]
    fn a_poorly_cooled_gpu_throttles_under_load_and_recovers() {
        let mut model = GpuModel::new(3, true);
        let hot = after(&mut model, &FULL, 0, 600).readings;
        assert_eq!(hot.clocks_event_reasons, Some(f64::from(REASON_THERMAL)));
        assert!(hot.sm_clock < Some(FULL_CLOCK - 60.0), "{:?}", hot.sm_clock);
        let cold = after(&mut model, &GpuLoad::default(), 600, 300).readings;
        assert_eq!(cold.clocks_event_reasons, Some(f64::from(REASON_IDLE)));
        assert!(cold.gpu_temp < Some(40.0));
        assert!(hot.thermal_violation > Some(1e9) && cold.thermal_violation >= hot.thermal_violation);
    }

    #[test]
    fn profiling_shows_ratios_and_nvlink_counts_what_its_rate_says() {
        let mut model = GpuModel::new(3, false);
        let before = after(&mut model, &FULL, 0, 1).readings;
        let now = after(&mut model, &FULL, 1, 10).readings;
        for ratio in [now.sm_active, now.tensor_active, now.dram_active] {
            assert!(ratio > Some(0.2) && ratio < Some(1.0), "{ratio:?}");
        }
        let sent = now
            .nvlink_tx_bytes
            .zip(before.nvlink_tx_bytes)
            .map(|(now, before)| now - before);
        assert_eq!(sent, now.nvlink_tx.map(|rate| rate * 10.0));
    }

    #[test]
    fn the_frame_buffer_adds_up() {
        let readings = after(&mut GpuModel::new(3, false), &FULL, 0, 1).readings;
        let parts = [readings.fb_used, readings.fb_free, readings.fb_reserved];
        assert_eq!(
            parts.into_iter().flatten().sum::<f64>(),
            readings.fb_total.expect("told")
        );
    }
}
