//! Parsers of what people and other programs write, over seeds and damaged copies of them: an answer or an error with its
//! place, never a panic.

use std::path::Path;

use podscope_agent::config::check;
use podscope_model::event::EventFilter;
use podscope_promql::openmetrics::{TimeUnit, read};

/// Signs that mean something to one parser or another, and one that is no text.
const SIGNS: &[u8] = b"\"\\{}=,[]#\n '`$0-+.eEx\xff";

/// A text's bytes with a few of them changed, cut out, doubled or put elsewhere.
struct Mutations {
    state: u64,
}

impl Mutations {
    fn next(&mut self, below: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below.max(1)
    }

    fn of(&mut self, seed: &str) -> String {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..=self.next(4) {
            let at = self.next(bytes.len());
            let until = (at + 1 + self.next(12)).min(bytes.len());
            match self.next(5) {
                0 => bytes[at] = SIGNS[self.next(SIGNS.len())],
                1 => drop(bytes.drain(at..until)),
                2 => {
                    let piece = bytes[at..until].to_vec();
                    bytes.splice(at..at, piece);
                }
                3 => bytes.truncate(at + 1),
                _ => {
                    let to = self.next(bytes.len());
                    bytes.swap(at, to);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn times() -> usize {
    let times = std::env::var("PODSCOPE_MUTATIONS").ok();
    times.and_then(|times| times.parse().ok()).unwrap_or(1500)
}

#[test]
fn damaged_configurations_are_read_or_refused_with_their_line() {
    let seed = include_str!("golden/default.toml");
    // Its comments hold an example of every key that is not set.
    let examples: String = seed
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.contains(". ") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut mutations = Mutations { state: 1 };
    let mut refused = 0;
    for seed in [seed, &examples] {
        for _ in 0..times() {
            let text = mutations.of(seed);
            if let Err(error) = check::parse(Path::new("agent.toml"), &text, &["self"]) {
                refused += 1;
                assert!(error.to_string().starts_with("agent.toml:"), "{error}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn damaged_expositions_are_read_or_refused_with_their_line() {
    let seeds = [
        include_str!("golden/vm-2cpu.metrics")
            .lines()
            .take(60)
            .collect::<Vec<_>>()
            .join("\n"),
        include_str!("golden/vm-2cpu.openmetrics")
            .lines()
            .take(60)
            .collect::<Vec<_>>()
            .join("\n"),
        "a{b=\"c\\\"d\\n\",\"q.r\"=\"s\"} 1e3 1.5 # {t=\"u\"} 1 2\n{\"x y\"} NaN -2\n# EOF\n".to_owned(),
    ];
    let mut mutations = Mutations { state: 2 };
    let (mut taken, mut refused) = (0, 0);
    for seed in &seeds {
        for _ in 0..times() {
            let text = mutations.of(seed);
            match read(&text, TimeUnit::Seconds, Some(0)) {
                Ok(_) => taken += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.line >= 1 && error.line <= text.lines().count(), "{error}");
                }
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} {refused}");
}

#[test]
fn damaged_event_selectors_are_read_or_refused_with_their_place() {
    let seed = "{kind=\"change\", severity=~\"warning|critical\", a!=`b`} |= \"pre\\\"fetch\" !~ 'x+' |~ \"y\" != \"z\"";
    let mut mutations = Mutations { state: 3 };
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..4 * times() {
        let text = mutations.of(seed);
        match EventFilter::parse(&text) {
            Ok(filter) => {
                taken += 1;
                assert_eq!(
                    EventFilter::parse(&filter.to_string()).expect("its own text"),
                    filter
                );
            }
            Err(error) => {
                refused += 1;
                assert!(error.position <= text.len(), "{error}");
            }
        }
    }
    assert!(taken > 50 && refused > 100, "{taken} {refused}");
}
