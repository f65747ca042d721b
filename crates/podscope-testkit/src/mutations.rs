//! Seeded mutations of committed inputs: what a fuzzer does, in bounded time and the same on every run.
//!
//! A crate keeps its *fuzz bodies* - functions of bytes that must neither panic nor answer nonsense - in a module `fuzz_bodies`, its
//! seeds in `fuzz-corpus/<body>/`, and calls [`run`] in an ordinary test. `fuzz/` holds one cargo-fuzz target per body.

use std::path::Path;

/// Mutations of each seed, unless `PODSCOPE_FUZZ_CASES` says otherwise.
const CASES: u64 = 400;

/// Calls `body` with every seed of a folder as it is, and with seeded mutations of it. Answers how many calls were made.
///
/// # Panics
/// When the folder holds no seed, or `body` panics; the case that did is printed before.
pub fn run(corpus: &Path, body: fn(&[u8])) -> u64 {
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| {
            let path = entry.expect("a directory entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a seed that can be read"))
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", corpus.display());
    let cases = std::env::var("PODSCOPE_FUZZ_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut calls = 0;
    for (name, seed) in &seeds {
        body(seed);
        calls += 1;
        for case in 0..cases.unwrap_or(CASES) {
            let bytes = mutated(seed, &seeds[(case % seeds.len() as u64) as usize].1, case);
            let outcome = std::panic::catch_unwind(|| body(&bytes));
            assert!(
                outcome.is_ok(),
                "{name}, mutation {case}: see the panic above; {} bytes",
                bytes.len()
            );
            calls += 1;
        }
    }
    calls
}

/// Numbers that are often at a limit.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fffe,
    u64::MAX,
];

/// One mutation of a seed, the same for the same number.
pub fn mutated(seed: &[u8], other: &[u8], number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % limit.max(1)
    };
    let mut bytes = seed.to_vec();
    for _ in 0..1 + below(4) {
        let at = below(bytes.len());
        match below(7) {
            0 => bytes.truncate(at),
            1 | 2 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            3 => {
                let width = 1 << below(4);
                let edge = EDGES[below(EDGES.len())].to_le_bytes();
                for (place, byte) in bytes.iter_mut().skip(at).zip(&edge[..width]) {
                    *place = *byte;
                }
            }
            4 => {
                let piece: Vec<u8> = bytes
                    .iter()
                    .skip(below(seed.len()))
                    .take(below(64))
                    .copied()
                    .collect();
                bytes.splice(at..at, piece);
            }
            5 => {
                let to = (at + below(64)).min(bytes.len());
                bytes.drain(at..to);
            }
            _ => {
                let piece = other.iter().skip(below(other.len())).take(1 + below(64));
                for (place, byte) in bytes.iter_mut().skip(at).zip(piece) {
                    *place = *byte;
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::mutated;

    #[test]
    fn mutations_differ_from_their_seed_and_are_the_same_every_time() {
        let seed: Vec<u8> = (0..200).collect();
        let changed = (0..100)
            .filter(|number| mutated(&seed, &seed, *number) != seed)
            .count();
        assert!(changed > 90, "{changed}");
        assert!((0..100).all(|number| mutated(&seed, &seed, number) == mutated(&seed, &seed, number)));
        assert!((0..100).all(|number| mutated(&[], &[], number).len() < 300));
    }
}
