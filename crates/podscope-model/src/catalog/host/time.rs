//! The node's clock.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_TIME_SECONDS = Gauge, Timestamp, "node_time_seconds", [], "System time in seconds since epoch (1970).", "clock_gettime";
    NODE_TIME_ZONE_OFFSET_SECONDS = Gauge, Seconds, "node_time_zone_offset_seconds", ["time_zone"], "System time zone offset in seconds.", "/etc/localtime";
    NODE_TIME_CLOCKSOURCE_AVAILABLE_INFO = Gauge, Bool, "node_time_clocksource_available_info", ["device", "clocksource"], "Available clocksources read from '/sys/devices/system/clocksource'.", "/sys/devices/system/clocksource/*/available_clocksource";
    NODE_TIME_CLOCKSOURCE_CURRENT_INFO = Gauge, Bool, "node_time_clocksource_current_info", ["device", "clocksource"], "Current clocksource read from '/sys/devices/system/clocksource'.", "/sys/devices/system/clocksource/*/current_clocksource";
}
