//! What an answer of a leaf costs on the wire: `cargo bench -p podscope-model --bench wire`.
//!
//! Divan prints the time per answer and, through the item counter, cells per second; the sizes go to standard error first.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{LeafAnswer, LeafStats, LeafValue, PartialColumn, PartialSeries};
use podscope_model::sample::{Grid, SeriesData, StepSeries};
use podscope_model::wire;

/// Series and steps of the answers worth knowing: eight GPUs over an hour and a day, a node's host metrics, one instant of
/// everything, and many series over few steps.
const SHAPES: [(usize, usize); 5] = [(8, 360), (8, 1_440), (200, 360), (5_000, 1), (2_000, 60)];

fn labels(at: usize) -> Labels {
    let uuid = format!("GPU-{at:08x}-1111-2222-3333-444444444444");
    Labels::from_pairs([
        (NAME, "DCGM_FI_DEV_GPU_UTIL"),
        ("Hostname", "sim-gpu-00"),
        ("UUID", &uuid),
        ("cluster", "sim"),
        ("device", &format!("nvidia{at}")),
        ("gpu", &at.to_string()),
        ("instance", "sim-gpu-00"),
        ("job", "dcgm"),
        ("modelName", "NVIDIA H100 80GB HBM3"),
        ("pci_bus_id", &format!("00000000:{at:02X}:00.0")),
        ("rack", "r01"),
    ])
}

fn answer(steps: usize, value: LeafValue) -> LeafAnswer {
    LeafAnswer {
        leaf_id: "0123456789abcdef0123456789abcdef".to_owned(),
        instance: "sim-gpu-00".to_owned(),
        grid: Grid {
            start_ms: 1_735_732_800_000,
            end_ms: 1_735_732_800_000 + (steps as i64 - 1) * 10_000,
            step_ms: 10_000,
        },
        value,
        covered: vec![(1_735_732_800_000, 1_735_736_400_000)],
        annotations: Vec::new(),
        stats: LeafStats::default(),
        behind: None,
    }
}

fn column(at: usize, steps: usize) -> Vec<f64> {
    (0..steps)
        .map(|step| ((at * 31 + step * 17) % 1_000) as f64 * 0.1)
        .collect()
}

fn of_steps((series, steps): (usize, usize)) -> LeafAnswer {
    let list = (0..series).map(|at| StepSeries {
        labels: labels(at),
        values: column(at, steps),
    });
    answer(steps, LeafValue::Steps(list.collect()))
}

fn of_partials(groups: usize, steps: usize) -> LeafAnswer {
    let group = |at: usize| PartialSeries {
        labels: Labels::from_pairs([("gpu", at.to_string())]),
        columns: [
            PartialColumn::Sum,
            PartialColumn::Compensation,
            PartialColumn::Count,
        ]
        .map(|kind| (kind, column(at, steps)))
        .into(),
    };
    answer(steps, LeafValue::Partials((0..groups).map(group).collect()))
}

fn of_samples(series: usize, samples: usize) -> LeafAnswer {
    let timestamps: Arc<[i64]> = (0..samples as i64).map(|at| at * 1_000).collect();
    let one = |at| SeriesData {
        labels: labels(at),
        timestamps: Arc::clone(&timestamps),
        values: column(at, samples).into(),
    };
    answer(1, LeafValue::Samples((0..series).map(one).collect()))
}

fn main() {
    let mut out = std::io::stderr().lock();
    for shape in SHAPES {
        let body = wire::encode(&of_steps(shape)).expect("well formed");
        let (series, steps) = shape;
        let per_cell = body.len() as f64 / (series * steps) as f64;
        drop(writeln!(
            out,
            "steps {series} x {steps}: {} bytes, {per_cell:.1} per cell",
            body.len()
        ));
    }
    for (name, answer) in [
        ("partials 1 x 360", of_partials(1, 360)),
        ("samples 8 x 300", of_samples(8, 300)),
    ] {
        let body = wire::encode(&answer).expect("well formed");
        drop(writeln!(out, "{name}: {} bytes", body.len()));
    }
    drop(out);
    divan::main();
}

#[divan::bench(args = SHAPES)]
fn encode_steps(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    let answer = of_steps(shape);
    bencher
        .counter(ItemsCount::new(shape.0 * shape.1))
        .bench(|| wire::encode(&answer).expect("well formed"));
}

#[divan::bench(args = SHAPES)]
fn decode_steps(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    let body = Bytes::from(wire::encode(&of_steps(shape)).expect("well formed"));
    bencher
        .counter(ItemsCount::new(shape.0 * shape.1))
        .bench(|| wire::decode(body.clone()).expect("our own body"));
}

#[divan::bench]
fn encode_partials(bencher: Bencher<'_, '_>) {
    let answer = of_partials(1, 360);
    bencher
        .counter(ItemsCount::new(3_usize * 360))
        .bench(|| wire::encode(&answer).expect("well formed"));
}

#[divan::bench]
fn decode_partials(bencher: Bencher<'_, '_>) {
    let body = Bytes::from(wire::encode(&of_partials(1, 360)).expect("well formed"));
    bencher
        .counter(ItemsCount::new(3_usize * 360))
        .bench(|| wire::decode(body.clone()).expect("our own body"));
}
