//! What agent and child say to each other over the child's standard input and output: JSON, one message per line.
//!
//! The agent asks, the child answers, one question at a time. The version is in every message, because the binary on disk
//! may have been replaced while the agent runs: then the child is newer than its parent.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{NvmlFailure, Snapshot};

/// Raised whenever a message changes its meaning.
pub(super) const VERSION: u32 = 2;

/// A longer line is no message: a node with 16 GPUs of 7 MIG instances needs some 200 KiB.
const LONGEST_LINE: u64 = 4 << 20;

/// Agent to child: read all GPUs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) id: u64,
    /// The processes on them too.
    #[serde(default)]
    pub(super) processes: bool,
}

/// Child to agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Response {
    pub(super) version: u32,
    /// The request it answers.
    pub(super) id: u64,
    pub(super) result: Result<Snapshot, NvmlFailure>,
}

/// Writes one message and sends it off.
pub(super) fn write_message(writer: &mut dyn Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write_all(&line)?;
    writer.flush()
}

/// Reads one message; `None` at the end of the stream.
pub(super) fn read_message<M: DeserializeOwned>(reader: &mut dyn BufRead) -> io::Result<Option<M>> {
    let mut line = Vec::new();
    let read = io::Read::take(&mut *reader, LONGEST_LINE).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the message is cut off",
        ));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{GpuIdentity, GpuSnapshot, Readings};

    #[test]
    fn messages_survive_the_pipe() {
        let gpu = |readings| GpuSnapshot {
            identity: GpuIdentity::default(),
            readings,
            mig: Vec::new(),
        };
        let snapshot = Snapshot {
            gpus: vec![
                gpu(Ok(Readings {
                    gpu_util: Some(97.0),
                    ..Readings::default()
                })),
                gpu(Err(NvmlFailure::GpuLost)),
            ],
            xids: None,
            problems: vec!["one\nof two lines".to_owned()],
            ..Snapshot::default()
        };
        let mut pipe = Vec::new();
        write_message(
            &mut pipe,
            &Response {
                version: VERSION,
                id: 7,
                result: Ok(snapshot.clone()),
            },
        )
        .expect("memory is writable");
        let read: Response = read_message(&mut pipe.as_slice())
            .expect("own output")
            .expect("one message");
        assert_eq!(read.result, Ok(snapshot));
    }

    #[test]
    fn garbage_and_a_cut_message_are_errors() {
        assert!(read_message::<Response>(&mut b"{oops}\n".as_slice()).is_err());
        assert!(read_message::<Response>(&mut b"{\"version\":1".as_slice()).is_err());
        assert!(
            read_message::<Response>(&mut b"".as_slice())
                .expect("the end")
                .is_none()
        );
    }
}
