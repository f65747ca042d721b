//! Where the kernel's log comes from: `/dev/kmsg`, or a simulator's queue.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};

use super::record::Record;

/// The kernel's longest record (`CONSOLE_EXT_LOG_MAX`).
const LONGEST: usize = 8192;

/// What one look brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<Record>,
    /// Gaps: the kernel overwrote records before they were read.
    pub lost: u64,
}

/// A kernel log.
pub trait KernelLogSource: Send + Debug {
    /// Opens it, if it is not open.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    fn open(&mut self) -> io::Result<()>;

    /// At most so many of the records not yet read.
    ///
    /// # Errors
    ///
    /// When the log can no longer be read.
    fn read(&mut self, most: usize) -> io::Result<Batch>;

    /// When the machine was started, in milliseconds since 1970.
    fn boot_ms(&self) -> i64;

    /// The present, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// `/dev/kmsg`.
#[derive(Debug, Default)]
pub struct DevKmsg {
    file: Option<File>,
}

fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl KernelLogSource for DevKmsg {
    fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0))
                .open("/dev/kmsg")?;
            self.file = Some(file);
        }
        Ok(())
    }

    fn read(&mut self, most: usize) -> io::Result<Batch> {
        self.open()?;
        let mut batch = Batch::default();
        let mut buffer = [0; LONGEST];
        while let Some(file) = &mut self.file {
            if batch.records.len() >= most {
                break;
            }
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => batch.records.extend(Record::parse(&buffer[..length])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Overwritten; the next read goes on behind the gap.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => batch.lost += 1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.file = None;
                    return Err(error);
                }
            }
        }
        Ok(batch)
    }

    /// Rounded to the second, so that a record has the same time after the agent was restarted.
    fn boot_ms(&self) -> i64 {
        let up = clock_gettime(ClockId::Monotonic);
        let boot = system_ms() - up.tv_sec * 1000 - up.tv_nsec / 1_000_000;
        (boot + 500).div_euclid(1000) * 1000
    }

    fn now_ms(&self) -> i64 {
        system_ms()
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Record>,
    next: u64,
    boot_ms: i64,
    now_ms: i64,
    refused: Option<i32>,
}

/// A simulated kernel log: clone it, the content is shared.
#[derive(Clone, Debug, Default)]
pub struct SimKernelLog(Arc<Mutex<Queue>>);

impl SimKernelLog {
    /// The log of a machine that was started then.
    pub fn new(boot_ms: i64) -> Self {
        let log = Self::default();
        log.change(|queue| (queue.boot_ms, queue.now_ms) = (boot_ms, boot_ms));
        log
    }

    /// A log that cannot be read, for a raw OS error.
    pub fn refused(raw_os_error: i32) -> Self {
        let log = Self::default();
        log.change(|queue| queue.refused = Some(raw_os_error));
        log
    }

    /// The time goes on.
    pub fn set_now(&self, now_ms: i64) {
        self.change(|queue| queue.now_ms = now_ms);
    }

    /// The kernel writes a line now.
    pub fn write(&self, level: u8, text: &str) {
        self.change(|queue| {
            let since = u64::try_from(queue.now_ms - queue.boot_ms).unwrap_or(0);
            queue.next += 1;
            queue.waiting.push_back(Record {
                level,
                from_kernel: true,
                sequence: queue.next,
                at_us: since * 1000,
                text: text.to_owned(),
            });
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KernelLogSource for SimKernelLog {
    fn open(&mut self) -> io::Result<()> {
        match self.change(|queue| queue.refused) {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => Ok(()),
        }
    }

    fn read(&mut self, most: usize) -> io::Result<Batch> {
        self.open()?;
        Ok(self.change(|queue| {
            let some = most.min(queue.waiting.len());
            Batch {
                records: queue.waiting.drain(..some).collect(),
                lost: 0,
            }
        }))
    }

    fn boot_ms(&self) -> i64 {
        self.change(|queue| queue.boot_ms)
    }

    fn now_ms(&self) -> i64 {
        self.change(|queue| queue.now_ms)
    }
}
