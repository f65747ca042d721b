//! What the agent says of itself, and what the root of a fleet query makes.

use super::{Job, metrics};

metrics! { Job::Podscope;
    UP = Gauge, Bool, "up", [], "1 where the node's agent was running and answers, 0 where it does not.", "made by whoever asks the node";
    COLLECTOR_DURATION = Gauge, Seconds, "podscope_collector_duration_seconds", ["collector"], "Time the last collection took.", "collector runner";
    COLLECTOR_SUCCESS = Gauge, Bool, "podscope_collector_success", ["collector"], "Whether the last collection succeeded; absent where the hardware is not present.", "collector runner";
    COLLECTOR_SERIES = Gauge, None, "podscope_collector_series", ["collector"], "Series in the collector's last row.", "collector runner";
}
