//! The judge that is not ours: Grafana's SDK and hashicorp/go-plugin, in Go (`crates/podscope-testkit/judge`).

use std::path::{Path, PathBuf};

use super::EXECUTABLE;
use super::agent::{FakeAgent, Manner};

/// The judge's executable; `None`, with a printed line, where it was not built and nobody insists on it.
fn judge() -> Option<PathBuf> {
    let path = std::env::var_os("PODSCOPE_JUDGE")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/podscope/bin/frame-judge"))
        })?;
    if path.is_file() {
        return Some(path);
    }
    let insisted = std::env::var_os("PODSCOPE_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(
        !insisted,
        "{} does not exist; scripts/test builds it",
        path.display()
    );
    eprintln!("skipped: no judge at {}", path.display());
    None
}

async fn run(arguments: &[&str]) {
    let Some(judge) = judge() else { return };
    let out = tokio::process::Command::new(judge)
        .args(arguments)
        .output()
        .await
        .expect("the judge runs");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(text.contains(" 0 failed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grafanas_sdk_reads_every_golden_frame_as_we_render_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/frames");
    let frames = std::fs::read_dir(folder)
        .expect("golden frames")
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "arrow"))
        })
        .count();
    assert!(frames >= 12, "only {frames} golden frames");
    run(&["frames", folder]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_plugin_starts_the_executable_and_its_answers_hold() {
    let (a, b) = (
        FakeAgent::start("a", Manner::Answers).await,
        FakeAgent::start("b", Manner::Answers).await,
    );
    run(&["live", EXECUTABLE, &format!("{},{}", a.url(), b.url())]).await;
}
