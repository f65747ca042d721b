//! Building a sealed chunk: its columns one after another, then directory, header and trailer.

use crate::codec::Codec;
use crate::column::{Coding, Entry};
use crate::group::{
    FLAG_DEFLATED, FLAG_PAUSES, FLAG_SHORT, HEADER_BYTES, Header, TRAILER_BYTES, TRAILER_MAGIC,
};
use crate::schema;

/// What a chunk is, besides its columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    /// Number of the stream in the file.
    pub(crate) stream: u32,
    pub(crate) epoch: u32,
    pub(crate) first_row: u64,
    /// Time of the row before the first, or the first row's own.
    pub(crate) follows_ms: i64,
    pub(crate) tier_ms: u32,
    /// Consecutive rows further apart than twice this are a pause; 0: nobody asks.
    pub(crate) interval_ms: u64,
}

/// A chunk under way.
#[derive(Debug)]
pub(crate) struct Draft {
    about: About,
    out: Vec<u8>,
    schema_end: usize,
    times_end: usize,
    first_ms: i64,
    last_ms: i64,
    rows: u32,
    flags: u32,
    entries: Vec<Entry>,
    samples: u64,
}

impl Draft {
    /// `schema`: the description of the columns that are new to the file; may be empty. `None` without rows.
    pub(crate) fn begin(about: About, schema: &[u8], times: &[i64], codec: &Codec) -> Option<Self> {
        let (&first_ms, &last_ms) = (times.first()?, times.last()?);
        let mut out = vec![0; HEADER_BYTES];
        let deflated = schema::deflate(schema);
        out.extend_from_slice(deflated.as_deref().unwrap_or(schema));
        let schema_end = out.len();
        out.extend_from_slice(&codec.encode_times(times)?);
        let interval = about.interval_ms.min(i64::MAX as u64 / 2) as i64;
        let pauses = interval > 0 && times.windows(2).any(|pair| pair[1] - pair[0] > 2 * interval);
        Some(Self {
            about,
            schema_end,
            times_end: out.len(),
            out,
            first_ms,
            last_ms,
            rows: u32::try_from(times.len()).ok()?,
            flags: FLAG_SHORT
                | if pauses { FLAG_PAUSES } else { 0 }
                | if deflated.is_some() { FLAG_DEFLATED } else { 0 },
            entries: Vec::new(),
            samples: 0,
        })
    }

    /// Adds a column; its number in the file's table must be higher than that of the column before.
    pub(crate) fn column(&mut self, number: u32, values: &[f64], runs: Option<&[u32]>, codec: &mut Codec) {
        // A column without a value says nothing.
        if !values.is_empty() {
            self.samples += values.len() as u64;
            self.entries
                .push(codec.encode(number, values, runs, &mut self.out));
        }
    }

    /// The chunk's bytes; `None` when they are more than 4 GiB.
    pub(crate) fn finish(self) -> Option<(Vec<u8>, Header)> {
        let Self {
            about,
            mut out,
            schema_end,
            times_end,
            entries,
            ..
        } = self;
        let blobs_end = out.len();
        entries.iter().for_each(|entry| entry.put(&mut out));
        let variable = entries.iter().filter(|entry| entry.coding != Coding::Constant);
        variable.clone().for_each(|entry| entry.stats.put(&mut out));
        let variable = variable.count() as u32;
        let directory_end = out.len();
        out.resize((out.len() + TRAILER_BYTES).next_multiple_of(8) - TRAILER_BYTES, 0);
        let crc = |from: usize, to: usize| crc32c::crc32c(&out[from..to]);
        let header = Header {
            len: u32::try_from(out.len() + TRAILER_BYTES).ok()?,
            rows: self.rows,
            stream: about.stream,
            columns: entries.len() as u32,
            variable,
            epoch: about.epoch,
            first_row: about.first_row,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            tier_ms: about.tier_ms,
            flags: self.flags,
            samples: self.samples,
            schema_len: (schema_end - HEADER_BYTES) as u32,
            schema_crc: crc(HEADER_BYTES, schema_end),
            times_len: (times_end - schema_end) as u32,
            times_crc: crc(schema_end, times_end),
            blobs_len: (blobs_end - times_end) as u32,
            directory_len: (directory_end - blobs_end) as u32,
            directory_crc: crc(blobs_end, directory_end),
            follows_ms: about.follows_ms,
        };
        out[..HEADER_BYTES].copy_from_slice(&header.bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header.len.to_le_bytes());
        out.extend_from_slice(&TRAILER_MAGIC);
        Some((out, header))
    }
}
