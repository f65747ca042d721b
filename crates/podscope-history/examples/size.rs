//! How large a recorded history is before and after its hours are finished: `cargo run -p podscope-history --example size
//! FOLDER`. Works on a copy.

use std::io::Write;
use std::time::Instant;

use podscope_history::{History, Options};
use podscope_model::source::{Budget, Select, SeriesSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let from = std::env::args().nth(1).ok_or("which folder?")?;
    let copy = tempfile::tempdir()?;
    for entry in std::fs::read_dir(&from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, copy.path().join(name))?;
        }
    }
    let mut out = std::io::stdout().lock();
    let options = Options {
        free_space_floor: 0,
        ..Options::new(copy.path())
    };
    let (history, recovery) = History::open(options)?;
    writeln!(out, "{recovery}")?;
    history.seal()?;
    show(&mut out, "as found", copy.path(), &history)?;
    let begin = Instant::now();
    history.finish(history.stats().newest_ms.unwrap_or(0) + 100 * 86_400_000);
    writeln!(out, "finished in {:.0?}", begin.elapsed())?;
    show(&mut out, "finished", copy.path(), &history)?;
    Ok(())
}

fn show(
    out: &mut impl Write,
    when: &str,
    dir: &std::path::Path,
    history: &History,
) -> Result<(), Box<dyn std::error::Error>> {
    let all = Select {
        matchers: &[],
        start_ms: i64::MIN / 2,
        end_ms: i64::MAX / 2,
        step_ms: 1,
        function: None,
    };
    let mut samples = 0;
    let begin = Instant::now();
    history.select(&all, &Budget::unlimited(), &mut |series| {
        samples += series.values.len();
        Ok(())
    })?;
    let read = begin.elapsed();
    let mut sizes = std::collections::BTreeMap::<String, u64>::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((tier, _)) = name.strip_suffix(".seg").and_then(|name| name.split_once('-')) {
            *sizes.entry(tier.to_owned()).or_default() += entry.metadata()?.len();
        }
    }
    let raw = sizes.get("raw").copied().unwrap_or(0);
    writeln!(
        out,
        "{when}: {samples} raw samples, {:.4} bytes each, read at {:.1} ns each; bytes by tier {sizes:?}",
        raw as f64 / samples as f64,
        read.as_nanos() as f64 / samples as f64
    )?;
    Ok(())
}
