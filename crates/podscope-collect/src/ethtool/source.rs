//! Where driver statistics come from: the kernel's `SIOCETHTOOL`, or a simulated machine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What a driver says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverInfo {
    pub driver: String,
    pub version: String,
    pub firmware_version: String,
    pub bus_info: String,
    pub expansion_rom_version: String,
}

/// Knows the driver statistics of network devices.
pub trait EthtoolSource: Send + Debug {
    /// # Errors
    ///
    /// When there is no such device, or its driver does not say.
    fn driver(&mut self, device: &str) -> io::Result<DriverInfo>;

    /// The names of a device's statistics, in their order. Empty: its driver has none.
    ///
    /// # Errors
    ///
    /// When there is no such device, or its driver has no statistics.
    fn names(&mut self, device: &str) -> io::Result<Vec<String>>;

    /// The values, in the order of the names, into `values`, whose former content is lost. The number of values differs
    /// from the number of names when a driver was given other queues; the names are to be asked again then.
    ///
    /// # Errors
    ///
    /// When the device is gone or does not answer.
    fn values(&mut self, device: &str, values: &mut Vec<u64>) -> io::Result<()>;
}

#[derive(Debug, Default)]
struct SimNic {
    driver: DriverInfo,
    names: Vec<String>,
    values: Vec<u64>,
}

/// The network devices of a simulated machine: clone it, the content is shared.
///
/// ```
/// use podscope_collect::ethtool::{DriverInfo, EthtoolSource, SimEthtool};
///
/// let sim = SimEthtool::default();
/// sim.plug("eth2", DriverInfo { driver: "mlx5_core".into(), ..DriverInfo::default() });
/// sim.set("eth2", "rx_prio3_pause_duration", 1_500);
/// assert_eq!(sim.clone().names("eth2").unwrap(), ["rx_prio3_pause_duration"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimEthtool(Arc<Mutex<BTreeMap<String, SimNic>>>);

impl SimEthtool {
    /// Adds a device without statistics, or changes what its driver says.
    pub fn plug(&self, device: &str, driver: DriverInfo) {
        self.change(|nics| nics.entry(device.to_owned()).or_default().driver = driver);
    }

    pub fn unplug(&self, device: &str) {
        self.change(|nics| nics.remove(device));
    }

    /// Sets a statistic; one that is new comes after the others.
    pub fn set(&self, device: &str, statistic: &str, value: u64) {
        self.change(|nics| {
            let nic = nics.entry(device.to_owned()).or_default();
            match nic.names.iter().position(|name| name == statistic) {
                Some(at) => nic.values[at] = value,
                None => {
                    nic.names.push(statistic.to_owned());
                    nic.values.push(value);
                }
            }
        });
    }

    /// Sets all statistics of a device by the order of their names.
    pub fn set_all(&self, device: &str, values: &[u64]) {
        self.change(|nics| {
            if let Some(nic) = nics.get_mut(device) {
                for (old, new) in nic.values.iter_mut().zip(values) {
                    *old = *new;
                }
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, SimNic>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of<T>(&self, device: &str, answer: impl FnOnce(&SimNic) -> T) -> io::Result<T> {
        /// As the kernel answers.
        const ENODEV: i32 = 19;
        self.change(|nics| nics.get(device).map(answer))
            .ok_or_else(|| io::Error::from_raw_os_error(ENODEV))
    }
}

impl EthtoolSource for SimEthtool {
    fn driver(&mut self, device: &str) -> io::Result<DriverInfo> {
        self.of(device, |nic| nic.driver.clone())
    }

    fn names(&mut self, device: &str) -> io::Result<Vec<String>> {
        self.of(device, |nic| nic.names.clone())
    }

    fn values(&mut self, device: &str, values: &mut Vec<u64>) -> io::Result<()> {
        self.of(device, |nic| values.clone_from(&nic.values))
    }
}
