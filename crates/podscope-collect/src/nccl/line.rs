//! What a line of a log says, where it is a warning or error of NCCL, or of PyTorch's watchdog over it.
//!
//! Forms of NCCL 2.4 to 2.28 (`src/debug.cc`) and of PyTorch 2.x, tested on lines as they were published in bug reports.
//!
//! ```text
//! [2026-11-21 08:26:01] emea-gpu-07:3468:3905 [4] transport/net_ib.cc:1615 NCCL WARN NET/IB : Got completion from peer 10.0.0.9<54862> with status=12 opcode=0 len=0 vendor err 129 (Recv)
//! emea-gpu-07:980:1265 [0] NCCL INFO comm 0x55986b8b8560 rank 32 nranks 64 cudaDev 0 nvmlDev 0 busId 18000 commId 0x5ae77eb5ea4ec1ee - Init COMPLETE
//! [rank3]:[E1121 08:31:22.123456789 ProcessGroupNCCL.cpp:616] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1234, OpType=ALLREDUCE, ...) ran for 600012 milliseconds before timing out.
//! ```

use std::sync::LazyLock;

use jiff::civil::DateTime;
use podscope_model::event::Severity;
use regex::Regex;

/// What messages are about, as the label `class` has it; the first whose words are found counts.
const CLASSES: &[(&str, Severity, &[&str])] = &[
    (
        "watchdog_timeout",
        Severity::Error,
        &[
            "watchdog caught collective operation timeout",
            "collective operation timeout",
        ],
    ),
    ("ib_completion", Severity::Error, &["got completion"]),
    (
        "ib_port",
        Severity::Error,
        &["got async event", "port error", "link down"],
    ),
    (
        "memory",
        Severity::Error,
        &[
            "out of memory",
            "failed to allocate",
            "failed to cudamalloc",
            "ibv_reg_mr",
            "failed to malloc",
        ],
    ),
    ("cuda", Severity::Error, &["cuda failure", "cuda error", "cudart"]),
    (
        "remote_exit",
        Severity::Error,
        &[
            "remote process exited",
            "remote process has terminated",
            "closed by remote",
            "remote error",
        ],
    ),
    (
        "connection",
        Severity::Warning,
        &[
            "connect to",
            "connection refused",
            "connection reset",
            "connection closed",
            "connection timed out",
            "waiting for connect",
            "bootstrap",
            "socket",
        ],
    ),
    ("timeout", Severity::Warning, &["timeout", "timed out"]),
    ("abort", Severity::Warning, &["abort"]),
    (
        "system",
        Severity::Warning,
        &["unhandled system error", "call to "],
    ),
    (
        "gpu_direct",
        Severity::Warning,
        &["gpu direct", "gdr", "peermem", "dma-buf", "dmabuf"],
    ),
    (
        "usage",
        Severity::Warning,
        &["invalid usage", "invalid argument", "mismatch", "invalid"],
    ),
    (
        "configuration",
        Severity::Warning,
        &[
            "not found",
            "could not find",
            "plugin",
            "environment",
            "topology",
            "affinity",
        ],
    ),
];
/// The class of everything else.
const OTHER: &str = "other";

/// All classes.
pub(super) fn classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(name, ..)| *name).chain([OTHER])
}

/// A warning or error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message {
    pub(super) class: &'static str,
    pub(super) severity: Option<Severity>,
    /// The message without its head.
    pub(super) text: String,
    pub(super) host: String,
    pub(super) pid: Option<u32>,
    /// CUDA device, as NCCL numbers them in the process.
    pub(super) gpu: Option<u32>,
    pub(super) rank: Option<u32>,
    pub(super) peer: String,
    pub(super) time: Option<LineTime>,
}

/// When a line was written, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LineTime {
    /// In the machine's time zone.
    Local(DateTime),
    Ms(i64),
}

/// What a line is good for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Message(Message),
    /// A process told which rank it has on a device.
    Rank {
        pid: u32,
        gpu: u32,
        rank: u32,
    },
}

macro_rules! pattern {
    ($text:literal) => {{
        // A pattern that does not compile matches nothing, and fails the tests below.
        static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
        PATTERN.as_ref()
    }};
}

/// What the line says; `None` for the great majority.
pub(super) fn parse(line: &str) -> Option<Said> {
    if line.contains("NCCL WARN") || line.contains("NCCL ERROR") {
        return nccl(line).map(Said::Message);
    }
    if line.contains("NCCL INFO") {
        // Written once per communicator and rank.
        return line.contains("Init COMPLETE").then(|| rank(line))?;
    }
    if line.contains("ProcessGroupNCCL") || line.contains("Watchdog caught") {
        return pytorch(line).map(Said::Message);
    }
    None
}

fn nccl(line: &str) -> Option<Message> {
    let found = pattern!(
        r"(?:\b(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<pid>\d+):(?P<tid>\d+) )?(?:\[(?P<gpu>\d+)\] )?(?:\S+:\d+ )?NCCL (?P<level>WARN|ERROR) ?(?P<text>.*)$"
    )?
    .captures(line)?;
    let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
    let text = part("text").trim();
    let (class, severity) = class_of(text);
    let severity = match part("level") {
        "ERROR" => Severity::Error,
        _ => severity,
    };
    let before = line
        .get(..found.get(0).map_or(0, |all| all.start()))
        .unwrap_or("");
    Some(Message {
        class,
        severity: Some(severity),
        host: part("host").to_owned(),
        pid: part("pid").parse().ok(),
        gpu: part("gpu").parse().ok(),
        rank: rank_of(before).or_else(|| rank_of(text)),
        peer: peer_of(text),
        time: time_of(before),
        text: text.to_owned(),
    })
}

fn pytorch(line: &str) -> Option<Message> {
    let lower = line.to_ascii_lowercase();
    let glog = pattern!(r"\[?\b([EWF])(\d{2})(\d{2}) (\d{2}):(\d{2}):(\d{2})")?.captures(line);
    let level = glog
        .as_ref()
        .map_or("", |found| found.get(1).map_or("", |level| level.as_str()));
    // Of the watchdog's many lines, errors and warnings.
    if level.is_empty() && !lower.contains("watchdog caught") {
        return None;
    }
    let (class, severity) = class_of(line);
    let text = match line.split_once("] ") {
        Some((_, rest)) if !rest.trim().is_empty() => rest.trim(),
        _ => line.trim(),
    };
    Some(Message {
        class,
        severity: Some(match level {
            "E" | "F" => Severity::Error,
            _ => severity,
        }),
        rank: rank_of(line),
        text: text.to_owned(),
        ..Message::default()
    })
}

fn class_of(text: &str) -> (&'static str, Severity) {
    let text = text.to_ascii_lowercase();
    let known = CLASSES
        .iter()
        .find(|(_, _, words)| words.iter().any(|word| text.contains(word)));
    known.map_or((OTHER, Severity::Warning), |(class, severity, _)| {
        (class, *severity)
    })
}

/// `[rank3]`, `[Rank 3]`, `rank 3`, and the `3: ` that srun puts in front.
fn rank_of(text: &str) -> Option<u32> {
    let found = pattern!(r"(?i)(?:\brank ?=? ?(\d+))|(?:^(\d+): )")?.captures(text)?;
    found.get(1).or_else(|| found.get(2))?.as_str().parse().ok()
}

/// `peer 10.0.0.9<54862>`, `Connect to 10.0.0.9<3>`, `peer rank 12`, `remote rank 12`.
fn peer_of(text: &str) -> String {
    let by_address = pattern!(r"(?:peer|[Cc]onnect(?:ed)? to|from|remote) ([0-9A-Za-z.:_-]+)<\d+>");
    if let Some(found) = by_address.and_then(|pattern| pattern.captures(text)) {
        return found[1].to_owned();
    }
    let by_rank = pattern!(r"(?i)(?:peer|remote) rank (\d+)");
    by_rank
        .and_then(|pattern| pattern.captures(text))
        .map_or(String::new(), |found| format!("rank {}", &found[1]))
}

/// The time in front of a line: `[2026-11-21 08:26:01]`, `2026-11-21T08:26:01.5`, with a zone or without.
fn time_of(head: &str) -> Option<LineTime> {
    let found = pattern!(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?)(Z|[+-]\d{2}:?\d{2})?")?
        .captures(head)?;
    let local = format!("{}T{}", &found[1], found[2].replace(',', "."));
    match found.get(3) {
        Some(zone) => {
            let stamp: jiff::Timestamp = format!("{local}{}", zone.as_str()).parse().ok()?;
            Some(LineTime::Ms(stamp.as_millisecond()))
        }
        None => local.parse().ok().map(LineTime::Local),
    }
}

/// `host:980:1265 [0] NCCL INFO comm 0x5 rank 32 nranks 64 cudaDev 0 ...`.
fn rank(line: &str) -> Option<Said> {
    let found = pattern!(
        r":(\d+):\d+ \[(\d+)\] NCCL INFO (?:ncclCommInit\S* )?comm 0x[0-9a-f]+ rank (\d+) nranks \d+"
    )?
    .captures(line)?;
    Some(Said::Rank {
        pid: found[1].parse().ok()?,
        gpu: found[2].parse().ok()?,
        rank: found[3].parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> Message {
        match parse(line) {
            Some(Said::Message(message)) => message,
            other => panic!("{other:?} in {line:?}"),
        }
    }

    #[test]
    fn every_pattern_finds_what_it_is_for() {
        let one = message(
            "kp-ddp-worker-0:3468:3905 [4] ib_plugin.c:1615 NCCL WARN NET/IB : Got completion from peer 10.216.210.236<54862> with status=12 opcode=0 len=0 vendor err 129 (Recv) localGid fd00::ff22 remoteGidsfd00::ff1f",
        );
        assert_eq!(
            (one.class, one.severity),
            ("ib_completion", Some(Severity::Error))
        );
        assert_eq!(
            (one.host.as_str(), one.pid, one.gpu),
            ("kp-ddp-worker-0", Some(3468), Some(4))
        );
        assert_eq!(
            (one.peer.as_str(), one.rank, one.time),
            ("10.216.210.236", None, None)
        );
        assert!(one.text.starts_with("NET/IB : Got completion"));

        let timed = message(
            "[2026-11-21 08:26:01] emea-gpu-07.pod:34:39 [1] misc/socket.cc:58 NCCL WARN socketProgress: Connection closed by remote peer 10.0.0.9<4>",
        );
        assert_eq!(timed.class, "remote_exit");
        assert_eq!(
            timed.time,
            Some(LineTime::Local("2026-11-21T08:26:01".parse().expect("a time")))
        );
        assert_eq!(timed.host, "emea-gpu-07.pod");

        let srun = message("12: 2026-11-21T08:26:01.5Z n1:34:39 [1] NCCL WARN Cuda failure 'out of memory'");
        assert_eq!((srun.rank, srun.class), (Some(12), "memory"));
        assert_eq!(srun.time, Some(LineTime::Ms(1_795_249_561_500)));

        let watchdog = message(
            "[rank3]:[E1121 08:31:22.123456789 ProcessGroupNCCL.cpp:616] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1234, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600012 milliseconds before timing out.",
        );
        assert_eq!((watchdog.class, watchdog.rank), ("watchdog_timeout", Some(3)));
        assert_eq!(watchdog.severity, Some(Severity::Error));

        let bare = message("NCCL WARN Timeout waiting for peer rank 47");
        assert_eq!((bare.class, bare.peer.as_str()), ("timeout", "rank 47"));
        assert_eq!(
            message("n:1:2 [0] NCCL ERROR something of tomorrow").severity,
            Some(Severity::Error)
        );
        assert_eq!(message("n:1:2 [0] NCCL WARN something of tomorrow").class, OTHER);
        assert_eq!(message("n:1:2 [0] NCCL WARN").text, "");
    }

    #[test]
    fn a_communicator_tells_who_is_which_rank() {
        let line = "hostname-test:984:1257 [4] NCCL INFO comm 0x557fe785f7a0 rank 36 nranks 64 cudaDev 4 nvmlDev 4 busId 9b000 commId 0x5ae77eb5ea4ec1ee - Init COMPLETE";
        assert_eq!(
            parse(line),
            Some(Said::Rank {
                pid: 984,
                gpu: 4,
                rank: 36
            })
        );
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in [
            "",
            "step 100 loss 2.3",
            "n:1:2 [0] NCCL INFO Connected NVLS tree",
            "n:1:2 [0] NCCL INFO transport/net.cc:1302 -> 6",
            "[rank0]:[I1121 08:31:22.1 ProcessGroupNCCL.cpp:616] ProcessGroupNCCL initialization options",
            "NCCL version 2.27.3+cuda12.9",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn every_class_can_be_reached_and_has_its_own_name() {
        for (class, _, words) in CLASSES {
            let reached = words.iter().any(|word| class_of(word).0 == *class);
            assert!(reached, "{class}");
        }
        let names: std::collections::BTreeSet<_> = classes().collect();
        assert_eq!(names.len(), CLASSES.len() + 1);
    }
}
