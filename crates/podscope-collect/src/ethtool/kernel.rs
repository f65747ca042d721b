//! The kernel's `SIOCETHTOOL`: driver, names and values of statistics (`linux/ethtool.h`).
//!
//! Generic netlink knows only the statistics all drivers share, not those of a driver, so it is the old call. The one crate
//! for it (`below-ethtool`) asks for names and values together, some five thousand texts per network card and time, loses
//! the error numbers, and lets the kernel write past the four bytes of a count; hence these hundred lines.
#![expect(unsafe_code, reason = "an ioctl that is given a pointer; see `call`")]

use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::source::{DriverInfo, EthtoolSource};

const SIOCETHTOOL: Opcode = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
/// The set of strings that are the names of statistics.
const ETH_SS_STATS: u32 = 1;
/// Bytes of one name.
const NAME_BYTES: usize = 32;
/// `sizeof(struct ethtool_drvinfo)`, in words of four bytes.
const DRIVER_WORDS: usize = 49;
/// `offsetof(struct ethtool_drvinfo, n_stats)`, in words of four bytes.
const DRIVER_COUNT: usize = 45;
/// More statistics than any driver has: 5,000 were seen on a card with 63 queues.
const MOST: usize = 65_536;
/// `IFNAMSIZ`, the closing zero included.
const DEVICE_BYTES: usize = 16;

/// `struct ifreq` with a pointer in its union.
#[repr(C)]
struct Request {
    device: [u8; DEVICE_BYTES],
    data: *mut c_void,
    rest: [u8; 16],
}

/// Asks the kernel.
#[derive(Default)]
pub struct KernelEthtool {
    socket: Option<OwnedFd>,
    /// Memory the kernel writes into, kept from call to call.
    words: Vec<u64>,
}

impl fmt::Debug for KernelEthtool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KernelEthtool").finish_non_exhaustive()
    }
}

impl KernelEthtool {
    /// Lets the kernel answer into `self.words`, which begin with the command and are `bytes` long at least; the caller
    /// says how much the kernel writes at most.
    fn call(&mut self, device: &str, bytes: usize) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?,
        };
        let socket = self.socket.insert(socket);
        let mut request = Request {
            device: [0; DEVICE_BYTES],
            data: self.words.as_mut_ptr().cast(),
            rest: [0; 16],
        };
        if device.len() >= DEVICE_BYTES || device.is_empty() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        request.device[..device.len()].copy_from_slice(device.as_bytes());
        debug_assert!(self.words.len() * 8 >= bytes, "the memory is large enough");
        // SAFETY: SIOCETHTOOL takes a `struct ifreq` whose pointer leads to the command's struct. `words` is aligned for
        // it, is not moved during the call, and holds at least `bytes`, which is what the command writes.
        let updater = unsafe { Updater::<SIOCETHTOOL, Request>::new(&mut request) };
        // SAFETY: as above.
        unsafe { ioctl(&*socket, updater) }?;
        Ok(())
    }

    fn prepare(&mut self, bytes: usize, command: [u32; 2]) {
        self.words.clear();
        self.words.resize(bytes.div_ceil(8), 0);
        self.set(0, command[0]);
        self.set(1, command[1]);
    }

    /// The word of four bytes at a place.
    fn get(&self, at: usize) -> u32 {
        let bytes = self.words.get(at / 2).map_or([0; 8], |word| word.to_ne_bytes());
        let half = (at % 2) * 4;
        u32::from_ne_bytes([bytes[half], bytes[half + 1], bytes[half + 2], bytes[half + 3]])
    }

    fn set(&mut self, at: usize, value: u32) {
        if let Some(word) = self.words.get_mut(at / 2) {
            let mut bytes = word.to_ne_bytes();
            let half = (at % 2) * 4;
            bytes[half..half + 4].copy_from_slice(&value.to_ne_bytes());
            *word = u64::from_ne_bytes(bytes);
        }
    }

    /// Text of at most `length` bytes from a place, up to its closing zero.
    fn text(&self, from: usize, length: usize) -> String {
        let bytes = (from..from + length).map(|at| {
            let word = self.words.get(at / 8).copied().unwrap_or(0);
            word.to_ne_bytes()[at % 8]
        });
        let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    fn count(&mut self, device: &str) -> io::Result<usize> {
        self.prepare(DRIVER_WORDS * 4, [ETHTOOL_GDRVINFO, 0]);
        self.call(device, DRIVER_WORDS * 4)?;
        Ok((self.get(DRIVER_COUNT) as usize).min(MOST))
    }
}

impl EthtoolSource for KernelEthtool {
    fn driver(&mut self, device: &str) -> io::Result<DriverInfo> {
        self.count(device)?;
        Ok(DriverInfo {
            driver: self.text(4, 32),
            version: self.text(36, 32),
            firmware_version: self.text(68, 32),
            bus_info: self.text(100, 32),
            expansion_rom_version: self.text(132, 32),
        })
    }

    fn names(&mut self, device: &str) -> io::Result<Vec<String>> {
        let count = self.count(device)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = 12 + room(count) * NAME_BYTES;
        self.prepare(bytes, [ETHTOOL_GSTRINGS, ETH_SS_STATS]);
        self.set(2, u32::try_from(count).unwrap_or(0));
        self.call(device, bytes)?;
        let count = (self.get(2) as usize).min(room(count));
        Ok((0..count)
            .map(|at| self.text(12 + at * NAME_BYTES, NAME_BYTES))
            .collect())
    }

    fn values(&mut self, device: &str, values: &mut Vec<u64>) -> io::Result<()> {
        let count = self.count(device)?;
        values.clear();
        if count == 0 {
            return Ok(());
        }
        let bytes = 8 + room(count) * 8;
        self.prepare(bytes, [ETHTOOL_GSTATS, u32::try_from(count).unwrap_or(0)]);
        self.call(device, bytes)?;
        let count = (self.get(1) as usize).min(room(count));
        values.extend_from_slice(self.words.get(1..=count).unwrap_or_default());
        Ok(())
    }
}

/// Room for twice as many as the driver has just said: older kernels write as many as there are now, and somebody may give
/// the device more queues between the two calls.
fn room(count: usize) -> usize {
    2 * count + 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_the_kernel_about_the_devices_of_this_machine() {
        let mut kernel = KernelEthtool::default();
        let gone = kernel.names("no-such-dev").expect_err("there is none");
        assert_eq!(gone.raw_os_error(), Some(19), "{gone}");
        assert!(kernel.names("a-name-that-is-too-long").is_err());
        let mut asked = 0;
        for device in std::fs::read_dir("/sys/class/net")
            .into_iter()
            .flatten()
            .flatten()
        {
            let device = device.file_name().to_string_lossy().into_owned();
            // A loopback has no driver; whoever has one is asked in full.
            let Ok(info) = kernel.driver(&device) else {
                continue;
            };
            assert!(!info.driver.is_empty(), "{device}: {info:?}");
            let names = kernel.names(&device).unwrap_or_default();
            let mut values = Vec::new();
            if kernel.values(&device, &mut values).is_ok() {
                assert_eq!(names.len(), values.len(), "{device}");
                assert!(names.iter().all(|name| !name.is_empty()), "{device}: {names:?}");
                asked += 1;
            }
        }
        // A container may have nothing but a loopback.
        tracing::debug!(asked, "devices with statistics");
    }
}
