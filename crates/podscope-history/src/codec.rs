//! Columns to bytes and back: pco over scaled integers or doubles, or the tokens of the open chunk where those are shorter.

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch};

use crate::column::{Coding, Entry, GAPS, HAS_NAN, Stats};
use crate::scale::{scaled, unscale};
use crate::token::{self, Values};
use crate::varint::{self, Reader};

/// pco's effort. On chunks of 600 rows level 8 saves 0.3 % of the bytes and takes a third longer to decode.
const LEVEL: usize = 5;
/// Efforts that are tried where time does not matter: few bins describe a smooth column in fewer bytes than many do.
const LEVELS: [usize; 4] = [2, 3, 4, 5];

/// The codec of one thread, with its buffers.
pub(crate) struct Codec {
    configs: Vec<ChunkConfig>,
    compressor: FileCompressor,
    scratch: DecompressorScratch,
    integers: Vec<i64>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self {
            configs: vec![ChunkConfig::default().with_compression_level(LEVEL)],
            compressor: FileCompressor::default(),
            scratch: DecompressorScratch::default(),
            integers: Vec::new(),
        }
    }
}

/// pco's own header; kept once per file.
pub(crate) fn pco_header() -> Vec<u8> {
    FileCompressor::default()
        .write_header(Vec::new())
        .unwrap_or_default()
}

/// Reads the header that [`pco_header`] wrote.
pub(crate) fn pco_reader(header: &[u8]) -> Option<FileDecompressor> {
    FileDecompressor::new(header).ok().map(|(reader, _)| reader)
}

impl Codec {
    /// Takes longer to encode and finds the shortest form: for what is written once and kept.
    pub(crate) fn thorough() -> Self {
        let config = |level| ChunkConfig::default().with_compression_level(level);
        Self {
            configs: LEVELS.map(config).to_vec(),
            ..Self::default()
        }
    }

    /// Encodes a column: its entry and, unless it is constant, a blob appended to `blobs`. `runs`: its validity where it
    /// is not there in every row.
    pub(crate) fn encode(
        &mut self,
        column: u32,
        values: &[f64],
        runs: Option<&[u32]>,
        blobs: &mut Vec<u8>,
    ) -> Entry {
        let mut entry = Entry {
            column,
            coding: Coding::Constant,
            scale: 0,
            flags: 0,
            offset: 0,
            len: 0,
            stats: Stats {
                crc: 0,
                count: values.len() as u32,
            },
        };
        if let (Some(first), None) = (values.first(), runs)
            && values.iter().all(|value| value.to_bits() == first.to_bits())
        {
            let bits = first.to_bits();
            (entry.offset, entry.len) = (bits as u32, (bits >> 32) as u32);
            return entry;
        }
        let start = blobs.len();
        if let Some(runs) = runs {
            entry.flags |= GAPS;
            runs.iter().for_each(|run| varint::put(blobs, u64::from(*run)));
        }
        if values.iter().any(|value| value.is_nan()) {
            entry.flags |= HAS_NAN;
        }
        let tokens = token::of_values(values);
        let packed = self.pack(values, tokens.len());
        let payload = match &packed {
            Some((coding, scale, bytes)) => {
                (entry.coding, entry.scale) = (*coding, *scale);
                bytes
            }
            None => {
                entry.coding = Coding::Tokens;
                &tokens
            }
        };
        blobs.extend_from_slice(payload);
        entry.offset = start as u32;
        entry.len = (blobs.len() - start) as u32;
        entry.stats.crc = crc32c::crc32c(&blobs[start..]);
        entry
    }

    /// The values through pco, when that takes fewer than `limit` bytes.
    fn pack(&mut self, values: &[f64], limit: usize) -> Option<(Coding, u8, Vec<u8>)> {
        // pco's own description of a chunk takes about this much.
        if limit <= 24 {
            return None;
        }
        let (coding, scale, bytes) = match scaled(values, &mut self.integers) {
            Some(scale) => (
                Coding::Integers,
                scale,
                shortest(&self.compressor, &self.configs, &self.integers)?,
            ),
            None => (
                Coding::Floats,
                0,
                shortest(&self.compressor, &self.configs, values)?,
            ),
        };
        (bytes.len() < limit).then_some((coding, scale, bytes))
    }

    /// Timestamps through pco.
    pub(crate) fn encode_times(&self, times: &[i64]) -> Option<Vec<u8>> {
        shortest(&self.compressor, &self.configs, times)
    }

    pub(crate) fn decode_times(
        &mut self,
        pco: &FileDecompressor,
        bytes: &[u8],
        rows: usize,
    ) -> Option<Vec<i64>> {
        let mut times = vec![0; rows];
        decompress(pco, bytes, &mut times, &mut self.scratch)?;
        times.is_sorted_by(|a, b| a < b).then_some(times)
    }

    /// Appends the values of a column to `out`. Answers its validity runs when it has gaps; `None` when the blob, though
    /// its checksum was right, makes no sense.
    pub(crate) fn decode(
        &mut self,
        pco: &FileDecompressor,
        entry: &Entry,
        blob: &[u8],
        rows: u32,
        out: &mut Vec<f64>,
    ) -> Option<Option<Vec<u32>>> {
        if entry.coding == Coding::Constant {
            out.resize(out.len() + rows as usize, entry.constant());
            return Some(None);
        }
        let mut reader = Reader::new(blob);
        let runs = if entry.has_gaps() {
            Some(read_runs(&mut reader, rows)?)
        } else {
            None
        };
        let count = runs.as_ref().map_or(rows, |runs| runs.iter().step_by(2).sum());
        if count != entry.stats.count {
            return None;
        }
        let start = out.len();
        let count = count as usize;
        match entry.coding {
            Coding::Constant => {}
            Coding::Tokens => {
                if !Values::new(reader.rest()).read_into(count, out) {
                    return None;
                }
            }
            Coding::Integers => {
                self.integers.clear();
                self.integers.resize(count, 0);
                decompress(pco, reader.rest(), &mut self.integers, &mut self.scratch)?;
                unscale(&self.integers, entry.scale, out)?;
            }
            Coding::Floats => {
                out.resize(start + count, 0.0);
                decompress(pco, reader.rest(), &mut out[start..], &mut self.scratch)?;
            }
        }
        Some(runs)
    }
}

fn read_runs(reader: &mut Reader<'_>, rows: u32) -> Option<Vec<u32>> {
    let (mut runs, mut known) = (Vec::new(), 0_u32);
    while known < rows {
        let run = u32::try_from(reader.varint()?).ok()?;
        // Only the first run may be empty: anything else would go on for ever.
        if run == 0 && !runs.is_empty() {
            return None;
        }
        known = known.checked_add(run)?;
        runs.push(run);
    }
    (known == rows).then_some(runs)
}

fn shortest<T: pco::data_types::Number>(
    compressor: &FileCompressor,
    configs: &[ChunkConfig],
    numbers: &[T],
) -> Option<Vec<u8>> {
    let tried = configs
        .iter()
        .filter_map(|config| compress(compressor, config, numbers));
    tried.min_by_key(Vec::len)
}

fn compress<T: pco::data_types::Number>(
    compressor: &FileCompressor,
    config: &ChunkConfig,
    numbers: &[T],
) -> Option<Vec<u8>> {
    if numbers.is_empty() {
        return Some(Vec::new());
    }
    let mut chunk = compressor.chunk_compressor(numbers, config).ok()?;
    let mut out = Vec::with_capacity(chunk.meta_size_hint() + chunk.page_size_hint(0));
    chunk.write_meta(&mut out).ok()?;
    chunk.write_page(0, &mut out).ok()?;
    Some(out)
}

fn decompress<T: pco::data_types::Number>(
    pco: &FileDecompressor,
    bytes: &[u8],
    out: &mut [T],
    scratch: &mut DecompressorScratch,
) -> Option<()> {
    if out.is_empty() {
        return Some(());
    }
    let (chunk, rest) = pco.chunk_decompressor::<T, _>(bytes).ok()?;
    let mut page = chunk
        .page_decompressor_with_scratch(rest, out.len(), scratch)
        .ok()?;
    let progress = page.read(out).ok()?;
    (progress.n_processed == out.len() && progress.finished).then_some(())
}
