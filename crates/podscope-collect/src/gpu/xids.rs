//! How often each XID error was seen, on which GPU: the driver tells them twice, as events and in the kernel log, and
//! either may miss some. What counts is whoever saw more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// XID numbers counted apart per GPU at most: NVIDIA's catalog has 172.
const MOST_XIDS: usize = 256;
/// GPUs counted apart at most.
const MOST_GPUS: usize = 64;

/// Who saw an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XidSource {
    Nvml,
    Kernel,
}

/// The errors of one GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuXids {
    /// The number of the last one; 0 while there was none.
    pub last: u64,
    /// Number -> seen through NVML, seen in the kernel log.
    counts: BTreeMap<u64, [u64; 2]>,
}

impl GpuXids {
    /// How often each number was seen.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts
            .iter()
            .map(|(xid, [nvml, kernel])| (*xid, *nvml.max(kernel)))
    }
}

#[derive(Debug, Default)]
struct Book {
    gpus: BTreeMap<String, GpuXids>,
    /// Somebody looks: an absent error is none.
    watched: bool,
    /// The kernel's log is read.
    kernel: bool,
}

/// The errors of all GPUs: clone it, the content is shared.
#[derive(Clone, Debug, Default)]
pub struct XidBook(Arc<Mutex<Book>>);

impl XidBook {
    /// Somebody watches for errors from now on.
    pub fn watch(&self, source: XidSource) {
        self.change(|book| {
            book.watched = true;
            book.kernel |= source == XidSource::Kernel;
        });
    }

    /// Whether a source is watched.
    pub(crate) fn is_told_by(&self, source: XidSource) -> bool {
        self.change(|book| {
            if source == XidSource::Kernel {
                book.kernel
            } else {
                book.watched
            }
        })
    }

    /// Whether the kernel's log told as many of these errors as NVML did.
    pub(crate) fn kernel_knows(&self, pci_bus_id: &str, xid: u64) -> bool {
        let gpu = self.of(pci_bus_id);
        gpu.and_then(|gpu| gpu.counts.get(&xid).copied())
            .is_some_and(|[nvml, kernel]| kernel >= nvml)
    }

    /// Whether somebody does.
    pub fn is_watched(&self) -> bool {
        self.change(|book| book.watched)
    }

    /// Counts an error of the GPU at a PCI address, in whichever form it is written. Answers whether the other source
    /// had told this very one before.
    pub fn add(&self, pci_bus_id: &str, xid: u64, source: XidSource) -> bool {
        let Some(key) = pci_key(pci_bus_id) else {
            return false;
        };
        self.change(|book| {
            if book.gpus.len() >= MOST_GPUS && !book.gpus.contains_key(&key) {
                return false;
            }
            let gpu = book.gpus.entry(key).or_default();
            gpu.last = xid;
            if gpu.counts.len() >= MOST_XIDS && !gpu.counts.contains_key(&xid) {
                return false;
            }
            let seen = gpu.counts.entry(xid).or_default();
            let (own, other) = match source {
                XidSource::Nvml => (0, 1),
                XidSource::Kernel => (1, 0),
            };
            seen[own] += 1;
            seen[own] <= seen[other]
        })
    }

    /// The errors of the GPU at a PCI address.
    pub fn of(&self, pci_bus_id: &str) -> Option<GpuXids> {
        let key = pci_key(pci_bus_id)?;
        self.change(|book| book.gpus.get(&key).cloned())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Domain, bus and device of a PCI address: `00000000:0A:00.0`, `0000:0a:00` and `PCI:0000:0a:00` are one.
pub fn pci_key(address: &str) -> Option<String> {
    let address = address.strip_prefix("PCI:").unwrap_or(address);
    let mut parts = address.split(':');
    let number = |part: Option<&str>| u32::from_str_radix(part?, 16).ok();
    let (domain, bus) = (number(parts.next())?, number(parts.next())?);
    let device = number(parts.next()?.split('.').next())?;
    parts
        .next()
        .is_none()
        .then(|| format!("{domain:04x}:{bus:02x}:{device:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_written_three_ways_is_one_gpu() {
        for text in ["00000000:0A:00.0", "0000:0a:00", "PCI:0000:0a:00", "0000:0A:00.0"] {
            assert_eq!(pci_key(text).as_deref(), Some("0000:0a:00"), "{text}");
        }
        for text in ["", "0a:00.0", "zz:0a:00", "0000:0a:00:1"] {
            assert_eq!(pci_key(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_told_twice_is_counted_once() {
        let book = XidBook::default();
        assert!(
            !book.add("0000:0a:00", 31, XidSource::Kernel),
            "nobody told it before"
        );
        assert!(
            book.add("00000000:0A:00.0", 31, XidSource::Nvml),
            "the kernel told it before"
        );
        assert!(!book.add("0000:0a:00", 31, XidSource::Kernel), "a second one");
        let gpu = book.of("0000:0a:00").expect("seen");
        assert_eq!(gpu.counts().collect::<Vec<_>>(), [(31, 2)]);
        assert_eq!(gpu.last, 31);
        assert!(book.of("0000:1a:00").is_none());
    }

    #[test]
    fn a_flood_of_numbers_is_bounded() {
        let book = XidBook::default();
        for xid in 0..10_000 {
            book.add("0000:0a:00", xid, XidSource::Kernel);
        }
        let gpu = book.of("0000:0a:00").expect("seen");
        assert_eq!((gpu.counts().count(), gpu.last), (MOST_XIDS, 9_999));
    }
}
