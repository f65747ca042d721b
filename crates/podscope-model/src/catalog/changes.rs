//! What a hub takes in beside samples of its own, changes that it found, and incidents that are open.

use super::{Job, metrics};

metrics! { Job::Podscope;
    CHANGES_FOUND = Counter, None, "podscope_changes_found_total", ["what"], "Differences found in what is watched: settings, revisions, versions.", "collector changes";
    CHANGES_LOOKED = Gauge, Timestamp, "podscope_changes_looked_timestamp_seconds", ["what", "target"], "When what is watched was last read: a change after that is not known yet.", "collector changes";
    CHANGES_SUCCESS = Gauge, Bool, "podscope_changes_success", ["what", "target"], "Whether what is watched could be read the last time.", "collector changes";
    SYSLOG_LINES = Counter, None, "podscope_syslog_lines_total", ["result"], "Lines by what became of them: event, ignored (nothing known in it), limited (its sender says too much), refused (not on the list of peers), unreadable.", "syslog receiver";
    SYSLOG_SENDERS = Gauge, None, "podscope_syslog_senders", [], "Senders heard in the last hour.", "syslog receiver";
    SNMP_TRAPS = Counter, None, "podscope_snmp_traps_total", ["result"], "Traps by what became of them: event, limited, refused (peer, community or user not known, or not authentic), unreadable.", "trap receiver";
    CLOCK_SKEW = Gauge, Seconds, "podscope_source_clock_skew_seconds", ["source", "host"], "How far the clock of somebody who reports is ahead of this agent's; the way of the message makes it slightly less.", "syslog, NVUE";
    OTLP_POINTS = Counter, None, "podscope_otlp_points_total", ["result"], "Data points by what became of them: taken, or dropped with the reason.", "OTLP receiver";
    INCIDENT_ACTIVE = Gauge, Bool, "podscope_incident_active", ["id", "scope", "commander", "status"], "1 while the incident is open.", "event store";
    INCIDENT_SEVERITY = Gauge, Code, "podscope_incident_severity", ["id", "scope"], "Severity of an open incident: 0 debug, 1 info, 2 warning, 3 error, 4 critical.", "event store";
    INCIDENT_OPENED = Gauge, Timestamp, "podscope_incident_opened_timestamp_seconds", ["id", "scope"], "When an open incident began.", "event store";
    INCIDENTS_OPEN = Gauge, None, "podscope_incidents_open", [], "Incidents that are open.", "event store";
}
