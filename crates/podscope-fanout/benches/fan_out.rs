//! What one question to one agent costs the asker: `cargo bench -p podscope-fanout --bench fan_out`.
//!
//! The agents are sockets on another thread that answer a body made beforehand; the asker runs on one thread, whose CPU
//! time is divided by the number of requests. Merging at the root is counted apart.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use podscope_fanout::{Fleet, FleetConfig, FleetQuery, TargetSpec};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{LeafAnswer, LeafStats, LeafValue};
use podscope_model::sample::{Grid, StepSeries};
use podscope_model::wire;
use rustix::time::{ClockId, clock_gettime};

const GRID: Grid = Grid {
    start_ms: 0,
    end_ms: 3_590_000,
    step_ms: 10_000,
};
const ROUNDS: u32 = 40;

fn body(node: usize, series: usize) -> Bytes {
    let one = |at: usize| StepSeries {
        labels: Labels::from_pairs([
            (NAME, "temp"),
            ("gpu", &at.to_string()),
            ("instance", &format!("n{node}")),
        ]),
        values: (0..GRID.len()).map(|step| (step * at) as f64 * 0.1).collect(),
    };
    let answer = LeafAnswer {
        leaf_id: format!("leaf-{node}"),
        instance: format!("n{node}"),
        grid: GRID,
        value: LeafValue::Steps((0..series).map(one).collect()),
        covered: vec![(GRID.start_ms, GRID.end_ms)],
        annotations: Vec::new(),
        stats: LeafStats::default(),
        behind: None,
    };
    wire::encode(&answer).expect("well formed").into()
}

async fn answer(State(body): State<Bytes>) -> ([(axum::http::HeaderName, &'static str); 1], Bytes) {
    ([(CONTENT_TYPE, wire::CONTENT_TYPE)], body)
}

/// Serves `nodes` agents on a thread of their own; answers their targets.
fn serve(nodes: usize, series: usize) -> Vec<TargetSpec> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            for node in 0..nodes {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                    .await
                    .expect("a free port");
                let url = format!("http://{}", listener.local_addr().expect("bound"));
                let app = Router::new()
                    .route("/v1/query", post(answer))
                    .with_state(body(node, series));
                tokio::spawn(async move { axum::serve(listener, app).await });
                sender
                    .send(TargetSpec {
                        instance: Some(format!("n{node}")),
                        ..TargetSpec::new(url)
                    })
                    .expect("wanted");
            }
            drop(sender);
            std::future::pending::<()>().await;
        });
    });
    receiver.iter().collect()
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn main() {
    let mut out = std::io::stdout().lock();
    for (nodes, series) in [(8, 8), (64, 8), (256, 8), (64, 100)] {
        let targets = serve(nodes, series);
        let size = body(0, series).len();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let line = runtime.block_on(async {
            let fleet = Fleet::new(FleetConfig::new(targets)).expect("good targets");
            let fleet = Arc::new(fleet);
            let ask = async || {
                let answer = fleet.query(FleetQuery::new("temp", GRID)).await.expect("all answer");
                assert_eq!(answer.completeness.answered, nodes);
                answer.stats.root
            };
            let cold_cpu = thread_cpu();
            ask().await;
            let cold = (thread_cpu() - cold_cpu) / nodes as u32;
            let (mut root, cpu, wall) = (Duration::ZERO, thread_cpu(), Instant::now());
            for _ in 0..ROUNDS {
                root += ask().await;
            }
            let warm = (thread_cpu() - cpu) / (ROUNDS * nodes as u32);
            format!(
                "{nodes} agents x {series} series x {} steps ({size} bytes each): {:.0} us of CPU per request warm, {:.0} us \
                 cold; {:.1} ms a query, of which {:.1} ms at the root",
                GRID.len(),
                warm.as_secs_f64() * 1e6,
                cold.as_secs_f64() * 1e6,
                wall.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS),
                root.as_secs_f64() * 1e3 / f64::from(ROUNDS),
            )
        });
        writeln!(out, "{line}").expect("a terminal or a file");
    }
}
