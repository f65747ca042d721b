//! Collectors on their schedule: hanging, failing, broken, absent, and with a clock that is not what it was.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podscope_agent::driver::Driver;
use podscope_agent::schedule::{Schedule, now_ms};
use podscope_agent::self_metrics::SelfCollector;
use podscope_agent::stream::Stream;
use podscope_collect::{CollectError, Collector, Descriptor, Support};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::Job;
use podscope_model::leaf::CollectorState;
use podscope_model::sample::is_stale;
use podscope_model::source::{Budget, Select, SeriesSource};

use crate::cluster::{Node, T0, gauge, until};

static DESCRIPTOR: Descriptor = Descriptor {
    name: "scripted",
    job: Job::Node,
    interval_ms: 100,
    metrics: &[],
    touches: &["nothing"],
};

type Script = Box<dyn FnMut(&mut Row) -> Result<(), CollectError> + Send>;

/// A collector that does what the test says.
struct Scripted {
    support: Arc<Mutex<Support>>,
    script: Script,
}

impl Collector for Scripted {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        self.support.lock().expect("not poisoned").clone()
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        (self.script)(row)
    }
}

fn driver(
    node: &Node,
    name: &str,
    script: impl FnMut(&mut Row) -> Result<(), CollectError> + Send + 'static,
) -> Driver {
    let support = Arc::new(Mutex::new(Support::Present));
    let stream = node.state.add_stream(name, Job::Node, 100);
    Driver::new(
        Box::new(Scripted {
            support,
            script: Box::new(script),
        }),
        stream,
    )
}

fn steady(metric: Arc<ForeignMetric>) -> impl FnMut(&mut Row) -> Result<(), CollectError> + Send {
    move |row| {
        row.set_foreign(&metric, &[], 1.0);
        Ok(())
    }
}

fn broken() -> CollectError {
    CollectError::Vendor {
        what: "the driver".to_owned(),
        reason: "it is on fire".to_owned(),
    }
}

/// All samples of one metric, as the history has them.
fn stored(node: &Node, name: &str) -> Vec<(i64, f64)> {
    let matchers = [podscope_model::matcher::Matcher::equal("__name__", name)];
    let select = Select {
        matchers: &matchers,
        start_ms: 0,
        end_ms: i64::MAX / 2,
        step_ms: 1,
        function: None,
    };
    let mut samples = Vec::new();
    node.state
        .history()
        .select(&select, &Budget::unlimited(), &mut |series| {
            samples.extend(
                series
                    .timestamps
                    .iter()
                    .copied()
                    .zip(series.values.iter().copied()),
            );
            Ok(())
        })
        .expect("readable");
    samples
}

fn failed(stream: &Stream) -> Option<String> {
    match stream.report().info.state {
        CollectorState::Failed { error } => Some(error),
        _ => None,
    }
}

/// A collector that collects once and then hangs until it is released.
fn hanging(node: &Node) -> (Driver, Sender<()>) {
    let (release, held): (Sender<()>, Receiver<()>) = channel();
    let metric = gauge("hanging");
    let mut collections = 0;
    let driver = driver(node, "hanging", move |row| {
        collections += 1;
        if collections == 2 {
            held.recv().expect("the test releases it");
        }
        row.set_foreign(&metric, &[], f64::from(collections));
        Ok(())
    });
    (driver, release)
}

#[test]
fn a_collector_that_hangs_goes_stale_and_delays_nobody() {
    let node = Node::new();
    let (hung, release) = hanging(&node);
    let hung_stream = Arc::clone(hung.stream());
    let other = driver(&node, "steady", steady(gauge("steady")));
    let history = Arc::clone(node.state.history());
    let schedule = Schedule::start(vec![hung, other], history, Duration::from_millis(300)).expect("threads");

    let error = until("the deadline", || failed(&hung_stream));
    assert!(error.contains("did not finish within its deadline"), "{error}");
    let given_up = stored(&node, "steady").len();
    until("the other goes on", || {
        (stored(&node, "steady").len() > given_up + 3).then_some(())
    });
    let samples = stored(&node, "hanging");
    assert_eq!(samples.len(), 2, "one value and its end: {samples:?}");
    assert!(is_stale(samples[1].1) && !is_stale(samples[0].1), "{samples:?}");
    assert!(samples[1].0 % 100 == 0, "the end stands at the tick that hangs");
    let mut shown = 0;
    hung_stream.for_each_current(|_, _| shown += 1);
    assert_eq!(shown, 0, "/metrics shows nothing either");
    until("missed ticks are counted while it hangs", || {
        (hung_stream.report().missed > 3).then_some(())
    });

    release.send(()).expect("it waits");
    until("it works again", || {
        (hung_stream.report().info.state == CollectorState::Ok).then_some(())
    });
    let values: Vec<f64> = stored(&node, "hanging")
        .iter()
        .map(|(_, value)| *value)
        .filter(|v| !is_stale(*v))
        .collect();
    assert!(
        values.len() >= 2 && values[1] >= 3.0,
        "what came too late is not written: {values:?}"
    );
    assert_eq!(hung_stream.report().failures, 1);
    schedule.stop();
}

#[test]
fn stopping_does_not_wait_for_a_collector_that_hangs() {
    let node = Node::new();
    let (hung, release) = hanging(&node);
    let stream = Arc::clone(hung.stream());
    let history = Arc::clone(node.state.history());
    let schedule = Schedule::start(vec![hung], history, Duration::from_millis(50)).expect("threads");
    until("it hangs", || failed(&stream));
    schedule.stop();
    drop(release);
}

#[test]
fn a_failed_collection_writes_an_empty_row_and_says_why() {
    let node = Node::new();
    let metric = gauge("fragile");
    let mut collections = 0;
    let mut fragile = driver(&node, "fragile", move |row| {
        collections += 1;
        // Half a row is worse than none.
        row.set_foreign(&metric, &[], 1.0);
        if collections == 2 { Err(broken()) } else { Ok(()) }
    });
    for tick in 0..3 {
        fragile.tick(T0 + 100 * tick);
    }
    let values: Vec<bool> = stored(&node, "fragile")
        .iter()
        .map(|(_, value)| is_stale(*value))
        .collect();
    assert_eq!(values, [false, true, false]);
    let report = fragile.stream().report();
    assert_eq!((report.failures, report.info.state), (1, CollectorState::Ok));
}

#[test]
fn a_broken_collector_fails_alone() {
    let node = Node::new();
    let mut collector = driver(&node, "broken", |_| panic!("index out of bounds"));
    collector.tick(T0);
    let error = failed(collector.stream()).expect("failed");
    assert_eq!(error, "the collector itself is broken: index out of bounds");
}

#[test]
fn absent_hardware_is_not_present_and_is_looked_for_again() {
    let node = Node::new();
    let support = Arc::new(Mutex::new(Support::NotPresent("no such device".to_owned())));
    let stream = node.state.add_stream("late", Job::Node, 1000);
    let script = Box::new(steady(gauge("late")));
    let mut late = Driver::new(
        Box::new(Scripted {
            support: Arc::clone(&support),
            script,
        }),
        stream,
    );
    late.tick(T0);
    let reason = CollectorState::NotPresent {
        reason: "no such device".to_owned(),
    };
    assert_eq!(late.stream().report().info.state, reason);
    assert!(stored(&node, "late").is_empty());

    *support.lock().expect("not poisoned") = Support::Present;
    late.tick(T0 + 1000);
    assert_eq!(late.stream().report().info.state, reason, "not at every tick");
    late.tick(T0 + 60_000);
    assert_eq!(late.stream().report().info.state, CollectorState::Ok);
    assert_eq!(stored(&node, "late").len(), 1);
}

#[test]
fn rows_lie_at_multiples_of_the_interval_and_a_new_interval_is_taken_at_once() {
    let node = Node::new();
    let steady = driver(&node, "steady", steady(gauge("steady")));
    let stream = Arc::clone(steady.stream());
    stream.set_interval_ms(3_600_000);
    let history = Arc::clone(node.state.history());
    let schedule = Schedule::start(vec![steady], history, Duration::from_secs(5)).expect("threads");
    let first = until("the first row", || stored(&node, "steady").first().copied());
    assert_eq!(first.0 % 3_600_000, 0);
    stream.set_interval_ms(200);
    schedule.controls().intervals_changed();
    let samples = until("more rows", || {
        Some(stored(&node, "steady")).filter(|samples| samples.len() > 3)
    });
    schedule.stop();
    assert!(samples.iter().all(|(time, _)| time % 200 == 0), "{samples:?}");
    assert!(
        (now_ms() - samples[1].0).abs() < 600_000,
        "times of now: {samples:?}"
    );
}

#[test]
fn a_clock_set_back_loses_nothing() {
    let node = Node::new();
    let mut collector = driver(&node, "steady", steady(gauge("steady")));
    for second in [0, 1, 2, 3, 4] {
        collector.tick(T0 + 1000 * second);
    }
    for second in [-100, -99, -98] {
        collector.tick(T0 + 1000 * second);
    }
    let mut times: Vec<i64> = stored(&node, "steady")
        .iter()
        .map(|(time, _)| (time - T0) / 1000)
        .collect();
    times.sort_unstable();
    assert_eq!(times, [-100, -99, -98, 0, 1, 2, 3, 4]);
    assert_eq!(collector.stream().report().info.state, CollectorState::Ok);
}

#[test]
fn the_agent_tells_how_its_collectors_do() {
    let node = Node::new();
    let mut good = driver(&node, "good", steady(gauge("steady")));
    let mut bad = driver(&node, "bad", |_| Err(broken()));
    let absent = node.state.add_stream("absent", Job::Node, 1000);
    let support = Arc::new(Mutex::new(Support::NotPresent("none".to_owned())));
    let mut absent = Driver::new(
        Box::new(Scripted {
            support,
            script: Box::new(|_| Ok(())),
        }),
        absent,
    );
    let own = node.state.add_stream("self", Job::Podscope, 1000);
    let mut own = Driver::new(Box::new(SelfCollector::new(&node.state, true)), own);
    for second in 0..2 {
        for driver in [&mut good, &mut bad, &mut absent, &mut own] {
            driver.tick(T0 + 1000 * second);
        }
    }
    let text = node
        .state
        .exposition(|job| job == Job::Podscope)
        .render(podscope_agent::exposition::Format::Text);
    for line in [
        "podscope_collector_success{collector=\"good\"} 1",
        "podscope_collector_success{collector=\"bad\"} 0",
        "podscope_collector_success{collector=\"self\"} 1",
        "podscope_collector_failures_total{collector=\"bad\"} 2",
        "podscope_collector_series{collector=\"good\"} 1",
        "podscope_collector_series{collector=\"bad\"} 0",
        "podscope_history_writable 1",
        "podscope_queries_total{result=\"answered\"} 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(
        !text.contains("collector=\"absent\""),
        "absent hardware neither succeeds nor fails"
    );
    let resident = text
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    assert!(resident.expect("told").parse::<f64>().expect("a number") > 1e6);
    let (name, error) = ("bad", failed(bad.stream()).expect("failed"));
    assert_eq!((name, error.as_str()), ("bad", "the driver: it is on fire"));
}
