//! `/sys/class/hwmon`: temperatures, fans, voltages, currents, power (Documentation/hwmon/sysfs-interface.rst). Numbering of
//! the chips depends on the order in which modules were loaded, so the label `chip` is made of the device's path, as
//! node_exporter makes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "hwmon",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::hwmon::ALL,
    touches: &[FOLDER],
};

const FOLDER: &str = "/sys/class/hwmon";

const MILLI: f64 = 0.001;
const MICRO: f64 = 1e-6;

/// The files of a chip that are read, by kind of sensor and attribute, with the factor to the metric's unit. An alarm of
/// node_exporter's that has a threshold in its name is scaled like a temperature; so is ours.
const SENSORS: &[(&str, &str, &MetricDef, f64)] = &[
    ("temp", "input", &host::NODE_HWMON_TEMP_CELSIUS, MILLI),
    ("temp", "max", &host::NODE_HWMON_TEMP_MAX_CELSIUS, MILLI),
    ("temp", "max_hyst", &host::NODE_HWMON_TEMP_MAX_HYST_CELSIUS, MILLI),
    ("temp", "min", &host::NODE_HWMON_TEMP_MIN_CELSIUS, MILLI),
    ("temp", "crit", &host::NODE_HWMON_TEMP_CRIT_CELSIUS, MILLI),
    (
        "temp",
        "crit_hyst",
        &host::NODE_HWMON_TEMP_CRIT_HYST_CELSIUS,
        MILLI,
    ),
    (
        "temp",
        "emergency",
        &host::NODE_HWMON_TEMP_EMERGENCY_CELSIUS,
        MILLI,
    ),
    ("temp", "lcrit", &host::NODE_HWMON_TEMP_LCRIT_CELSIUS, MILLI),
    ("temp", "highest", &host::NODE_HWMON_TEMP_HIGHEST_CELSIUS, MILLI),
    ("temp", "lowest", &host::NODE_HWMON_TEMP_LOWEST_CELSIUS, MILLI),
    (
        "temp",
        "crit_alarm",
        &host::NODE_HWMON_TEMP_CRIT_ALARM_CELSIUS,
        MILLI,
    ),
    (
        "temp",
        "max_alarm",
        &host::NODE_HWMON_TEMP_MAX_ALARM_CELSIUS,
        MILLI,
    ),
    (
        "temp",
        "min_alarm",
        &host::NODE_HWMON_TEMP_MIN_ALARM_CELSIUS,
        MILLI,
    ),
    ("temp", "alarm", &host::NODE_HWMON_TEMP_ALARM, 1.0),
    ("temp", "fault", &host::NODE_HWMON_TEMP_FAULT, 1.0),
    ("fan", "input", &host::NODE_HWMON_FAN_RPM, 1.0),
    ("fan", "min", &host::NODE_HWMON_FAN_MIN_RPM, 1.0),
    ("fan", "max", &host::NODE_HWMON_FAN_MAX_RPM, 1.0),
    ("fan", "target", &host::NODE_HWMON_FAN_TARGET_RPM, 1.0),
    ("fan", "alarm", &host::NODE_HWMON_FAN_ALARM, 1.0),
    ("fan", "fault", &host::NODE_HWMON_FAN_FAULT, 1.0),
    ("in", "input", &host::NODE_HWMON_IN_VOLTS, MILLI),
    ("in", "min", &host::NODE_HWMON_IN_MIN_VOLTS, MILLI),
    ("in", "max", &host::NODE_HWMON_IN_MAX_VOLTS, MILLI),
    ("in", "alarm", &host::NODE_HWMON_IN_ALARM, 1.0),
    ("curr", "input", &host::NODE_HWMON_CURR_AMPS, MILLI),
    ("power", "input", &host::NODE_HWMON_POWER_WATT, MICRO),
    ("power", "average", &host::NODE_HWMON_POWER_AVERAGE_WATT, MICRO),
    ("power", "cap", &host::NODE_HWMON_POWER_CAP_WATT, MICRO),
    ("energy", "input", &host::NODE_HWMON_ENERGY_JOULE_TOTAL, MICRO),
];

/// The kinds of sensors whose names are told.
const KINDS: [&str; 12] = [
    "cpu",
    "curr",
    "energy",
    "fan",
    "freq",
    "humidity",
    "in",
    "intrusion",
    "power",
    "pwm",
    "temp",
    "vrm",
];

/// Collections after which chips and sensors are listed again.
const LIST_AGAIN: u32 = 30;

#[derive(Debug)]
pub(crate) struct HwMon {
    reader: Reader,
    collections: u32,
    chips: Vec<Chip>,
}

#[derive(Debug)]
struct Chip {
    /// The label `chip`.
    label: String,
    /// The chip's own name, where it has one.
    name: String,
    sensors: Vec<Sensor>,
    /// Sensor and the name the board's maker gave it.
    names: Vec<(String, String)>,
}

#[derive(Debug)]
struct Sensor {
    label: String,
    path: String,
    def: &'static MetricDef,
    factor: f64,
}

impl HwMon {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            collections: 0,
            chips: Vec::new(),
        }
    }

    fn list(&mut self) {
        self.chips.clear();
        let folders = self.reader.fs.list(FOLDER).unwrap_or_default();
        let mut entries = Vec::new();
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        let mut name_uses: BTreeMap<(String, String), usize> = BTreeMap::new();
        for folder in folders {
            let path = format!("{FOLDER}/{folder}");
            let name = self
                .reader
                .value(&format!("{path}/name"))
                .unwrap_or("")
                .to_owned();
            let Some(base) = self.base_label(&path, &folder, &name) else {
                continue;
            };
            *uses.entry(base.clone()).or_default() += 1;
            *name_uses.entry((base.clone(), name.clone())).or_default() += 1;
            entries.push((folder, path, base, name));
        }
        for (folder, path, base, name) in entries {
            // Two chips of one device: told apart by name, else by number.
            let mut label = base.clone();
            if uses.get(&base).is_some_and(|uses| *uses > 1) {
                let unique = name_uses
                    .get(&(base, name.clone()))
                    .is_some_and(|uses| *uses == 1);
                let suffix = clean(&name);
                let suffix = if unique && !suffix.is_empty() {
                    suffix
                } else {
                    clean(&folder)
                };
                label = format!("{label}_{suffix}");
            }
            let mut chip = Chip {
                label,
                name: clean(&name),
                sensors: Vec::new(),
                names: Vec::new(),
            };
            self.sensors(&path, &mut chip);
            // Drivers before Linux 3.x put the files there.
            self.sensors(&format!("{path}/device"), &mut chip);
            self.chips.push(chip);
        }
    }

    /// The label that is made of the device, else of the chip's name, else of its number.
    fn base_label(&self, path: &str, folder: &str, name: &str) -> Option<String> {
        if let Ok(device) = self.reader.fs.canonicalize(&format!("{path}/device")) {
            let mut parts = device.rsplit('/').map(clean);
            let device = parts.next().unwrap_or_default();
            let kind = parts.next().unwrap_or_default();
            if !device.is_empty() {
                return Some(if kind.is_empty() {
                    device
                } else {
                    format!("{kind}_{device}")
                });
            }
        }
        [clean(name), clean(folder)]
            .into_iter()
            .find(|label| !label.is_empty())
    }

    fn sensors(&mut self, folder: &str, chip: &mut Chip) {
        for file in self.reader.fs.list(folder).unwrap_or_default() {
            let Some((kind, number, attribute)) = split(&file) else {
                continue;
            };
            let path = format!("{folder}/{file}");
            let label = format!("{kind}{number}");
            if attribute == "label" && KINDS.contains(&kind) {
                if let Some(name) = self.reader.value(&path).filter(|name| !name.is_empty()) {
                    chip.names.push((label, name.to_owned()));
                }
                continue;
            }
            let known = SENSORS
                .iter()
                .find(|(known, wanted, ..)| *known == kind && *wanted == attribute);
            if let Some((_, _, def, factor)) = known {
                chip.sensors.push(Sensor {
                    label,
                    path,
                    def,
                    factor: *factor,
                });
            }
        }
    }
}

/// `temp1_crit_alarm` as `temp`, `1` and `crit_alarm`.
fn split(file: &str) -> Option<(&str, &str, &str)> {
    let (sensor, attribute) = file.split_once('_')?;
    let digits = sensor.find(|character: char| character.is_ascii_digit())?;
    let (kind, number) = sensor.split_at_checked(digits)?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some((kind, number, attribute))
}

/// A name as part of a label: lower case, everything but letters, digits, colon and underscore made an underscore.
fn clean(name: &str) -> String {
    let cleaned: String = name
        .trim_ascii()
        .chars()
        .flat_map(char::to_lowercase)
        .map(|character| match character {
            'a'..='z' | '0'..='9' | ':' | '_' => character,
            _ => '_',
        })
        .collect();
    cleaned.trim_matches('_').to_owned()
}

impl Collector for HwMon {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        self.collections = 0;
        if self.reader.fs.list(FOLDER).is_ok_and(|names| !names.is_empty()) {
            Support::Present
        } else {
            Support::NotPresent(format!("no sensor chip in {FOLDER}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        if self.collections.is_multiple_of(LIST_AGAIN) {
            self.list();
        }
        self.collections = self.collections.wrapping_add(1);
        for chip in &self.chips {
            if !chip.name.is_empty() {
                let labels = [("chip", chip.label.as_str()), ("chip_name", chip.name.as_str())];
                row.set(&host::NODE_HWMON_CHIP_NAMES, &labels, 1.0);
            }
            for (sensor, name) in &chip.names {
                let labels = [
                    ("chip", chip.label.as_str()),
                    ("sensor", sensor.as_str()),
                    ("label", name.as_str()),
                ];
                row.set(&host::NODE_HWMON_SENSOR_LABEL, &labels, 1.0);
            }
            for sensor in &chip.sensors {
                // A sensor that is not wired answers an error, or nothing: absent, as any reading there is not.
                let value = self
                    .reader
                    .value(&sensor.path)
                    .and_then(|text| text.parse::<f64>().ok());
                if let Some(value) = value.filter(|value| value.is_finite()) {
                    let labels = [("chip", chip.label.as_str()), ("sensor", sensor.label.as_str())];
                    row.set(sensor.def, &labels, value * sensor.factor);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_names_of_files() {
        assert_eq!(split("temp1_crit_alarm"), Some(("temp", "1", "crit_alarm")));
        assert_eq!(split("in12_input"), Some(("in", "12", "input")));
        for file in ["name", "update_interval", "temp1", "pwm1"] {
            assert_eq!(split(file), None, "{file}");
        }
    }

    #[test]
    fn cleans_names_as_node_exporter_does() {
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("coretemp.0\n"), "coretemp_0");
        assert_eq!(clean("_ASUS-EC_"), "asus_ec");
    }
}
