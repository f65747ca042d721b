//! Garbage where the kernel's text should be: no collector may panic, invent a value or hide what went wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podscope_collect::{CollectError, HostConfig, HostFs, MemFs, Mount, VfsStat, host_collectors};
use podscope_model::batch::Row;

/// A small generator with a fixed seed: every run tries the same garbage.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }
}

fn machines() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = std::fs::read_dir(testdata).expect("testdata is there");
    let folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(!folders.is_empty());
    folders
}

fn machine(folder: &Path) -> Arc<MemFs> {
    let fs = MemFs::from_dir(folder).expect("the capture is readable");
    fs.set_mount(
        "/",
        Mount::Answers(VfsStat {
            block_size: 4096,
            blocks: 10,
            ..VfsStat::default()
        }),
    );
    Arc::new(fs)
}

/// One collection by every collector: the samples of each, and every error.
fn collect(fs: &Arc<MemFs>) -> (BTreeMap<&'static str, BTreeMap<String, f64>>, Vec<CollectError>) {
    let mut samples = BTreeMap::new();
    let mut errors = Vec::new();
    for mut collector in host_collectors(Arc::clone(fs) as Arc<dyn HostFs>, &HostConfig::default()) {
        let mut row = Row::new();
        let support = collector.detect();
        let result = collector.collect(&mut row);
        // A collector that is not present may fail; nobody calls it.
        if support.is_present() {
            errors.extend(result.err());
        }
        errors.extend(collector.take_problems());
        let values = row
            .samples()
            .map(|(column, value)| (column.labels.to_string(), value))
            .collect();
        samples.insert(collector.descriptor().name, values);
    }
    (samples, errors)
}

fn check(path: &str, error: &CollectError) {
    match error {
        CollectError::Read { path: named, .. } => assert!(named.starts_with('/'), "{path}: {error}"),
        CollectError::Parse {
            path: named, line, ..
        } => {
            assert!(named.starts_with('/'), "{path}: {error}");
            assert!(
                error.to_string().starts_with(&format!("{named}:{line}: ")),
                "{error}"
            );
            assert!(
                error.to_string().len() < 700,
                "{path}: an error of {} bytes",
                error.to_string().len()
            );
        }
        other => panic!("{path}: {other}"),
    }
}

/// The garbage tried on one file.
fn garbage(original: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let mut tries = vec![
        Vec::new(),
        b"\n".to_vec(),
        b"\xff\xfe\x00\x80".to_vec(),
        b"-1\n".to_vec(),
        b"18446744073709551616 99999999999999999999999999\n".to_vec(),
        b"NaN inf -inf 0x 1e999\n".to_vec(),
        b":::::: - - - = = =\n".to_vec(),
        "\u{fb01}\u{1f600} caf\u{e9}:\n".repeat(50).into_bytes(),
        vec![b'7'; 100_000],
    ];
    // A read that was cut off.
    for _ in 0..3 {
        tries.push(original[..random.below(original.len())].to_vec());
    }
    // Bytes that changed.
    for _ in 0..6 {
        let mut changed = original.to_vec();
        for _ in 0..=random.below(4) {
            if !changed.is_empty() {
                let at = random.below(changed.len());
                let byte = [b' ', b'\n', b':', b'x', b'-', b'9', 0, 0xff][random.below(8)];
                changed[at] = byte;
            }
        }
        tries.push(changed);
    }
    // A line twice, and one gone.
    let lines: Vec<&[u8]> = original.split_inclusive(|byte| *byte == b'\n').collect();
    let chosen = random.below(lines.len());
    if let Some(line) = lines.get(chosen) {
        tries.push([original, line].concat());
        tries.push(
            lines
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != chosen)
                .flat_map(|(_, line)| *line)
                .copied()
                .collect(),
        );
    }
    tries
}

#[test]
fn garbage_in_any_file_is_an_error_with_its_place_or_an_absent_value_and_never_a_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut errors_seen = 0;
    for folder in machines() {
        let fs = machine(&folder);
        for path in fs.files().into_iter().filter(|path| !path.ends_with(".metrics")) {
            let mut original = Vec::new();
            fs.read(&path, &mut original).expect("a file of the capture");
            let mut tries = garbage(&original, &mut random);
            if path.starts_with("/sys") {
                // There are hundreds of files with one value in each: some garbage for every one of them.
                while tries.len() > 4 {
                    tries.swap_remove(random.below(tries.len()));
                }
            }
            for content in tries {
                fs.write(&path, content);
                let (samples, errors) = collect(&fs);
                for value in samples.values().flat_map(BTreeMap::values) {
                    assert!(value.is_finite(), "{path} made a value of {value}");
                }
                for error in &errors {
                    check(&path, error);
                }
                errors_seen += errors.len();
            }
            fs.write(&path, original);
        }
    }
    assert!(errors_seen > 200, "only {errors_seen} errors were told");
}

#[test]
fn an_unreadable_file_costs_its_own_readings_only() {
    for folder in machines() {
        let fs = machine(&folder);
        let (all, errors) = collect(&fs);
        assert!(errors.is_empty(), "{errors:?}");
        for path in fs.files().into_iter().filter(|path| !path.ends_with(".metrics")) {
            let mut original = Vec::new();
            fs.read(&path, &mut original).expect("a file of the capture");
            // EIO
            fs.make_unreadable(&path, 5);
            let (samples, errors) = collect(&fs);
            let mut losers = 0;
            for (name, before) in &all {
                let after = &samples[name];
                losers += usize::from(after.len() < before.len());
                for (series, value) in after {
                    // Info series carry what was read as labels.
                    let is_info =
                        series.contains("_info{") || series.contains("_names{") || path.ends_with("/name");
                    assert!(
                        is_info || before.get(series) == Some(value) || series.starts_with("node_time"),
                        "{path} unreadable: {name} invented {series} {value}"
                    );
                }
                if after.is_empty() && !before.is_empty() {
                    let told = errors
                        .iter()
                        .any(|error| error.to_string() == format!("cannot read {path}"));
                    assert!(
                        told || *name == "pressure" || *name == "cpu",
                        "{path} unreadable: {name} is silent"
                    );
                }
            }
            assert!(losers <= 1, "{path} unreadable cost {losers} collectors");
            fs.write(&path, original);
        }
    }
}
