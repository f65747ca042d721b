//! The fan-out in simulated time: leaves that answer, hang, come late, break off or refuse, callers that go away, all from one
//! seed. What must hold is held after every query: in time, everybody accounted for, nothing left behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    ApiError, ApiErrorKind, LeafAnswer, LeafQuery, LeafStats, LeafValue, NodeInfo, PartialColumn,
    PartialSeries, SeriesAnswer, SeriesQuery,
};
use podscope_model::sample::Grid;
use podscope_promql::Value;
use tokio::time::{Instant, sleep};

use crate::config::{FleetConfig, TargetSpec};
use crate::leaf::{Leaf, LeafFailure, LeafFuture, Weighed};
use crate::node::Node;
use crate::{Fleet, FleetError, FleetQuery};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Tokio's timers count in milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// What a leaf does with the next question.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Answers(Duration),
    /// Takes the question and never answers.
    Hangs,
    /// The connection breaks after a while, in the middle of the answer.
    Breaks(Duration),
    /// Bytes that are no answer.
    Babbles(Duration),
    /// An error of its own that only concerns itself.
    Fails(Duration),
    /// A limit: the question's own fault.
    Refuses(Duration),
    /// On another grid than asked.
    Misunderstands(Duration),
}

impl Manner {
    fn any(random: &mut Random) -> Self {
        match random.below(20) {
            0..10 => Self::Answers(random.millis(200)),
            10 => Self::Answers(random.millis(20_000)),
            11 | 12 => Self::Hangs,
            13 | 14 => Self::Breaks(random.millis(3_000)),
            15 => Self::Babbles(random.millis(3_000)),
            16 => Self::Fails(random.millis(3_000)),
            17 if random.below(8) == 0 => Self::Refuses(random.millis(6_000)),
            18 => Self::Misunderstands(random.millis(500)),
            _ => Self::Answers(Duration::ZERO),
        }
    }

    fn answers_within(self, left: Duration) -> bool {
        matches!(self, Self::Answers(after) if after < left)
    }
}

/// What all leaves of a run share.
#[derive(Default)]
struct World {
    /// Questions under way at the leaves.
    open: AtomicUsize,
    most_open: AtomicUsize,
}

struct Question(Arc<World>);

impl Question {
    fn new(world: &Arc<World>) -> Self {
        let open = world.open.fetch_add(1, Ordering::SeqCst) + 1;
        world.most_open.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(world))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Actor {
    world: Arc<World>,
    at: usize,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
    probed: Arc<AtomicUsize>,
}

impl Actor {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    async fn act(self) -> Result<Manner, LeafFailure> {
        let _question = Question::new(&self.world);
        let manner = self.manner();
        let miss = |text: &str| Err(LeafFailure::miss(ApiErrorKind::Unreachable, text));
        match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Answers(after) | Manner::Misunderstands(after) => {
                sleep(after).await;
                Ok(manner)
            }
            Manner::Breaks(after) => {
                sleep(after).await;
                miss("the connection broke")
            }
            Manner::Babbles(after) => {
                sleep(after).await;
                miss("cannot be read")
            }
            Manner::Fails(after) => {
                sleep(after).await;
                Err(LeafFailure::answered(ApiError::new(
                    ApiErrorKind::Internal,
                    "its disk is gone",
                )))
            }
            Manner::Refuses(after) => {
                sleep(after).await;
                Err(LeafFailure::answered(ApiError::new(
                    ApiErrorKind::Limit,
                    "reads too much",
                )))
            }
        }
    }
}

fn unused<'a, T: 'a>() -> LeafFuture<'a, T> {
    Box::pin(async { Err(LeafFailure::miss(ApiErrorKind::Internal, "not part of this")) })
}

impl Leaf for Actor {
    fn query(&self, query: LeafQuery) -> LeafFuture<'_, LeafAnswer> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let actor = self.clone();
        Box::pin(async move {
            let at = actor.at;
            let mut grid = query.grid;
            if let Manner::Misunderstands(_) = actor.act().await? {
                grid.start_ms += 1;
                grid.end_ms += 1;
            }
            let column = |value: f64| vec![value; grid.len()];
            let group = PartialSeries {
                labels: Labels::empty(),
                columns: vec![
                    (PartialColumn::Sum, column((at + 1) as f64)),
                    (PartialColumn::Compensation, column(0.0)),
                ],
            };
            Ok(Weighed {
                value: LeafAnswer {
                    leaf_id: format!("leaf-{at}"),
                    instance: name(at),
                    grid,
                    value: LeafValue::Partials(vec![group]),
                    covered: Vec::new(),
                    annotations: Vec::new(),
                    stats: LeafStats::default(),
                    behind: None,
                },
                bytes: 100,
            })
        })
    }

    fn series(&self, _: SeriesQuery) -> LeafFuture<'_, SeriesAnswer> {
        unused()
    }

    /// The probe.
    fn info(&self) -> LeafFuture<'_, NodeInfo> {
        self.probed.fetch_add(1, Ordering::SeqCst);
        let actor = self.clone();
        Box::pin(async move {
            actor.act().await?;
            Ok(Weighed {
                value: NodeInfo {
                    leaf_id: String::new(),
                    instance: String::new(),
                    version: String::new(),
                    labels: Default::default(),
                    now_ms: 0,
                    oldest_ms: None,
                    newest_ms: None,
                    series: 0,
                    history_bytes: 0,
                    collectors: Vec::new(),
                    gpus: Vec::new(),
                    metrics: Default::default(),
                },
                bytes: 10,
            })
        })
    }

    fn labels(&self, _: LabelsQuery) -> LeafFuture<'_, LabelsAnswer> {
        unused()
    }

    fn inventory(&self, _: Option<String>) -> LeafFuture<'_, Option<Arc<Inventory>>> {
        unused()
    }
}

fn name(at: usize) -> String {
    format!("n{at}")
}

fn fleet_of(actors: &[Actor], in_flight: usize) -> (Fleet, Vec<Arc<Node>>) {
    let config = FleetConfig {
        timeout: TIMEOUT,
        max_in_flight: in_flight,
        ..FleetConfig::default()
    };
    let nodes: Vec<Arc<Node>> = actors
        .iter()
        .map(|actor| {
            let spec = TargetSpec {
                instance: Some(name(actor.at)),
                ..TargetSpec::new(format!("sim:{}", actor.at))
            };
            Node::new(spec, name(actor.at), TIMEOUT, Box::new(actor.clone()), false)
        })
        .collect();
    let fleet = Fleet::of(config, nodes.clone()).expect("good settings");
    (fleet, nodes)
}

/// What a run went through, so that a test can tell that it was not idle.
#[derive(Debug, Default)]
struct Seen {
    queries: usize,
    whole: usize,
    partial: usize,
    nobody: usize,
    refused: usize,
    cancelled: usize,
    not_asked: usize,
    probes: usize,
}

async fn run(seed: u64, seen: &mut Seen) {
    let mut random = Random(seed);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let world = Arc::new(World::default());
    let count = 1 + random.below(12) as usize;
    let actors: Vec<Actor> = (0..count)
        .map(|at| Actor {
            world: Arc::clone(&world),
            at,
            manner: Arc::new(Mutex::new(Manner::any(&mut random))),
            asked: Arc::default(),
            probed: Arc::default(),
        })
        .collect();
    let in_flight = match random.below(3) {
        0 => 1 + random.below(4) as usize,
        _ => 64,
    };
    let (fleet, nodes) = fleet_of(&actors, in_flight);
    let grid = Grid {
        start_ms: 0,
        end_ms: 30_000,
        step_ms: 15_000,
    };
    for turn in 0..4 + random.below(6) {
        for actor in &actors {
            if random.below(3) == 0 {
                actor.set(Manner::any(&mut random));
            }
        }
        let open: Vec<bool> = nodes.iter().map(|node| node.is_open()).collect();
        let asked: Vec<usize> = actors
            .iter()
            .map(|actor| actor.asked.load(Ordering::SeqCst))
            .collect();
        let manners: Vec<Manner> = actors.iter().map(Actor::manner).collect();
        let started = Instant::now();
        let mut query = FleetQuery::new("sum(m)", grid);
        // Each turn is a question of its own.
        query.lookback_ms += turn as i64;
        let place = format!("seed {seed}, turn {turn}, {manners:?}, open {open:?}, {in_flight} at once");
        seen.queries += 1;
        if random.below(5) == 0 {
            let patience = random.millis(6_000);
            if tokio::time::timeout(patience, fleet.query(query)).await.is_err() {
                seen.cancelled += 1;
            }
            // Aborted tasks are dropped when the runtime next looks at them.
            tokio::task::yield_now().await;
            assert_eq!(fleet.in_flight(), 0, "{place}: a permit is left");
            continue;
        }
        let answer = fleet.query(query).await;
        let took = started.elapsed();
        assert!(took <= TIMEOUT + TICK, "{place}: took {took:?}");
        tokio::task::yield_now().await;
        assert_eq!(fleet.in_flight(), 0, "{place}: a permit is left");
        for (at, actor) in actors.iter().enumerate() {
            let now = actor.asked.load(Ordering::SeqCst);
            if open[at] && nodes[at].is_open() {
                assert_eq!(
                    now, asked[at],
                    "{place}: {at} was asked though its circuit is open"
                );
                seen.not_asked += 1;
            }
        }
        check(&place, answer, &manners, &open, in_flight >= count, seen);
        sleep(random.millis(3_000)).await;
    }
    assert!(world.most_open.load(Ordering::SeqCst) > 0);
    seen.probes += actors
        .iter()
        .map(|actor| actor.probed.load(Ordering::SeqCst))
        .sum::<usize>();
    // Probes end with their fleet, once they next look.
    drop((fleet, nodes));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        world.open.load(Ordering::SeqCst),
        0,
        "seed {seed}: a question is left"
    );
    assert_eq!(tasks(), before, "seed {seed}: a task is left");
}

fn check(
    place: &str,
    answer: Result<crate::FleetAnswer, FleetError>,
    manners: &[Manner],
    open: &[bool],
    all_at_once: bool,
    seen: &mut Seen,
) {
    let refuses = |manner: &Manner| matches!(manner, Manner::Refuses(after) if *after < TIMEOUT);
    match answer {
        Ok(answer) => {
            let completeness = &answer.completeness;
            assert_eq!(completeness.expected, manners.len(), "{place}");
            assert_eq!(
                completeness.answered + completeness.missing.len(),
                manners.len(),
                "{place}: everybody answers or is named"
            );
            let missing: Vec<&str> = completeness
                .missing
                .iter()
                .map(|missing| missing.instance.as_str())
                .collect();
            let mut sum = 0.0;
            for (at, manner) in manners.iter().enumerate() {
                let name = name(at);
                if missing.contains(&name.as_str()) {
                    // Who answers in time is only missing when it was not asked, or not in time.
                    let quick = manner.answers_within(TIMEOUT);
                    assert!(!quick || open[at] || !all_at_once, "{place}: {at} is missing");
                } else {
                    assert!(
                        manner.answers_within(TIMEOUT + TICK),
                        "{place}: {at} cannot have answered"
                    );
                    sum += (at + 1) as f64;
                }
            }
            let Value::Vector(list) = &answer.outcome.value else {
                panic!("{place}: a vector")
            };
            let expected: Vec<Vec<f64>> = vec![vec![sum; 3]];
            let found: Vec<Vec<f64>> = list.iter().map(|series| series.values.clone()).collect();
            assert_eq!(found, expected, "{place}: the sum is of those that answered");
            match completeness.is_complete() {
                true => seen.whole += 1,
                false => seen.partial += 1,
            }
        }
        Err(FleetError::NoneAnswered(completeness)) => {
            assert_eq!(completeness.missing.len(), manners.len(), "{place}");
            seen.nobody += 1;
        }
        Err(FleetError::Leaf { error, .. }) => {
            assert_eq!(error.kind, ApiErrorKind::Limit, "{place}");
            assert!(manners.iter().any(refuses), "{place}: nobody refuses");
            seen.refused += 1;
        }
        Err(other) => panic!("{place}: {other}"),
    }
}

fn simulate(seeds: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(seed, &mut seen));
    }
    seen
}

#[test]
fn every_query_ends_in_time_with_everybody_accounted_for_and_nothing_left() {
    let seeds = std::env::var("PODSCOPE_FANOUT_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_500);
    let seen = simulate(0..seeds);
    // The simulation must have met everything it is about.
    let Seen {
        queries,
        whole,
        partial,
        nobody,
        refused,
        cancelled,
        not_asked,
        probes,
    } = seen;
    let least = [
        ("queries", queries, 5 * seeds as usize),
        ("whole answers", whole, 100),
        ("partial answers", partial, 1_000),
        ("no answers", nobody, 20),
        ("refusals", refused, 10),
        ("callers gone", cancelled, 100),
        ("open circuits", not_asked, 100),
        ("probes", probes, 100),
    ];
    for (what, met, least) in least {
        assert!(met >= least, "{what}: only {met}");
    }
}
