//! Reading slurmrestd's answers: ten thousand jobs as slurmrestd 22.05 writes them, with all their keys and indentation, in
//! chunks as a connection delivers them. `cargo bench -p podscope-collect`.

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use podscope_collect::slurm::{Head, PollOptions, Poller, SlurmApi, SlurmError, SlurmSource};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const JOBS: usize = 10_000;
const CHUNK: usize = 64 << 10;

/// Captured answers, the list of jobs repeated.
#[derive(Clone)]
struct Captured {
    jobs: String,
}

impl Captured {
    fn new() -> Self {
        let text = include_str!("../src/slurm/testdata/slurm-22.05/jobs.json");
        let begin = text.find("\"jobs\": [").expect("jobs") + 9;
        let end = text.rfind(']').expect("the list ends");
        let (head, rest) = text.split_at(begin);
        let (list, tail) = rest.split_at(end - begin);
        let here = list.matches("\"job_id\"").count();
        let copies: Vec<&str> = std::iter::repeat_n(list.trim_end(), JOBS.div_ceil(here)).collect();
        Self {
            jobs: format!("{head}{}{tail}", copies.join(",")),
        }
    }
}

impl SlurmApi for Captured {
    fn place(&self) -> String {
        "captured".to_owned()
    }

    fn get(
        &mut self,
        target: &str,
        body: &mut dyn FnMut(Head, &[u8]) -> Result<(), SlurmError>,
    ) -> Result<Head, SlurmError> {
        let path = target.split('?').next().unwrap_or_default();
        let text = match path.rsplit('/').next().unwrap_or_default() {
            "jobs" => self.jobs.as_str(),
            "nodes" => include_str!("../src/slurm/testdata/slurm-22.05/nodes.json"),
            "diag" => include_str!("../src/slurm/testdata/slurm-22.05/diag.json"),
            "partitions" => include_str!("../src/slurm/testdata/slurm-22.05/partitions.json"),
            _ => r#"{"paths": {"/slurm/v0.0.38/jobs": {}}}"#,
        };
        let head = Head {
            status: 200,
            retry_after: None,
        };
        for chunk in text.as_bytes().chunks(CHUNK) {
            body(head, chunk)?;
        }
        Ok(head)
    }
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn ten_thousand_jobs(bencher: Bencher<'_, '_>) {
    let captured = Captured::new();
    bencher
        .counter(BytesCount::new(captured.jobs.len()))
        .with_inputs(|| Poller::new(Box::new(captured.clone()), PollOptions::default()))
        .bench_values(|mut poller| {
            let snapshot = poller.snapshot(0).expect("jobs");
            assert!(snapshot.jobs.len() >= JOBS);
            snapshot
        });
}

fn main() {
    divan::main();
}
