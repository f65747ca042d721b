//! Records of an event file: written, read, and found again behind damage.

use podscope_model::event::{EventId, StoredEvent};

pub(super) const HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 8] = b"PODEVNT1";
const VERSION: u16 = 1;
const MARK: &[u8; 4] = b"EVT1";
/// Mark, length, checksum.
const FRAME_BYTES: usize = 12;
/// What stands before the JSON in a payload.
const FIXED_BYTES: usize = 16 + 8 + 8 + 8 + 4;
/// An event's text is at most 64 KiB, its labels 64 of 4 KiB; JSON may escape every byte into six.
const MAX_PAYLOAD: usize = 4 << 20;

pub(super) fn name_of(number: u64) -> String {
    format!("events-{number}.log")
}

pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("events-")?.strip_suffix(".log")?.parse().ok()
}

pub(super) fn header(number: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a record says without its JSON being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: EventId,
    pub(super) time_ms: i64,
    pub(super) last_ms: i64,
    pub(super) stored_ms: i64,
    pub(super) version: u32,
}

impl Head {
    pub(super) fn of(stored: &StoredEvent) -> Self {
        Self {
            id: stored.id,
            time_ms: stored.event.time_ms,
            last_ms: stored.event.last_ms(),
            stored_ms: stored.stored_ms,
            version: stored.version,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.last_ms == i64::MAX
    }
}

fn checksum(number: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), payload)
}

/// One record's bytes.
pub(super) fn record(number: u64, stored: &StoredEvent) -> Vec<u8> {
    let head = Head::of(stored);
    // Plain fields and string keys: it cannot fail.
    let json = serde_json::to_vec(stored).unwrap_or_default();
    let length = FIXED_BYTES + json.len();
    let mut bytes = Vec::with_capacity(FRAME_BYTES + length);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&head.id.0.to_le_bytes());
    bytes.extend_from_slice(&head.time_ms.to_le_bytes());
    bytes.extend_from_slice(&head.last_ms.to_le_bytes());
    bytes.extend_from_slice(&head.stored_ms.to_le_bytes());
    bytes.extend_from_slice(&head.version.to_le_bytes());
    bytes.extend_from_slice(&json);
    let crc = checksum(number, &bytes[FRAME_BYTES..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A sound record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Where it begins in the file.
    pub(super) offset: u32,
    pub(super) head: Head,
    json: &'a [u8],
}

impl Record<'_> {
    /// The event; `None` for one that a later program wrote in a form this one does not know.
    pub(super) fn event(&self) -> Option<StoredEvent> {
        serde_json::from_slice(self.json).ok()
    }
}

/// The sound records of a file, and how many bytes were not.
pub(super) struct Records<'a> {
    number: u64,
    bytes: &'a [u8],
    at: usize,
    pub(super) unsound: u64,
}

/// Reads a file. `None`: it is none of ours, or of a later version.
pub(super) fn records(bytes: &[u8]) -> Option<Records<'_>> {
    let head = bytes.get(..HEADER_BYTES)?;
    let number = u64::from_le_bytes(array(head, 12)?);
    let sound = head[..8] == MAGIC[..] && crc32c::crc32c(&head[..20]) == u32::from_le_bytes(array(head, 20)?);
    let known = u16::from_le_bytes(array(head, 8)?) <= VERSION;
    (sound && known).then_some(Records {
        number,
        bytes,
        at: HEADER_BYTES,
        unsound: 0,
    })
}

impl Records<'_> {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while self.at < self.bytes.len() {
            if let Some((record, length)) = read(self.number, self.bytes, self.at) {
                self.at += length;
                return Some(record);
            }
            // Behind damage: the next mark that begins a sound record.
            let rest = &self.bytes[self.at + 1..];
            let skip = rest
                .windows(MARK.len())
                .position(|window| window == MARK)
                .map_or(self.bytes.len() - self.at, |at| at + 1);
            self.unsound += skip as u64;
            self.at += skip;
        }
        None
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn read(number: u64, bytes: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let frame = bytes.get(at..at + FRAME_BYTES)?;
    let length = u32::from_le_bytes(array(frame, 4)?) as usize;
    if frame[..4] != MARK[..] || !(FIXED_BYTES..=MAX_PAYLOAD).contains(&length) {
        return None;
    }
    let payload = bytes.get(at + FRAME_BYTES..at + FRAME_BYTES + length)?;
    if checksum(number, payload) != u32::from_le_bytes(array(frame, 8)?) {
        return None;
    }
    let head = Head {
        id: EventId(u128::from_le_bytes(array(payload, 0)?)),
        time_ms: i64::from_le_bytes(array(payload, 16)?),
        last_ms: i64::from_le_bytes(array(payload, 24)?),
        stored_ms: i64::from_le_bytes(array(payload, 32)?),
        version: u32::from_le_bytes(array(payload, 40)?),
    };
    let record = Record {
        offset: u32::try_from(at).ok()?,
        head,
        json: &payload[FIXED_BYTES..],
    };
    Some((record, FRAME_BYTES + length))
}

#[cfg(test)]
mod tests {
    use podscope_model::event::{Event, EventKind};

    use super::*;

    fn three() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(7).to_vec();
        let mut starts = Vec::new();
        for at in 0..3 {
            let event = Event::new(EventKind::Log, "test", format!("line {at}"), at);
            let stored = StoredEvent {
                id: event.id(),
                version: 1,
                stored_ms: at,
                event,
            };
            starts.push(bytes.len());
            bytes.extend(record(7, &stored));
        }
        (bytes, starts)
    }

    #[test]
    fn a_flipped_bit_anywhere_costs_its_own_record_and_no_other() {
        let (bytes, starts) = three();
        let titles = |bytes: &[u8]| -> Vec<String> {
            records(bytes)
                .into_iter()
                .flatten()
                .map(|record| record.event().expect("sound").event.title)
                .collect()
        };
        assert_eq!(titles(&bytes), ["line 0", "line 1", "line 2"]);
        for at in HEADER_BYTES..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let hurt = starts
                .iter()
                .rposition(|start| *start <= at)
                .expect("behind the header");
            let expected: Vec<String> = (0..3)
                .filter(|number| *number != hurt)
                .map(|number| format!("line {number}"))
                .collect();
            assert_eq!(titles(&damaged), expected, "byte {at}");
        }
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_every_whole_record() {
        let (bytes, starts) = three();
        for length in HEADER_BYTES..=bytes.len() {
            let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
            let whole = ends.filter(|end| *end <= length).count();
            let read = records(&bytes[..length]).expect("the header is whole").count();
            assert_eq!(read, whole, "{length} bytes");
        }
        assert!(records(&bytes[..HEADER_BYTES - 1]).is_none());
    }
}
