//! `kill -9` of the real agent at work: what is sealed stays, and no row is lost that the agent had shown to anyone.
//!
//! `PODSCOPE_KILLS` sets how many times; 20 where it is not set.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use podscope_history::{History, Options, StreamSpec};
use podscope_model::batch::Row;
use podscope_model::matcher::Matcher;
use podscope_model::source::{Budget, Select, SeriesSource};
use rustix::process::Signal;

use crate::cluster::{gauge, until};
use crate::program::Program;

/// Ten rows a second.
const INTERVAL_MS: i64 = 100;

/// Rows of another stream, sealed before the first kill.
const SEALED_ROWS: usize = 3_000;

/// Times of all samples of one series, in order.
fn times(history: &History, name: &str) -> Vec<i64> {
    let matchers = [Matcher::equal("__name__", name)];
    let select = Select {
        matchers: &matchers,
        start_ms: 0,
        end_ms: i64::MAX / 2,
        step_ms: 1,
        function: None,
    };
    let mut times = Vec::new();
    history
        .select(&select, &Budget::unlimited(), &mut |series| {
            times.extend_from_slice(&series.timestamps);
            Ok(())
        })
        .expect("readable");
    times
}

fn seal_some(dir: &Path) {
    let (history, _) = History::open(Options::new(dir)).expect("an empty folder");
    let stream = StreamSpec {
        name: "before".to_owned(),
        job: "node".to_owned(),
        interval_ms: 1000,
    };
    let metric = gauge("sealed");
    let first = podscope_agent::schedule::now_ms() - 86_400_000;
    let mut row = Row::new();
    for second in 0..SEALED_ROWS {
        row.begin();
        row.set_foreign(&metric, &[], second as f64);
        history
            .append(&stream, first + 1000 * second as i64, &row)
            .expect("a later row");
    }
    history.seal().expect("writable");
    history.close().expect("writable");
}

/// The time of the newest row, as the agent answers it.
fn newest_shown(agent: &Program) -> Option<i64> {
    let (status, body) = agent
        .request("GET", "/api/v1/query?query=timestamp(node_load1)")
        .ok()?;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).ok()?;
    let seconds: f64 = body["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
    Some((seconds * 1000.0).round() as i64)
}

#[test]
fn a_killed_agent_loses_no_sealed_row_and_none_it_had_shown() {
    let kills: i64 = std::env::var("PODSCOPE_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    seal_some(&data);
    let config = dir.path().join("agent.toml");
    // Kills are to fall into writes and syncs.
    let often = format!("[collectors]\ninterval = \"{INTERVAL_MS}ms\"\n[history]\nsync_interval = \"1s\"\n");
    std::fs::write(&config, often).expect("writable");
    let config = config.to_str().expect("plain");

    let mut known: Vec<i64> = Vec::new();
    for round in 0..kills {
        let started = podscope_agent::schedule::now_ms();
        let mut agent = Program::start(&data, &["--config", config]);
        let stop = AtomicBool::new(false);
        let shown = AtomicI64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if let Some(newest) = newest_shown(&agent) {
                        shown.fetch_max(newest, Ordering::Relaxed);
                    }
                }
            });
            scope.spawn(|| {
                let heavy = "/api/v1/query?query=sum(rate(%7Bjob%3D%22node%22%7D%5B1d%5D))";
                while !stop.load(Ordering::Relaxed) {
                    // The last one is cut off by the kill.
                    drop(agent.request("GET", heavy));
                }
            });
            // Another moment in every round, some of them right after the first new row.
            let before = known.last().copied().unwrap_or_default().max(started);
            let wanted = before + INTERVAL_MS * (1 + 3 * (round % 5));
            until("new rows under load", || {
                (shown.load(Ordering::Relaxed) >= wanted).then_some(())
            });
            agent.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        });
        assert!(!agent.wait().success());

        let (history, recovery) = History::open(Options::new(&data)).expect("a killed agent's folder opens");
        assert_eq!(
            times(&history, "sealed").len(),
            SEALED_ROWS,
            "round {round}: {recovery}"
        );
        let found = times(&history, "node_load1");
        let lost: Vec<&i64> = known
            .iter()
            .filter(|time| found.binary_search(time).is_err())
            .collect();
        assert!(
            lost.is_empty(),
            "round {round}: rows of former rounds are gone: {lost:?}; {recovery}"
        );
        assert!(
            found.is_sorted_by(|a, b| a < b),
            "round {round}: times in order, each once"
        );
        let (newest, shown) = (
            found.last().copied().unwrap_or_default(),
            shown.load(Ordering::Relaxed),
        );
        assert!(
            shown > 0 && newest >= shown,
            "round {round}: {shown} was shown, {newest} is the newest; {recovery}"
        );
        known = found;
    }
    assert!(
        known.len() as i64 >= 2 * kills,
        "{} rows of {kills} rounds",
        known.len()
    );
}
