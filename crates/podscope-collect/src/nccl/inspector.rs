//! Collectives from NCCL Inspector's files: histograms by collective, size and job, and who makes the others wait.
//!
//! What is read: the files of `nccl.inspector_files`, for instance `/var/log/nccl-inspector-*/*.log`, one JSON object per
//! collective and rank; a simulated machine appends to such files:
//!
//! ```text
//! {"header":{"id":"0x7f8c","rank":2,"n_ranks":512,"nnodes":64},"metadata":{"hostname":"emea-gpu-07","dump_timestamp_us":1748030377748202,"pid":1639453},
//!  "coll_perf":{"coll":"AllReduce","coll_sn":1407,"coll_msg_size_bytes":268435456,"coll_exec_time_us":1974}}
//! ```
//!
//! A record of another host is left out (`only_this_host`): its own agent reads it. The job is that of the record, or of the path
//! by `job_pattern`. Labels would explode, so a node keeps 48 combinations of collective, size and job; records of further ones are
//! counted.
//!
//! **Stragglers.** In a collective everybody waits for the last; so the last shows the shortest time. A node sees its own ranks
//! only: for each collective that three or more of them recorded, the deviation of each from their median, and who took the
//! least time. Between nodes, the means by rank are compared when they are asked for: a node's mean against the median of the job's
//! nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::catalog::nccl::inspector as catalog;

use super::NcclConfig;
use super::record::{Record, each};
use super::tail::Tail;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::histogram::{Edges, Histogram, HistogramDefs};

/// The collector's name.
pub const NAME: &str = "nccl_inspector";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Nccl,
    interval_ms: 5_000,
    metrics: catalog::ALL,
    touches: &["files of nccl.inspector_files"],
};

/// Combinations of collective, size and job with a histogram.
const MOST_HISTOGRAMS: usize = 48;
/// Ranks of jobs with series, and collectives of theirs.
const MOST_RANKS: usize = 256;
/// Collectives whose ranks are waited for.
const MOST_GROUPS: usize = 8192;
/// Looks after which a collective's records are taken to be complete.
const SETTLED: u32 = 2;
/// Looks without a record after which a job's series end.
const FORGOTTEN: u32 = 120;
/// Ranks of which a median says something.
const LEAST_RANKS: usize = 3;
/// What one file may keep waiting for its end.
const MOST_REST: usize = 64 << 10;

/// Two per octave from 32 microseconds to 2.1 seconds, then by fours up to 134 seconds.
static EDGES: LazyLock<Edges> = LazyLock::new(|| {
    let fine = (10..=42).map(|half| f64::from(half) / 2.0);
    Edges::octaves(1000, fine.chain([23.0, 25.0, 27.0]))
});

const COLLECTIVES: HistogramDefs = HistogramDefs {
    bucket: &catalog::NCCL_COLLECTIVE_BUCKET,
    sum: &catalog::NCCL_COLLECTIVE_SUM,
    count: &catalog::NCCL_COLLECTIVE_COUNT,
};

/// Upper ends of the sizes and their names: powers of four from 1 KiB on.
const SIZES: [(u64, &str); 13] = [
    (1 << 10, "1KiB"),
    (4 << 10, "4KiB"),
    (16 << 10, "16KiB"),
    (64 << 10, "64KiB"),
    (256 << 10, "256KiB"),
    (1 << 20, "1MiB"),
    (4 << 20, "4MiB"),
    (16 << 20, "16MiB"),
    (64 << 20, "64MiB"),
    (256 << 20, "256MiB"),
    (1 << 30, "1GiB"),
    (4 << 30, "4GiB"),
    (16 << 30, "16GiB"),
];

fn size(bytes: u64) -> &'static str {
    let found = SIZES.iter().find(|(end, _)| bytes <= *end);
    found.map_or("more", |(_, name)| name)
}

#[derive(Debug)]
struct Combination {
    times: Histogram,
    bytes: u64,
    seen: u32,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// The mean since the last time; nothing when nothing came.
    fn take(&mut self) -> Option<f64> {
        let Self { sum, count } = std::mem::take(self);
        (count > 0).then(|| sum / count as f64)
    }
}

#[derive(Debug, Default)]
struct Rank {
    /// By collective.
    means: BTreeMap<String, Mean>,
    deviation: Mean,
    earliest: u64,
    seen: u32,
}

/// One collective, as the ranks of this node record it.
#[derive(Debug)]
struct Group {
    job: String,
    began: u32,
    times: Vec<(u32, f64)>,
}

/// Reads NCCL Inspector's files.
#[derive(Debug)]
pub struct NcclInspector {
    tail: Tail,
    told: Told,
    problems: Problems,
}

#[derive(Debug)]
struct Told {
    fs: Arc<dyn HostFs>,
    config: NcclConfig,
    host: String,
    looks: u32,
    /// By collective, size and job.
    combinations: BTreeMap<(String, &'static str, String), Combination>,
    /// By job and rank.
    ranks: BTreeMap<(String, u32), Rank>,
    /// By communicator, collective and number.
    groups: BTreeMap<(String, String, u64), Group>,
    /// The beginnings of records, by file.
    rests: BTreeMap<u64, Vec<u8>>,
    bad: u64,
    left_out: u64,
}

impl NcclInspector {
    pub fn new(fs: Arc<dyn HostFs>, config: &NcclConfig) -> Self {
        // Not resumed: a histogram begins at zero with its process anyway.
        Self {
            tail: Tail::new(Arc::clone(&fs), &config.inspector_files, None),
            told: Told {
                fs,
                config: config.clone(),
                host: String::new(),
                looks: 0,
                combinations: BTreeMap::new(),
                ranks: BTreeMap::new(),
                groups: BTreeMap::new(),
                rests: BTreeMap::new(),
                bad: 0,
                left_out: 0,
            },
            problems: Problems::default(),
        }
    }
}

/// A host's name without its domain.
fn short(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

impl Told {
    fn piece(&mut self, path: &str, file: u64, bytes: &[u8]) {
        let job = self
            .config
            .job_pattern
            .group(path, "job")
            .unwrap_or("")
            .to_owned();
        let mut rest = self.rests.remove(&file).unwrap_or_default();
        rest.extend_from_slice(bytes);
        let read = each(&rest, |record| match record {
            Some(record) => self.record(record, &job),
            None => self.bad += 1,
        });
        rest.drain(..read);
        if rest.len() > MOST_REST {
            self.bad += 1;
        } else if !rest.is_empty() && self.rests.len() < 256 {
            self.rests.insert(file, rest);
        }
    }

    fn record(&mut self, mut record: Record, path_job: &str) {
        let other = !record.host.is_empty() && short(&record.host) != short(&self.host);
        if self.config.only_this_host && other {
            return;
        }
        if record.job.is_empty() {
            path_job.clone_into(&mut record.job);
        }
        let looks = self.looks;
        let key = (record.collective.clone(), size(record.bytes), record.job.clone());
        let full = self.combinations.len() >= MOST_HISTOGRAMS;
        if full && !self.combinations.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let combination = self.combinations.entry(key).or_insert_with(|| Combination {
            times: Histogram::new(&EDGES),
            bytes: 0,
            seen: looks,
        });
        combination.times.add((record.microseconds * 1000.0) as u64, 1);
        combination.bytes = combination.bytes.saturating_add(record.bytes);
        combination.seen = looks;
        let seconds = record.microseconds / 1e6;
        if let Some(rank) = self.rank(&record.job, record.rank) {
            rank.seen = looks;
            rank.means
                .entry(record.collective.clone())
                .or_default()
                .add(seconds);
        }
        if self.groups.len() < MOST_GROUPS {
            let key = (record.communicator, record.collective, record.sequence);
            let group = self.groups.entry(key).or_insert_with(|| Group {
                job: record.job,
                began: looks,
                times: Vec::new(),
            });
            if group.times.iter().all(|(rank, _)| *rank != record.rank) {
                group.times.push((record.rank, seconds));
            }
        }
    }

    fn rank(&mut self, job: &str, rank: u32) -> Option<&mut Rank> {
        let full = self.ranks.len() >= MOST_RANKS;
        let key = (job.to_owned(), rank);
        if full && !self.ranks.contains_key(&key) {
            return None;
        }
        Some(self.ranks.entry(key).or_default())
    }

    /// Compares the ranks of collectives that are complete.
    fn settle(&mut self) {
        let looks = self.looks;
        let settled = |group: &Group| looks.wrapping_sub(group.began) >= SETTLED;
        let mut over = Vec::new();
        self.groups.retain(|_, group| {
            let keep = !settled(group);
            if !keep && group.times.len() >= LEAST_RANKS {
                over.push((std::mem::take(&mut group.job), std::mem::take(&mut group.times)));
            }
            keep
        });
        for (job, mut times) in over {
            times.sort_by(|one, other| one.1.total_cmp(&other.1));
            let half = times.len() / 2;
            let median = match times.len() % 2 {
                0 => f64::midpoint(times[half - 1].1, times[half].1),
                _ => times[half].1,
            };
            if median <= 0.0 {
                continue;
            }
            for (at, (rank, seconds)) in times.iter().enumerate() {
                if let Some(rank) = self.rank(&job, *rank) {
                    rank.deviation.add((seconds - median) / median);
                    rank.earliest += u64::from(at == 0);
                }
            }
        }
    }

    fn forget(&mut self) {
        let looks = self.looks;
        let old = |seen: u32| looks.wrapping_sub(seen) >= FORGOTTEN;
        self.combinations.retain(|_, combination| !old(combination.seen));
        self.ranks.retain(|_, rank| !old(rank.seen));
    }

    fn write(&mut self, row: &mut Row) {
        for ((collective, size, job), combination) in &self.combinations {
            let labels = [
                ("collective", collective.as_str()),
                ("size", size),
                ("job_id", job),
            ];
            combination.times.write(&COLLECTIVES, &labels, row);
            row.set(&catalog::NCCL_COLLECTIVE_BYTES, &labels, combination.bytes as f64);
        }
        for ((job, number), rank) in &mut self.ranks {
            let number = number.to_string();
            let labels = [("job_id", job.as_str()), ("rank", number.as_str())];
            for (collective, mean) in &mut rank.means {
                if let Some(mean) = mean.take() {
                    let labels = [("collective", collective.as_str()), labels[0], labels[1]];
                    row.set(&catalog::NCCL_RANK_MEAN, &labels, mean);
                }
            }
            if let Some(deviation) = rank.deviation.take() {
                row.set(&catalog::NCCL_RANK_DEVIATION, &labels, deviation);
            }
            row.set(&catalog::NCCL_RANK_EARLIEST, &labels, rank.earliest as f64);
        }
        row.set(&catalog::NCCL_INSPECTOR_BAD_LINES, &[], self.bad as f64);
        row.set(&catalog::NCCL_INSPECTOR_LEFT_OUT, &[], self.left_out as f64);
    }
}

impl Collector for NcclInspector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.told.config.inspector_files.is_empty() {
            return Support::NotPresent("no files in nccl.inspector_files".to_owned());
        }
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let Self { tail, told, problems } = self;
        if told.config.inspector_files.is_empty() {
            return Ok(());
        }
        if told.host.is_empty() {
            told.host = told.fs.uname().map(|uname| uname.nodename).unwrap_or_default();
        }
        told.looks = told.looks.wrapping_add(1);
        for problem in tail.look(|piece| told.piece(piece.path, piece.file, piece.bytes)) {
            problems.push(problem);
        }
        told.settle();
        told.forget();
        told.write(row);
        row.set(&catalog::NCCL_INSPECTOR_FILES, &[], tail.files() as f64);
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
