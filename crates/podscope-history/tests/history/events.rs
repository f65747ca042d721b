//! The event store: durable, deduplicated, bounded, searchable.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use podscope_history::events::{EventOptions, EventSearch, EventStore, FoundEvents, Taken};
use podscope_model::event::{Event, EventFilter, EventKind, Severity};
use podscope_model::labels::Labels;
use podscope_model::scope::Scope;
use podscope_model::source::{Budget, Cancel, SourceError};

use crate::support::faults::{Faults, FaultyIo};
use crate::support::memory::{Leaves, MemoryIo};
use crate::support::scratch;

const DAY_MS: i64 = 86_400_000;

fn options(dir: &Path) -> EventOptions {
    EventOptions {
        rate: 1e9,
        burst: 1e9,
        file_bytes: 2000,
        sync_interval: Duration::ZERO,
        ..EventOptions::new(dir)
    }
}

fn open(options: &EventOptions) -> EventStore {
    EventStore::open(options.clone()).0
}

fn line(n: i64) -> Event {
    Event::new(EventKind::Log, "nccl", format!("line {n}"), n * 1000)
        .severity(if n % 5 == 0 {
            Severity::Error
        } else {
            Severity::Info
        })
        .text(format!("rank {} of job {}", n % 8, n % 3))
        .label("host", &format!("n{}", n % 4))
}

fn fill(store: &EventStore, count: i64) {
    for n in 0..count {
        store.add(line(n), n);
    }
}

fn find(store: &EventStore, selector: &str, range: (i64, i64), limit: usize) -> FoundEvents {
    let filter = EventFilter::parse(selector).expect(selector);
    let search = EventSearch {
        filter: &filter,
        node: &Labels::from_pairs([("instance", "hub")]),
        start_ms: range.0,
        end_ms: range.1,
        limit,
        stored_after_ms: None,
        user: None,
    };
    store.search(&search, &Budget::unlimited()).expect("readable")
}

fn titles(found: &FoundEvents) -> Vec<&str> {
    found
        .events
        .iter()
        .map(|stored| stored.event.title.as_str())
        .collect()
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

#[test]
fn events_are_found_by_time_label_and_word_over_many_files_and_after_a_restart() {
    let dir = scratch();
    let options = options(dir.path());
    let mut store = open(&options);
    for n in 0..200 {
        assert!(matches!(store.add(line(n), n), Taken::Stored(_)));
    }
    for _ in 0..2 {
        let everything = find(&store, "", ALL, 1000);
        assert_eq!(everything.events.len(), 200);
        assert!(everything.events.is_sorted_by_key(|stored| -stored.event.time_ms));
        let newest = find(&store, "", ALL, 3);
        assert_eq!(
            (titles(&newest), newest.truncated),
            (vec!["line 199", "line 198", "line 197"], true)
        );
        assert_eq!(
            titles(&find(&store, "", (10_000, 12_000), 10)),
            ["line 12", "line 11", "line 10"]
        );
        let wanted = (0..200).rev().filter(|n| n % 5 == 0 && n % 4 == 1 && n % 3 == 2);
        let wanted: Vec<String> = wanted.map(|n| format!("line {n}")).collect();
        assert!(wanted.len() > 2);
        let found = find(
            &store,
            r#"{severity="error", host="n1", instance="hub"} |= "job 2""#,
            ALL,
            1000,
        );
        assert_eq!(titles(&found), wanted);
        store = open(&options);
    }
    assert!(
        std::fs::read_dir(dir.path()).expect("lists").count() > 10,
        "many files"
    );
}

#[test]
fn the_same_event_again_is_a_duplicate_and_another_content_a_new_version() {
    let dir = scratch();
    let store = open(&options(dir.path()));
    let incident = Event::new(EventKind::Incident, "cli", "SEV-1: queue wait", 1_000_000)
        .key("sev1")
        .still_open();
    let Taken::Stored(id) = store.add(incident.clone(), 1) else {
        panic!("it is new")
    };
    assert_eq!(store.add(incident.clone(), 2), Taken::Duplicate(id));
    for n in 0..50 {
        store.add(line(n), n);
    }
    let still_open = find(&store, r#"{kind="incident"}"#, (DAY_MS, 2 * DAY_MS), 10);
    assert_eq!(
        titles(&still_open),
        ["SEV-1: queue wait"],
        "what is open covers every later range"
    );
    assert_eq!(
        store.put(id, incident.clone().until(2_000_000), 3),
        Taken::Updated(id)
    );
    let store = open(&options(dir.path()));
    assert!(
        find(&store, r#"{kind="incident"}"#, (DAY_MS, 2 * DAY_MS), 10)
            .events
            .is_empty()
    );
    let closed = find(&store, r#"{kind="incident"}"#, (1_500_000, 1_600_000), 10);
    assert_eq!(
        (closed.events[0].version, closed.events[0].event.end_ms),
        (2, Some(2_000_000))
    );
    assert_eq!(
        store.add(incident.clone().until(2_000_000), 4),
        Taken::Duplicate(id)
    );
    let versions = store.versions(id).expect("readable");
    assert_eq!(versions.len(), 2, "the earlier version is kept");
    assert_eq!(versions[0].event, incident);
    assert_eq!(store.stats().events, 51);
}

#[test]
fn a_chatty_source_is_held_to_its_rate_and_counted_and_the_others_are_not() {
    let dir = scratch();
    let store = open(&EventOptions {
        rate: 1.0,
        burst: 10.0,
        ..options(dir.path())
    });
    let taken = (0..100)
        .filter(|n| matches!(store.add(line(*n), 0), Taken::Stored(_)))
        .count();
    assert_eq!(taken, 10);
    let change = Event::new(EventKind::Change, "cli", "prefetch on", 1);
    assert!(matches!(store.add(change, 0), Taken::Stored(_)));
    assert_eq!(store.stats().dropped, BTreeMap::from([("nccl".to_owned(), 90)]));
    assert!(
        matches!(store.add(line(100), 1000), Taken::Stored(_)),
        "a second later one more"
    );
}

#[test]
fn old_events_go_by_age_and_bytes_and_what_is_open_stays() {
    let dir = scratch();
    let options = EventOptions {
        max_age: Duration::from_secs(86_400),
        max_bytes: 6000,
        ..options(dir.path())
    };
    let store = open(&options);
    let incident = Event::new(EventKind::Incident, "cli", "still open", 0).still_open();
    store.add(incident, 0);
    for n in 0..200 {
        store.add(line(n), n * 1000);
    }
    store.maintain(200_000);
    let stats = store.stats();
    assert!(stats.bytes_on_disk <= 6000 + 2000, "{stats:?}");
    let left = find(&store, r#"{kind="log"}"#, ALL, 1000).events.len();
    assert!((5..100).contains(&left), "{left}");
    assert_eq!(
        titles(&find(&store, r#"{kind="incident"}"#, ALL, 10)),
        ["still open"]
    );
    store.add(line(1_000_000), 10 * DAY_MS);
    store.maintain(10 * DAY_MS);
    let store = open(&options);
    store.maintain(10 * DAY_MS);
    // A file goes as a whole: a few lines may share one with the newest.
    let left = find(&store, "", ALL, 100);
    let left = titles(&left);
    assert_eq!(
        (left.first(), left.last()),
        (Some(&"line 1000000"), Some(&"still open"))
    );
    assert!(left.len() < 12, "{left:?}");
}

#[test]
fn a_full_disk_keeps_events_in_memory_and_writes_them_when_there_is_space() {
    let dir = scratch();
    let faults = Arc::new(Faults::default());
    let (store, _) = EventStore::open_with(options(dir.path()), Arc::new(FaultyIo(Arc::clone(&faults))));
    store.add(line(1), 1);
    faults.full.store(true, Ordering::SeqCst);
    for n in 2..20 {
        assert!(matches!(store.add(line(n), n), Taken::Stored(_)));
    }
    assert!(matches!(store.add(line(5), 5), Taken::Duplicate(_)));
    store.maintain(20);
    assert_eq!(find(&store, "", ALL, 100).events.len(), 19);
    assert!(
        store
            .stats()
            .not_writing
            .is_some_and(|why| why.contains("No space left"))
    );
    faults.full.store(false, Ordering::SeqCst);
    store.maintain(21);
    assert_eq!(store.stats().not_writing, None);
    drop(store);
    assert_eq!(find(&open(&options(dir.path())), "", ALL, 100).events.len(), 19);
}

#[test]
fn no_operation_that_fails_costs_an_event() {
    let count = {
        let dir = scratch();
        let faults = Arc::new(Faults::default());
        let (store, _) = EventStore::open_with(options(dir.path()), Arc::new(FaultyIo(Arc::clone(&faults))));
        fill(&store, 30);
        store.maintain(30);
        faults.count()
    };
    assert!(count > 30);
    for at in 0..count {
        let dir = scratch();
        let faults = Arc::new(Faults::default());
        faults.fail_at.store(at, Ordering::SeqCst);
        let (store, _) = EventStore::open_with(options(dir.path()), Arc::new(FaultyIo(Arc::clone(&faults))));
        fill(&store, 30);
        store.maintain(30);
        assert_eq!(find(&store, "", ALL, 100).events.len(), 30, "operation {at}");
        drop(store);
        assert_eq!(
            find(&open(&options(dir.path())), "", ALL, 100).events.len(),
            30,
            "operation {at}, restarted"
        );
    }
}

#[test]
fn a_power_cut_at_any_instant_costs_no_event_that_was_synced() {
    let io = MemoryIo::default();
    let before = io.operations();
    let dir = Path::new("/events");
    let run = |io: &MemoryIo| -> i64 {
        let (store, _) = EventStore::open_with(options(dir), Arc::new(io.clone()));
        let mut safe = 0;
        for n in 1..=25 {
            store.add(line(n), n);
            store.maintain(n);
            if !io.is_off() {
                safe = n;
            }
        }
        safe
    };
    run(&io);
    let count = io.operations() - before;
    for at in 0..=count {
        let io = MemoryIo::default();
        io.cut_after(at);
        let safe = run(&io);
        for leaves in [Leaves::Nothing, Leaves::Everything, Leaves::Half] {
            let (store, _) = EventStore::open_with(options(dir), Arc::new(io.after_cut(leaves)));
            let found = find(&store, "", ALL, 100).events.len() as i64;
            assert!(found >= safe, "cut at {at}, {leaves:?} left: {found} of {safe}");
            store.add(line(1000), 1000);
            assert_eq!(find(&store, "", ALL, 1).events[0].event.title, "line 1000");
        }
    }
}

#[test]
fn somebody_who_sees_only_their_own_sees_no_event_of_others() {
    let dir = scratch();
    let store = open(&options(dir.path()));
    store.add(
        Event::new(EventKind::Job, "slurm", "hers", 1).label("user", "alice"),
        1,
    );
    store.add(
        Event::new(EventKind::Job, "slurm", "his", 2).label("user", "bob"),
        2,
    );
    store.add(Event::new(EventKind::Change, "vms", "nobody's", 3), 3);
    let filter = EventFilter::default();
    let seen = |name: &str| {
        let scope = Scope::only(name);
        let search = EventSearch {
            filter: &filter,
            node: &Labels::empty(),
            start_ms: 0,
            end_ms: 10,
            limit: 10,
            stored_after_ms: None,
            user: Some(&scope),
        };
        let found = store.search(&search, &Budget::unlimited()).expect("readable");
        titles(&found).join(",")
    };
    assert_eq!((seen("alice").as_str(), seen("").as_str()), ("hers", ""));
}

#[test]
fn a_search_nobody_waits_for_stops() {
    let dir = scratch();
    let store = open(&options(dir.path()));
    fill(&store, 100);
    let cancel = Cancel::default();
    cancel.cancel();
    let filter = EventFilter::default();
    let search = EventSearch {
        filter: &filter,
        node: &Labels::empty(),
        start_ms: 0,
        end_ms: DAY_MS,
        limit: 10,
        stored_after_ms: None,
        user: None,
    };
    let budget = Budget::new(u64::MAX, u64::MAX, None, cancel);
    assert!(matches!(
        store.search(&search, &budget),
        Err(SourceError::Budget(_))
    ));
}

/// Where the child writes; unset in an ordinary test run.
const CHILD_DIR: &str = "PODSCOPE_EVENTS_CHILD";

/// Not a test of its own: what [`a_killed_process_loses_no_event_it_was_given`] kills.
#[test]
#[ignore = "the child process of the kill test"]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let store = open(&EventOptions {
        file_bytes: 20_000,
        ..options(Path::new(&dir))
    });
    let first = store.stats().events as i64;
    for n in first..first + 100_000 {
        store.add(line(n), n);
        if n % 20 == 0 {
            store.maintain(n);
        }
        if writeln!(std::io::stdout().lock(), "event {n}").is_err() {
            break;
        }
    }
}

#[test]
fn a_killed_process_loses_no_event_it_was_given() {
    let dir = scratch();
    let mut kept = 0;
    for kill in 0..6_i64 {
        let mut child = Command::new(std::env::current_exe().expect("this test binary"))
            .args(["--exact", "events::child", "--include-ignored", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut told = None;
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            let (_, number) = line.rsplit_once("event ")?;
            number.parse::<i64>().ok()
        });
        for number in numbers.take(50 + 137 * kill as usize) {
            told = Some(number);
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let store = open(&options(dir.path()));
        let events = store.stats().events as i64;
        let told = told.expect("it told of some");
        assert!(
            events > told && events > kept,
            "{events} events, {told} were told of, {kept} before"
        );
        assert_eq!(
            find(&store, "", (0, i64::MAX), 1_000_000).events.len() as i64,
            events
        );
        kept = events;
    }
}
