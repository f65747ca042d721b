//! An instance of the kernel's trace buffer of its own: nothing that others trace is touched.
//!
//! Written, and by that undone when the instance's folder is removed, which happens when the collector ends, by `SIGTERM` too:
//!
//! ```text
//! mkdir   /sys/kernel/tracing/instances/podscope
//! .../podscope/trace_clock                                 mono
//! .../podscope/buffer_size_kb                              256 (per CPU; the configuration's)
//! .../podscope/events/block/block_rq_issue/filter          dev == 271581187 || ...
//! .../podscope/events/block/block_rq_issue/enable          1
//! .../podscope/events/block/block_rq_complete/filter       the same
//! .../podscope/events/block/block_rq_complete/enable       1
//! .../podscope/events/sunrpc/rpc_stats_latency/enable      1, where the kernel has it
//! ```
//!
//! A killed agent leaves the folder; the next start removes it first. `rmdir` does it by hand.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::devices::Devices;
use super::events::parse;
use super::requests::Requests;
use super::{IoCounts, IoSource};
use crate::error::CollectError;
use crate::fs::HostFs;

/// The instance's name.
const INSTANCE: &str = "podscope";
/// Where tracefs is mounted, the old place second.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const BLOCK_EVENTS: [&str; 2] = ["block/block_rq_issue", "block/block_rq_complete"];
const RPC_EVENT: &str = "sunrpc/rpc_stats_latency";
/// Bytes of trace read in one collection at most: some 150,000 events. What is more waits, and is lost when the kernel's
/// buffer is full; lost events are counted.
const MOST_BYTES: usize = 16 << 20;
const READ_STEP: usize = 64 << 10;
/// Collections after which the devices are looked at again.
const LOOK_AGAIN: u32 = 30;
/// Devices the kernel's filter names at most; it takes a page of text.
const MOST_FILTERED: usize = 128;

/// What is traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceConfig {
    /// Only devices whose transport leads off the machine: rdma, tcp, fc.
    pub only_remote: bool,
    /// Kilobytes of trace buffer per CPU.
    pub buffer_kb: u64,
    /// Where tracefs is mounted. Not set: the usual places.
    pub tracefs: Option<PathBuf>,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            only_remote: true,
            buffer_kb: 256,
            tracefs: None,
        }
    }
}

/// Measures requests by the kernel's trace events.
#[derive(Debug)]
pub struct TracedIo {
    config: TraceConfig,
    devices: Devices,
    filtered: Vec<(u32, u32)>,
    requests: Requests,
    instance: Option<Instance>,
    collections: u32,
}

impl TracedIo {
    pub fn new(fs: Arc<dyn HostFs>, config: TraceConfig) -> Self {
        Self {
            devices: Devices::new(fs, config.only_remote),
            config,
            filtered: Vec::new(),
            requests: Requests::default(),
            instance: None,
            collections: 0,
        }
    }

    fn place(&self) -> Result<PathBuf, String> {
        let there = |place: &Path| place.join("instances").is_dir();
        if let Some(place) = &self.config.tracefs {
            return match there(place) {
                true => Ok(place.clone()),
                false => Err(format!("{} is no tracefs with instances", place.display())),
            };
        }
        let found = PLACES.iter().map(PathBuf::from).find(|place| there(place));
        found.ok_or_else(|| {
            "no tracefs in /sys/kernel/tracing; mount it (mount -t tracefs nodev /sys/kernel/tracing) and run the agent as root"
                .to_owned()
        })
    }

    /// Looks at the devices again and tells the kernel which ones matter.
    fn look(&mut self) -> io::Result<()> {
        self.devices.look();
        let measured = self.devices.measured();
        if let Some(instance) = &self.instance
            && measured != self.filtered
        {
            self.requests.forget_streams();
            instance.filter(&measured)?;
            self.filtered = measured;
        }
        Ok(())
    }
}

impl IoSource for TracedIo {
    fn open(&mut self) -> Result<(), String> {
        if self.instance.is_some() {
            return Ok(());
        }
        let place = self.place()?;
        self.devices.look();
        let rpc = place.join("events").join(RPC_EVENT).is_dir();
        let measured = self.devices.measured();
        if measured.is_empty() && !rpc {
            return Err(
                "no block device off this machine (NVMe over RDMA, TCP or Fibre Channel) and no NFS"
                    .to_owned(),
            );
        }
        let instance = Instance::make(&place, &self.config, &measured, rpc)?;
        self.filtered = measured;
        self.instance = Some(instance);
        Ok(())
    }

    fn read(&mut self, counts: &mut IoCounts) -> Result<(), CollectError> {
        if self.instance.is_none() {
            // Somebody removed it.
            self.open().map_err(|reason| CollectError::Vendor {
                what: "tracing block requests".to_owned(),
                reason,
            })?;
        }
        self.collections = self.collections.wrapping_add(1);
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look()
                .map_err(|source| CollectError::read("tracefs filter", source))?;
            self.requests.forget(counts);
        }
        let Self {
            instance,
            requests,
            devices,
            ..
        } = self;
        let Some(open) = instance else {
            return Ok(());
        };
        let result = open.read(|line| {
            if let Some(event) = parse(line) {
                requests.take(event, devices, counts);
            }
        });
        result.map_err(|source| {
            *instance = None;
            CollectError::read("trace_pipe", source)
        })
    }
}

/// The instance; gone with this value.
#[derive(Debug)]
struct Instance {
    folder: PathBuf,
    pipe: Option<File>,
    buffer: Vec<u8>,
    /// The beginning of a line whose end was not there yet.
    rest: Vec<u8>,
}

impl Instance {
    fn make(place: &Path, config: &TraceConfig, measured: &[(u32, u32)], rpc: bool) -> Result<Self, String> {
        let folder = place.join("instances").join(INSTANCE);
        let failed = |what: &str, error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => "; run the agent as root",
                io::ErrorKind::ResourceBusy => "; another agent uses it",
                _ => "",
            };
            format!("{what}: {error}{remedy}")
        };
        if folder.is_dir() {
            // Left by an agent that was killed.
            fs::remove_dir(&folder)
                .map_err(|error| failed(&format!("cannot remove {}", folder.display()), error))?;
        }
        fs::create_dir(&folder)
            .map_err(|error| failed(&format!("cannot make {}", folder.display()), error))?;
        let mut instance = Self {
            folder,
            pipe: None,
            buffer: Vec::new(),
            rest: Vec::new(),
        };
        let begun = instance.begin(config, measured, rpc);
        begun.map_err(|error| failed("cannot trace block requests", error))?;
        Ok(instance)
    }

    fn begin(&mut self, config: &TraceConfig, measured: &[(u32, u32)], rpc: bool) -> io::Result<()> {
        self.write("buffer_size_kb", &config.buffer_kb.max(16).to_string())?;
        // Comparable between CPUs.
        self.write("trace_clock", "mono")?;
        if !measured.is_empty() {
            self.filter(measured)?;
        }
        if rpc {
            self.write(&format!("events/{RPC_EVENT}/enable"), "1")?;
        }
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0))
            .open(self.folder.join("trace_pipe"))?;
        self.pipe = Some(pipe);
        Ok(())
    }

    /// Traces exactly these devices.
    fn filter(&self, measured: &[(u32, u32)]) -> io::Result<()> {
        // The kernel's own device numbers have 20 bits for the minor.
        let one =
            |(major, minor): &(u32, u32)| format!("dev == {}", (u64::from(*major) << 20) | u64::from(*minor));
        let all: Vec<String> = measured.iter().take(MOST_FILTERED).map(one).collect();
        for event in BLOCK_EVENTS {
            let event = format!("events/{event}");
            if all.is_empty() {
                self.write(&format!("{event}/enable"), "0")?;
                continue;
            }
            self.write(&format!("{event}/filter"), &all.join(" || "))?;
            self.write(&format!("{event}/enable"), "1")?;
        }
        Ok(())
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Reads what is there, line by line.
    fn read(&mut self, mut take: impl FnMut(&str)) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        self.buffer.resize(READ_STEP, 0);
        let mut total = 0;
        while total < MOST_BYTES {
            let length = match pipe.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            total += length;
            each_line(&mut self.rest, &self.buffer[..length], &mut take);
        }
        Ok(())
    }
}

/// Hands over every whole line; what is left waits for its end.
fn each_line(rest: &mut Vec<u8>, bytes: &[u8], take: &mut impl FnMut(&str)) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = piece.strip_suffix(b"\n") else {
            rest.extend_from_slice(piece);
            continue;
        };
        match rest.is_empty() {
            true => take(&String::from_utf8_lossy(line)),
            false => {
                rest.extend_from_slice(line);
                take(&String::from_utf8_lossy(rest));
                rest.clear();
            }
        }
    }
    // No event is this long.
    if rest.len() > READ_STEP {
        rest.clear();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The folder is busy while the pipe is open.
        self.pipe = None;
        if let Err(error) = fs::remove_dir(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "the trace instance could not be removed");
        }
    }
}
