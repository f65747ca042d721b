//! One line of the kernel's trace (`trace_pipe`), as `block_rq_issue`, `block_rq_complete` and `rpc_stats_latency` print
//! themselves in Linux 4.16 to 6.18 (`include/trace/events/block.h`, `sunrpc.h`).
//!
//! ```text
//!  kworker/0:1H-122  [000] d..1.  123.456789: block_rq_issue: 259,3 R 4096 () 2048 + 8 none,0,0 [fio]
//!           <idle>-0 [001] ..s1.  123.457012: block_rq_complete: 259,3 R () 2048 + 8 none,0,0 [0]
//!             fio-77 [001] .....  123.460000: rpc_stats_latency: task:0000000a@00000005 xid=0x1 nfsv4 READ backlog=5 rtt=233 execute=245
//! CPU:1 [LOST 42 EVENTS]
//! ```

use super::Operation;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TraceEvent {
    Issue(Request),
    Complete(Request),
    /// An NFS call was answered after so many nanoseconds.
    Call(Operation, u64),
    /// So many events were overwritten before they were read.
    Lost(u64),
}

/// A block request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) at_ns: u64,
    /// Major and minor number.
    pub(super) device: (u32, u32),
    pub(super) operation: Operation,
    pub(super) sector: u64,
    pub(super) sectors: u64,
}

/// What the line says; `None` for other events, and for requests that move no data.
pub(super) fn parse(line: &str) -> Option<TraceEvent> {
    if let Some((head, rest)) = line.split_once(": block_rq_") {
        let at_ns = timestamp(head)?;
        if let Some(rest) = rest.strip_prefix("issue: ") {
            return request(rest, at_ns).map(TraceEvent::Issue);
        }
        return request(rest.strip_prefix("complete: ")?, at_ns).map(TraceEvent::Complete);
    }
    if let Some((_, rest)) = line.split_once(": rpc_stats_latency: ") {
        return call(rest);
    }
    lost(line)
}

/// Nanoseconds of the last word before the event's name.
fn timestamp(head: &str) -> Option<u64> {
    let (seconds, fraction) = head.rsplit(' ').next()?.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let fraction: u64 = fraction.parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(fraction * 10_u64.pow(9 - digits))
}

/// `259,3 R 4096 () 2048 + 8 ...`; the bytes are missing on completion.
fn request(text: &str, at_ns: u64) -> Option<Request> {
    let (device, rest) = text.split_once(' ')?;
    let (major, minor) = device.split_once(',')?;
    let (flags, rest) = rest.split_once(' ')?;
    let (_, place) = rest.split_once(") ")?;
    let mut words = place.split(' ');
    let sector = words.next()?.parse().ok()?;
    let sectors = words.nth(1)?.parse().ok().filter(|sectors| *sectors > 0)?;
    // `R`, `RA`, `RM`, `W`, `WS`, `FWFS`; discards, flushes and commands have neither letter.
    let operation = match (flags.contains('R'), flags.contains('W')) {
        (true, false) => Operation::Read,
        (false, true) => Operation::Write,
        _ => return None,
    };
    Some(Request {
        at_ns,
        device: (major.parse().ok()?, minor.parse().ok()?),
        operation,
        sector,
        sectors,
    })
}

/// `task:... xid=0x1 nfsv4 READ backlog=5 rtt=233 execute=245`, times in microseconds.
fn call(text: &str) -> Option<TraceEvent> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("backlog="))?;
    let (program, name) = (words.get(at.checked_sub(2)?)?, words.get(at.checked_sub(1)?)?);
    if !program.starts_with("nfs") {
        return None;
    }
    let rtt: u64 = words
        .iter()
        .find_map(|word| word.strip_prefix("rtt="))?
        .parse()
        .ok()?;
    let operation = match *name {
        "READ" => Operation::Read,
        "WRITE" => Operation::Write,
        _ => Operation::Other,
    };
    Some(TraceEvent::Call(operation, rtt.checked_mul(1000)?))
}

fn lost(line: &str) -> Option<TraceEvent> {
    let (_, rest) = line.strip_prefix("CPU:")?.split_once("[LOST ")?;
    let count = rest.split_once(' ')?.0.parse().ok()?;
    Some(TraceEvent::Lost(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> TraceEvent {
        parse(line).unwrap_or_else(|| panic!("nothing found in {line:?}"))
    }

    #[test]
    fn lines_of_several_kernels_are_understood() {
        let request = Request {
            at_ns: 123_456_789_000,
            device: (259, 3),
            operation: Operation::Read,
            sector: 2048,
            sectors: 8,
        };
        for line in [
            "    kworker/0:1H-122     [000] d..1.   123.456789: block_rq_issue: 259,3 R 4096 () 2048 + 8 none,0,0 [fio]",
            "             fio-77      [000] .... 123.456789: block_rq_issue: 259,3 RA 4096 () 2048 + 8 [fio]",
            "  a name: yes-77      [000] .... 123.456789: block_rq_issue: 259,3 RSM 4096 () 2048 + 8 be,0,4 [a name: yes]",
        ] {
            let TraceEvent::Issue(found) = of(line) else {
                panic!("{line}")
            };
            assert_eq!(
                (found.device, found.sector, found.sectors),
                (request.device, 2048, 8),
                "{line}"
            );
        }
        let line = "          <idle>-0       [001] ..s1.   123.456789: block_rq_complete: 259,3 R () 2048 + 8 none,0,0 [0]";
        assert_eq!(of(line), TraceEvent::Complete(request));
        let line = " x-1 [001] ..... 0.000001: block_rq_issue: 8,0 FWFS 512 () 77 + 1 none,0,0 [jbd2/sda1-8]";
        let TraceEvent::Issue(found) = of(line) else {
            panic!("{line}")
        };
        assert_eq!((found.operation, found.at_ns), (Operation::Write, 1_000));
        assert_eq!(of("CPU:1 [LOST 42 EVENTS]"), TraceEvent::Lost(42));
        let line = " fio-77 [001] ..... 123.460000: rpc_stats_latency: task:0000000a@00000005 xid=0x1 nfsv4 READ backlog=5 rtt=233 execute=245 xprt_id=1";
        assert_eq!(of(line), TraceEvent::Call(Operation::Read, 233_000));
        let line = " fio-77 [001] ..... 123.460000: rpc_stats_latency: task:00a@05 xid=0x1 nfsv3 GETATTR backlog=5 rtt=9 execute=9";
        assert_eq!(of(line), TraceEvent::Call(Operation::Other, 9_000));
    }

    #[test]
    fn everything_else_is_passed_over() {
        for line in [
            "",
            "# tracer: nop",
            " x-1 [001] ..... 0.000001: block_rq_issue: 8,0 FF 0 () 18446744073709551615 + 0 none,0,0 [jbd2]",
            " x-1 [001] ..... 0.000001: block_rq_issue: 8,0 N 4096 (12 00) 0 + 0 [udevd]",
            " x-1 [001] ..... 0.000001: block_rq_issue: 8,0 DS 4096 () 8 + 8 [fstrim]",
            " x-1 [001] ..... 0.000001: block_rq_issue: 8,0 R",
            " x-1 [001] ..... nonsense: block_rq_complete: 8,0 R () 8 + 8 [0]",
            " x-1 [001] ..... 0.000001: rpc_stats_latency: task:1@2 xid=0x1 portmap GETPORT backlog=5 rtt=9 execute=9",
            " x-1 [001] ..... 0.000001: sched_switch: prev_comm=x",
            "CPU:1 [LOST EVENTS]",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
