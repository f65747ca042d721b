//! Host collectors: node_exporter's metrics from `/proc`, `/sys` and a few system calls; one file per source.
//!
//! Differences from node_exporter, all in favour of "absent, never 0": see `tests/node_exporter.rs`, which lists them.

mod conntrack;
mod cpu;
mod diskstats;
mod entropy;
mod filefd;
mod filesystem;
mod hwmon;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod nvme;
mod one_file;
mod os_release;
mod pressure;
mod sockstat;
mod stat;
mod time;
mod uname;
mod vmstat;

use std::sync::Arc;

use crate::collector::Collector;
use crate::config::HostConfig;
use crate::error::CollectError;
use crate::fs::HostFs;
use crate::text::Text;
use one_file::OneFile;

/// Makes one collector.
pub(crate) type Make = fn(Arc<dyn HostFs>, &HostConfig) -> Box<dyn Collector>;

/// Every host collector: the one list behind the registry, the config's check and the tests.
pub(crate) const ALL: &[Make] = &[
    |fs, _| Box::new(OneFile::<stat::Stat>::new(fs)),
    |fs, _| Box::new(OneFile::<loadavg::LoadAvg>::new(fs)),
    |fs, _| Box::new(OneFile::<meminfo::MemInfo>::new(fs)),
    |fs, _| Box::new(OneFile::<vmstat::VmStat>::new(fs)),
    |fs, _| Box::new(pressure::Pressure::new(fs)),
    |fs, config| Box::new(diskstats::DiskStats::new(fs, config)),
    |fs, config| Box::new(netdev::NetDev::new(fs, config)),
    |fs, _| Box::new(sockstat::SockStat::new(fs)),
    |fs, _| Box::new(OneFile::<filefd::FileFd>::new(fs)),
    |fs, _| Box::new(time::Time::new(fs)),
    |fs, config| Box::new(filesystem::FileSystem::new(fs, config)),
    |fs, config| Box::new(netclass::NetClass::new(fs, config)),
    |fs, _| Box::new(cpu::Cpu::new(fs)),
    |fs, _| Box::new(conntrack::ConnTrack::new(fs)),
    |fs, _| Box::new(entropy::Entropy::new(fs)),
    |fs, _| Box::new(hwmon::HwMon::new(fs)),
    |fs, _| Box::new(nvme::Nvme::new(fs)),
    |fs, _| Box::new(uname::UnameInfo::new(fs)),
    |fs, _| Box::new(os_release::OsRelease::new(fs)),
];

/// The machine, and the memory that files are read into.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) fs: Arc<dyn HostFs>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            fs,
            buffer: Vec::new(),
        }
    }

    /// The text of a file that is read at every collection.
    pub(crate) fn hot<'a>(&'a mut self, path: &'a str) -> Result<Text<'a>, CollectError> {
        self.fs
            .read_hot(path, &mut self.buffer)
            .map_err(|source| CollectError::read(path, source))?;
        Ok(Text {
            path,
            bytes: &self.buffer,
        })
    }

    /// The text of a file that is read now and then.
    pub(crate) fn cold<'a>(&'a mut self, path: &'a str) -> Result<Text<'a>, CollectError> {
        self.fs
            .read(path, &mut self.buffer)
            .map_err(|source| CollectError::read(path, source))?;
        Ok(Text {
            path,
            bytes: &self.buffer,
        })
    }

    /// The only value of a file of sysfs, without surrounding blanks; `None` where there is none or it is not text.
    ///
    /// Many attributes answer an error when they do not apply (the speed of an interface that is down): such a value is
    /// absent, and no problem.
    pub(crate) fn value(&mut self, path: &str) -> Option<&str> {
        self.fs.read(path, &mut self.buffer).ok()?;
        self.trimmed()
    }

    /// As [`Reader::value`], for a file that is read every second.
    pub(crate) fn hot_value(&mut self, path: &str) -> Option<&str> {
        self.fs.read_hot(path, &mut self.buffer).ok()?;
        self.trimmed()
    }

    fn trimmed(&self) -> Option<&str> {
        std::str::from_utf8(&self.buffer).ok().map(str::trim_ascii)
    }
}

/// A whole number as sysfs writes it: decimal, or hexadecimal after `0x`.
fn parse_integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
