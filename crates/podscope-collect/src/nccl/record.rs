//! One record of NCCL Inspector: a collective as one rank saw it.
//!
//! Format version 4 (`plugins/profiler/inspector` of NCCL 2.28): JSON objects one after another, usually a line each. Unknown
//! fields are passed over; records of point-to-point operations are read alike.

use serde::Deserialize;
use serde_json::Value;

/// What is taken of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) communicator: String,
    pub(super) rank: u32,
    pub(super) host: String,
    pub(super) job: String,
    pub(super) collective: String,
    pub(super) sequence: u64,
    pub(super) bytes: u64,
    pub(super) microseconds: f64,
}

#[derive(Deserialize)]
struct Whole {
    header: Head,
    #[serde(default)]
    metadata: Metadata,
    #[serde(alias = "p2p_perf")]
    coll_perf: Performance,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    rank: u32,
    #[serde(default, alias = "slurm_jobid")]
    slurm_job_id: Value,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    hostname: String,
    #[serde(default, alias = "slurm_jobid")]
    slurm_job_id: Value,
}

#[derive(Deserialize)]
struct Performance {
    #[serde(alias = "p2p", alias = "operation")]
    coll: String,
    #[serde(default, alias = "p2p_sn")]
    coll_sn: u64,
    #[serde(default, alias = "p2p_msg_size_bytes", alias = "message_size_bytes")]
    coll_msg_size_bytes: u64,
    #[serde(alias = "p2p_exec_time_us")]
    coll_exec_time_us: f64,
}

/// A text or number as text; anything else, and "unknown", is nothing.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text != "unknown" => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

impl From<Whole> for Record {
    fn from(whole: Whole) -> Self {
        let job = match plain(&whole.metadata.slurm_job_id) {
            job if job.is_empty() => plain(&whole.header.slurm_job_id),
            job => job,
        };
        Self {
            communicator: plain(&whole.header.id),
            rank: whole.header.rank,
            host: whole.metadata.hostname,
            job,
            collective: whole.coll_perf.coll,
            sequence: whole.coll_perf.coll_sn,
            bytes: whole.coll_perf.coll_msg_size_bytes,
            microseconds: whole.coll_perf.coll_exec_time_us,
        }
    }
}

/// Reads the records of some bytes, whole ones only; answers how many bytes they took, and hands over `None` for what is no
/// record.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(Option<Record>)) -> usize {
    let mut from = 0;
    loop {
        let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) else {
            return from;
        };
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let mut broken = None;
        for next in stream.by_ref() {
            match next {
                Ok(value) => take(record(value)),
                Err(error) => {
                    broken = Some(error.is_eof());
                    break;
                }
            }
        }
        let read = from + stream.byte_offset();
        match broken {
            None => return bytes.len(),
            // The end is not written yet.
            Some(true) => return read,
            // Goes on at the next line that begins an object.
            Some(false) => {
                take(None);
                let after = bytes.get(read..).unwrap_or_default();
                let next = after.windows(2).position(|pair| pair == b"\n{");
                match next {
                    Some(at) => from = read + at + 1,
                    None => return bytes.len(),
                }
            }
        }
    }
}

fn record(value: Value) -> Option<Record> {
    let whole: Whole = serde_json::from_value(value).ok()?;
    let good = whole.coll_perf.coll_exec_time_us.is_finite() && whole.coll_perf.coll_exec_time_us >= 0.0;
    good.then(|| whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"header":{"id":"0x7f8c496ae9f661","rank":2,"n_ranks":8,"nnodes":1},"metadata":{"inspector_output_format_version":"v4.0","git_rev":"","rec_mechanism":"profiler_plugin","dump_timestamp_us":1748030377748202,"hostname":"n1","pid":1639453},"coll_perf":{"coll":"AllReduce","coll_sn":1407,"coll_msg_size_bytes":17179869184,"coll_exec_time_us":61974,"coll_algobw_gbs":277.210914,"coll_busbw_gbs":485.119099}}"#;

    fn read(bytes: &[u8]) -> (Vec<Option<Record>>, usize) {
        let mut found = Vec::new();
        let read = each(bytes, |record| found.push(record));
        (found, read)
    }

    #[test]
    fn records_are_read_on_one_line_or_on_many() {
        let pretty: Value = serde_json::from_str(LINE).expect("JSON");
        let pretty = serde_json::to_string_pretty(&pretty).expect("plain data");
        for text in [format!("{LINE}\n{LINE}\n"), format!("{pretty}\n{pretty}\n")] {
            let (found, read) = read(text.as_bytes());
            assert_eq!((found.len(), read), (2, text.len()));
            let one = found[0].as_ref().expect("a record");
            assert_eq!((one.rank, one.sequence, one.bytes), (2, 1407, 17_179_869_184));
            assert_eq!((one.collective.as_str(), one.host.as_str()), ("AllReduce", "n1"));
            assert!((one.microseconds - 61_974.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn what_is_not_written_to_its_end_waits() {
        let text = format!("{LINE}\n{LINE}\n");
        for end in LINE.len() + 1..text.len() - 1 {
            let (found, read) = read(&text.as_bytes()[..end]);
            assert_eq!(found.len(), 1, "{end}");
            assert!(read <= LINE.len() + 1, "{end}");
        }
    }

    #[test]
    fn nonsense_costs_itself_only() {
        let text = format!("{LINE}\n{{\"header\": oops}}\n{LINE}\n{{\"other\": 1}}\n");
        let (found, read) = read(text.as_bytes());
        let good: Vec<bool> = found.iter().map(Option::is_some).collect();
        assert_eq!((good, read), (vec![true, false, true, false], text.len()));
    }

    #[test]
    fn point_to_point_operations_and_jobs_are_read_too() {
        let text = r#"{"header":{"id":7,"rank":0,"slurm_job_id":"4711"},"p2p_perf":{"p2p":"Send","p2p_sn":3,"p2p_msg_size_bytes":1024,"p2p_exec_time_us":12.5}}"#;
        let (found, _) = read(text.as_bytes());
        let one = found[0].as_ref().expect("a record");
        assert_eq!(
            (
                one.collective.as_str(),
                one.job.as_str(),
                one.communicator.as_str()
            ),
            ("Send", "4711", "7")
        );
    }
}
