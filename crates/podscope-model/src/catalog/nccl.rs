//! NCCL: what its logs warn of, how long its collectives take, and what its own watch (RAS) says.

use super::{Job, metrics};

/// One kind of collective of one job, by size.
const COLLECTIVE: &[&str] = &["collective", "size", "job_id"];

/// What the logs say.
pub mod logs {
    use super::{Job, metrics};

    metrics! { Job::Nccl;
        NCCL_MESSAGES = Counter, None, "podscope_nccl_messages_total", ["class", "severity"], "Warnings and errors of NCCL and of PyTorch's watchdog over it, by what they are about.", "log files";
        NCCL_LOG_FILES = Gauge, None, "podscope_nccl_log_files", [], "Log files that are followed.", "log files";
        NCCL_LOG_BYTES = Counter, Bytes, "podscope_nccl_log_read_bytes_total", [], "Bytes of log files that were read.", "log files";
        NCCL_LOG_SKIPPED_BYTES = Counter, Bytes, "podscope_nccl_log_skipped_bytes_total", [], "Bytes of log files that were passed over: older than the agent, more than could be read in time, or no text.", "log files";
        NCCL_LOG_EVENTS_DROPPED = Counter, None, "podscope_nccl_log_events_dropped_total", [], "Messages counted but not kept as events, because more came than the limit.", "log files";
    }
}

/// What NCCL Inspector writes.
pub mod inspector {
    use super::{COLLECTIVE, Job, metrics};

    metrics! { Job::Nccl;
        NCCL_COLLECTIVE_BUCKET = Histogram, None, "podscope_nccl_collective_duration_seconds_bucket", ["collective", "size", "job_id", "le"], "Collectives of the node's ranks by the time they took; size is the least power of four times 1 KiB that holds the message.", "NCCL Inspector: coll_exec_time_us";
        NCCL_COLLECTIVE_SUM = Histogram, Seconds, "podscope_nccl_collective_duration_seconds_sum", COLLECTIVE, "Time of collectives, added up.", "NCCL Inspector: coll_exec_time_us";
        NCCL_COLLECTIVE_COUNT = Histogram, None, "podscope_nccl_collective_duration_seconds_count", COLLECTIVE, "Collectives recorded.", "NCCL Inspector: coll_exec_time_us";
        NCCL_COLLECTIVE_BYTES = Counter, Bytes, "podscope_nccl_collective_bytes_total", COLLECTIVE, "Message bytes of the collectives recorded.", "NCCL Inspector: coll_msg_size_bytes";
        NCCL_RANK_MEAN = Gauge, Seconds, "podscope_nccl_rank_collective_mean_seconds", ["collective", "job_id", "rank"], "Mean time of a rank's collectives since the collection before; a rank that is late shows the shortest time, because the others wait for it.", "NCCL Inspector: coll_exec_time_us";
        NCCL_RANK_DEVIATION = Gauge, Ratio, "podscope_nccl_rank_deviation_ratio", ["job_id", "rank"], "Mean over the collectives since the collection before of (time of the rank - median of the ranks on this node) / median, where at least three ranks were recorded; well below 0 is a straggler.", "NCCL Inspector: coll_exec_time_us, coll_sn";
        NCCL_RANK_EARLIEST = Counter, None, "podscope_nccl_rank_earliest_finishes_total", ["job_id", "rank"], "Collectives in which a rank took the least time of the ranks on this node: it came last and the others had waited.", "NCCL Inspector: coll_exec_time_us, coll_sn";
        NCCL_INSPECTOR_FILES = Gauge, None, "podscope_nccl_inspector_files", [], "Files of NCCL Inspector that are followed.", "NCCL Inspector";
        NCCL_INSPECTOR_BAD_LINES = Counter, None, "podscope_nccl_inspector_bad_records_total", [], "Records of NCCL Inspector that could not be understood.", "NCCL Inspector";
        NCCL_INSPECTOR_LEFT_OUT = Counter, None, "podscope_nccl_inspector_left_out_total", [], "Records left out because more jobs, collectives and sizes came than the limit.", "NCCL Inspector";
    }
}

/// What NCCL's own watch says.
pub mod ras {
    use super::{Job, metrics};

    metrics! { Job::Nccl;
        NCCL_RAS_COMMUNICATORS = Gauge, None, "podscope_nccl_ras_communicators", [], "Communicators NCCL's RAS knows of, in all jobs it spans.", "NCCL RAS";
        NCCL_RAS_RANKS = Gauge, None, "podscope_nccl_ras_ranks", ["state"], "Ranks of those communicators: ok, error, aborted, missing, unresponsive or dead.", "NCCL RAS";
        NCCL_RAS_COUNT_SPREAD = Gauge, None, "podscope_nccl_ras_collective_count_spread", [], "Greatest difference, within one communicator, between the numbers of collectives its ranks have begun; it grows while some rank is stuck.", "NCCL RAS";
        NCCL_RAS_TIMEOUTS = Gauge, None, "podscope_nccl_ras_timeouts", [], "Peers that did not answer RAS in time in the last look.", "NCCL RAS";
        NCCL_RAS_SECONDS = Gauge, Seconds, "podscope_nccl_ras_collection_seconds", [], "How long RAS took to gather its answer.", "NCCL RAS";
    }
}
