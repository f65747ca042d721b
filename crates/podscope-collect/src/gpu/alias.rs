//! Older names for the same readings, for dashboards and alerts that were written for them; off unless configured.
//!
//! | family | alias | is | times |
//! | --- | --- | --- | --- |
//! | `ds01` | `ds01_gpu_utilization_percent{gpu}` | `DCGM_FI_DEV_GPU_UTIL` | 1 |
//! | `ds01` | `ds01_gpu_temperature_celsius{gpu}` | `DCGM_FI_DEV_GPU_TEMP` | 1 |
//! | `ds01` | `ds01_gpu_memory_used_bytes{gpu}` | `DCGM_FI_DEV_FB_USED` | 1,048,576 |
//! | `ds01` | `ds01_gpu_memory_total_bytes{gpu}` | `DCGM_FI_DEV_FB_TOTAL` | 1,048,576 |
//! | `ds01` | `ds01_mig_utilization_percent{slot}` | `DCGM_FI_PROF_GR_ENGINE_ACTIVE` of the slice | 100 |
//! | `nvidia_gpu` | `nvidia_gpu_utilization_percentage{gpu}` | `DCGM_FI_DEV_GPU_UTIL` | 1 |
//! | `nvidia_gpu` | `nvidia_gpu_memory_used_bytes{gpu}` | `DCGM_FI_DEV_FB_USED` | 1,048,576 |
//! | `nvidia_gpu` | `nvidia_gpu_memory_total_bytes{gpu}` | `DCGM_FI_DEV_FB_TOTAL` | 1,048,576 |

use podscope_model::batch::Row;
use podscope_model::catalog::{MetricDef, alias, gpu};

use super::Readings;

/// MiB to bytes.
const MIB: f64 = 1_048_576.0;

/// One alias: what it is called, which reading it is, and what that has to be multiplied with.
struct Alias {
    family: &'static str,
    def: &'static MetricDef,
    source: &'static MetricDef,
    factor: f64,
}

const fn alias_of(
    family: &'static str,
    def: &'static MetricDef,
    source: &'static MetricDef,
    factor: f64,
) -> Alias {
    Alias {
        family,
        def,
        source,
        factor,
    }
}

const DS01: &str = "ds01";
const NVIDIA_GPU: &str = "nvidia_gpu";

/// Of whole GPUs.
static WHOLE: [Alias; 7] = [
    alias_of(
        DS01,
        &alias::DS01_GPU_UTILIZATION,
        &gpu::DCGM_FI_DEV_GPU_UTIL,
        1.0,
    ),
    alias_of(
        DS01,
        &alias::DS01_GPU_TEMPERATURE,
        &gpu::DCGM_FI_DEV_GPU_TEMP,
        1.0,
    ),
    alias_of(DS01, &alias::DS01_GPU_MEMORY_USED, &gpu::DCGM_FI_DEV_FB_USED, MIB),
    alias_of(
        DS01,
        &alias::DS01_GPU_MEMORY_TOTAL,
        &gpu::DCGM_FI_DEV_FB_TOTAL,
        MIB,
    ),
    alias_of(
        NVIDIA_GPU,
        &alias::NVIDIA_GPU_UTILIZATION,
        &gpu::DCGM_FI_DEV_GPU_UTIL,
        1.0,
    ),
    alias_of(
        NVIDIA_GPU,
        &alias::NVIDIA_GPU_MEMORY_USED,
        &gpu::DCGM_FI_DEV_FB_USED,
        MIB,
    ),
    alias_of(
        NVIDIA_GPU,
        &alias::NVIDIA_GPU_MEMORY_TOTAL,
        &gpu::DCGM_FI_DEV_FB_TOTAL,
        MIB,
    ),
];

/// Of MIG instances.
static SLICES: [Alias; 1] = [alias_of(
    DS01,
    &alias::DS01_MIG_UTILIZATION,
    &gpu::DCGM_FI_PROF_GR_ENGINE_ACTIVE,
    100.0,
)];

/// The families of aliases that are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(Vec<String>);

impl Aliases {
    /// The families there are.
    pub const FAMILIES: [&'static str; 2] = [DS01, NVIDIA_GPU];

    /// The named families; unknown names are none of [`Aliases::FAMILIES`] and write nothing.
    pub fn new<S: Into<String>>(families: impl IntoIterator<Item = S>) -> Self {
        Self(families.into_iter().map(Into::into).collect())
    }

    fn wants(&self, alias: &Alias) -> bool {
        self.0.iter().any(|family| family == alias.family)
    }

    pub(super) fn whole(&self, readings: &Readings, gpu: &str, row: &mut Row) {
        for alias in WHOLE.iter().filter(|alias| self.wants(alias)) {
            if let Some(value) = readings.get(alias.source) {
                row.set(alias.def, &[("gpu", gpu)], value * alias.factor);
            }
        }
    }

    pub(super) fn slice(&self, readings: &Readings, gpu: &str, instance: &str, row: &mut Row) {
        for alias in SLICES.iter().filter(|alias| self.wants(alias)) {
            if let Some(value) = readings.get(alias.source) {
                let slot = format!("{gpu}.{instance}");
                row.set(alias.def, &[("slot", &slot)], value * alias.factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_of_the_catalog_is_in_a_table_and_its_family_can_be_chosen() {
        let listed: Vec<&str> = WHOLE.iter().chain(&SLICES).map(|alias| alias.def.name).collect();
        for def in alias::ALL {
            assert!(listed.contains(&def.name), "{} is never written", def.name);
        }
        assert_eq!(listed.len(), alias::ALL.len());
        let families = WHOLE.iter().chain(&SLICES).map(|alias| alias.family);
        families.for_each(|family| assert!(Aliases::FAMILIES.contains(&family)));
    }

    #[test]
    fn percents_stay_percents_and_mebibytes_become_bytes() {
        let readings = Readings {
            gpu_util: Some(97.0),
            fb_used: Some(2.0),
            gr_engine_active: Some(0.25),
            ..Readings::default()
        };
        let mut row = Row::new();
        let aliases = Aliases::new(["ds01", "nvidia_gpu"]);
        aliases.whole(&readings, "3", &mut row);
        aliases.slice(&readings, "3", "9", &mut row);
        let written: Vec<String> = row
            .samples()
            .map(|(column, value)| format!("{} {value}", column.labels))
            .collect();
        assert_eq!(
            written,
            [
                "ds01_gpu_utilization_percent{gpu=\"3\"} 97",
                "ds01_gpu_memory_used_bytes{gpu=\"3\"} 2097152",
                "nvidia_gpu_utilization_percentage{gpu=\"3\"} 97",
                "nvidia_gpu_memory_used_bytes{gpu=\"3\"} 2097152",
                "ds01_mig_utilization_percent{slot=\"3.9\"} 25",
            ]
        );
        let mut none = Row::new();
        Aliases::default().whole(&readings, "3", &mut none);
        assert!(none.is_empty(), "aliases are off unless asked for");
    }
}
