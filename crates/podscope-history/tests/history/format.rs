//! The format on disk does not change by accident: a file written by version 1 is read for ever.

use std::path::Path;

use podscope_model::matcher::Matcher;

use crate::support::{open, options, read_matching, scratch};

#[test]
fn a_segment_recorded_with_version_1_reads_the_same() {
    let dir = scratch();
    let name = "raw-1699999200.seg";
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/host-1s")
        .join(name);
    std::fs::copy(recorded, dir.path().join(name)).expect("copies");
    let history = open(&options(dir.path()));
    let all = read_matching(&history, &[], 0, i64::MAX / 2);
    assert_eq!(all.len(), 702);
    assert!(all.values().all(|samples| samples.len() == 1200));
    let load = read_matching(
        &history,
        &[Matcher::equal("__name__", "node_load1")],
        0,
        i64::MAX / 2,
    );
    let load = &load["node_load1{job=\"node\"}"];
    let first = load.first().map(|(t_ms, bits)| (*t_ms, f64::from_bits(*bits)));
    assert_eq!(first, Some((1_700_001_574_527, FIRST_LOAD)));
    // Every bit of every sample, in order.
    let mut sum = 0_u32;
    for (series, samples) in &all {
        sum = crc32c::crc32c_append(sum, series.as_bytes());
        for (t_ms, bits) in samples {
            sum = crc32c::crc32c_append(sum, &t_ms.to_le_bytes());
            sum = crc32c::crc32c_append(sum, &bits.to_le_bytes());
        }
    }
    assert_eq!(sum, CHECKSUM);
}

const FIRST_LOAD: f64 = 22.21;
const CHECKSUM: u32 = 0xfec9_1ae5;
