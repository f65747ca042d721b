//! What the agent says of itself, and what the root of a fleet query makes.

use super::{Job, metrics};

metrics! { Job::Podscope;
    UP = Gauge, Bool, "up", [], "1 where the node's agent was running and answers, 0 where it does not.", "made by whoever asks the node";
    BUILD_INFO = Gauge, None, "podscope_build_info", ["version"], "Always 1; the label is the agent's version.", "compiled in";
    COLLECTOR_DURATION = Gauge, Seconds, "podscope_collector_duration_seconds", ["collector"], "Time the last collection took.", "collector runner";
    COLLECTOR_SUCCESS = Gauge, Bool, "podscope_collector_success", ["collector"], "Whether the last collection succeeded; absent where the hardware is not present.", "collector runner";
    COLLECTOR_SERIES = Gauge, None, "podscope_collector_series", ["collector"], "Series in the collector's last row.", "collector runner";
    COLLECTOR_FAILURES = Counter, None, "podscope_collector_failures_total", ["collector"], "Collections that failed or passed their deadline.", "collector runner";
    COLLECTOR_MISSED_TICKS = Counter, None, "podscope_collector_missed_ticks_total", ["collector"], "Collections left out because the one before was still going on.", "collector runner";
    COLLECTOR_ROWS_NOT_WRITTEN = Counter, None, "podscope_collector_rows_not_written_total", ["collector"], "Rows the history did not take: a second row for the same time.", "collector runner";
    HISTORY_BYTES = Gauge, Bytes, "podscope_history_bytes", [], "Size of the history on disk, write-ahead log included.", "podscope-history";
    HISTORY_WAL_BYTES = Gauge, Bytes, "podscope_history_wal_bytes", [], "Size of the history's write-ahead log.", "podscope-history";
    HISTORY_HEAD_BYTES = Gauge, Bytes, "podscope_history_head_bytes", [], "Memory taken by the history's newest samples.", "podscope-history";
    HISTORY_SEGMENTS = Gauge, None, "podscope_history_segments", [], "Sealed segments of the history.", "podscope-history";
    HISTORY_SERIES = Gauge, None, "podscope_history_series", [], "Series the history knows.", "podscope-history";
    HISTORY_ROWS = Counter, None, "podscope_history_appended_rows_total", [], "Rows taken since the agent started, those from the log included.", "podscope-history";
    HISTORY_SAMPLES = Counter, None, "podscope_history_appended_samples_total", [], "Samples taken since the agent started, those from the log included.", "podscope-history";
    HISTORY_LOST_ROWS = Counter, None, "podscope_history_lost_rows_total", [], "Rows dropped from memory because the disk took none for too long.", "podscope-history";
    HISTORY_LOST_PIECES = Counter, None, "podscope_history_lost_pieces_total", [], "Pieces of the history that were found unreadable since the agent started; the log names each.", "podscope-history";
    HISTORY_LOST_BYTES = Counter, Bytes, "podscope_history_unreadable_bytes_total", [], "Bytes of the history that were unreadable on disk.", "podscope-history";
    HISTORY_WRITABLE = Gauge, Bool, "podscope_history_writable", [], "1 where rows reach the disk, 0 where they are kept in memory only: disk full, folder not writable.", "podscope-history";
    HISTORY_OLDEST = Gauge, Timestamp, "podscope_history_oldest_timestamp_seconds", [], "Time of the oldest sample kept.", "podscope-history";
    EVENTS = Gauge, None, "podscope_events", [], "Events kept: incidents, changes, alarms, log lines and the like.", "podscope-history";
    EVENTS_BYTES = Gauge, Bytes, "podscope_events_bytes", [], "Size of the events on disk.", "podscope-history";
    EVENTS_TAKEN = Counter, None, "podscope_events_taken_total", ["result"], "Events that were new, replaced an earlier version, or were there already.", "podscope-history";
    EVENTS_DROPPED = Counter, None, "podscope_events_dropped_total", ["source"], "Events not kept: their source reported more than its rate, or neither disk nor memory had room.", "podscope-history";
    EVENTS_LOST_BYTES = Counter, Bytes, "podscope_events_unreadable_bytes_total", [], "Bytes of the events that were unreadable on disk.", "podscope-history";
    EVENTS_WRITABLE = Gauge, Bool, "podscope_events_writable", [], "1 where events reach the disk, 0 where they are kept in memory only.", "podscope-history";
    REMOTE_WRITE_SAMPLES = Counter, None, "podscope_remote_write_samples_total", ["result"], "Samples that the store of remote write took, or that were dropped: refused, or too old when it came back.", "remote write";
    REMOTE_WRITE_RETRIES = Counter, None, "podscope_remote_write_retries_total", [], "Requests of remote write that failed and were tried again.", "remote write";
    REMOTE_WRITE_CURSOR = Gauge, Timestamp, "podscope_remote_write_cursor_timestamp_seconds", [], "Up to when remote write has delivered.", "remote write";
    RECEIVED_SAMPLES = Counter, None, "podscope_received_samples_total", ["result"], "Samples that came in by remote write and were taken, or dropped: too late for their row, or of too many targets.", "/api/v1/write";
    QUERIES = Counter, None, "podscope_queries_total", ["result"], "Queries that were answered, failed, or were cancelled by their asker.", "query pool";
    QUERY_SECONDS = Counter, Seconds, "podscope_query_seconds_total", [], "Time spent evaluating queries.", "query pool";
    QUERY_SAMPLES = Counter, None, "podscope_query_samples_total", [], "Samples read by queries.", "query pool";
    PROCESS_CPU = Counter, Seconds, "process_cpu_seconds_total", [], "User and system CPU time of the agent.", "/proc/self/stat";
    PROCESS_RESIDENT = Gauge, Bytes, "process_resident_memory_bytes", [], "Resident memory of the agent.", "/proc/self/stat";
    PROCESS_VIRTUAL = Gauge, Bytes, "process_virtual_memory_bytes", [], "Virtual memory of the agent.", "/proc/self/stat";
    PROCESS_THREADS = Gauge, None, "process_threads", [], "Threads of the agent.", "/proc/self/stat";
    PROCESS_OPEN_FDS = Gauge, None, "process_open_fds", [], "Open file descriptors of the agent.", "/proc/self/fd";
    PROCESS_START = Gauge, Timestamp, "process_start_time_seconds", [], "When the agent was started.", "/proc/self/stat, /proc/stat";
}
