//! The first 64 bytes of a segment file.

use crate::codec;
use crate::tier::Key;
use crate::varint::{u32_at, u64_at};

pub(crate) const FILE_HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"PODSEGM1";
/// Version of the format that this code writes; it refuses files with a higher one.
pub(crate) const VERSION: u16 = 2;
/// Where pco's header begins, and where it must end.
const PCO_AT: usize = 32;
const PCO_END: usize = 52;

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// pco's own header.
    pub(crate) pco: Vec<u8>,
    /// As many bytes of the file were finished: summed up into the next tier and packed. 0: not yet. A file that is longer
    /// has got rows since.
    pub(crate) finished_len: u64,
    /// The header's checksum. A file that was written anew has another one.
    pub(crate) stamp: u32,
}

impl FileHeader {
    pub(crate) fn bytes(key: Key, finished_len: u64) -> [u8; FILE_HEADER_BYTES] {
        let (tier, slot) = key;
        let pco = codec::pco_header();
        let mut bytes = [0; FILE_HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(10, &tier.number().to_le_bytes());
        put(12, &(pco.len() as u32).to_le_bytes());
        put(16, &slot.saturating_mul(tier.span_ms()).to_le_bytes());
        put(24, &(tier.span_ms() as u64).to_le_bytes());
        put(PCO_AT, pco.get(..PCO_END - PCO_AT).unwrap_or(&pco));
        put(PCO_END, &finished_len.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..FILE_HEADER_BYTES - 4]);
        bytes[FILE_HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the file with this key.
    ///
    /// # Errors
    /// A sentence when the header is not sound, or another file's.
    pub(crate) fn parse(bytes: &[u8], key: Key) -> Result<Self, String> {
        let (tier, slot) = key;
        if bytes.len() < FILE_HEADER_BYTES || bytes[..8] != MAGIC {
            return Err("not a segment file".into());
        }
        let stamp = u32_at(bytes, FILE_HEADER_BYTES - 4);
        if crc32c::crc32c(&bytes[..FILE_HEADER_BYTES - 4]) != stamp {
            return Err("the file header's checksum is wrong".into());
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version > VERSION {
            return Err(format!(
                "format version {version}; this program reads up to {VERSION}"
            ));
        }
        if u16::from_le_bytes([bytes[10], bytes[11]]) != tier.number()
            || u64_at(bytes, 16) as i64 != slot.saturating_mul(tier.span_ms())
        {
            return Err("the file was renamed: its header names another time or tier".into());
        }
        let pco = bytes[PCO_AT..PCO_END]
            .get(..u32_at(bytes, 12) as usize)
            .unwrap_or_default();
        match codec::pco_reader(pco) {
            Some(_) => Ok(Self {
                pco: pco.to_vec(),
                finished_len: u64_at(bytes, PCO_END),
                stamp,
            }),
            None => Err("columns packed by a later version of pco".into()),
        }
    }
}
