//! Syslog lines as switches and nodes send them.

use super::world::{Report, Said};

/// The line of a report in RFC 5424; `None` for what is no line.
pub fn rfc5424(report: &Report) -> Option<String> {
    let Said::Syslog {
        program,
        severity,
        text,
    } = &report.what
    else {
        return None;
    };
    let time = jiff::Timestamp::from_millisecond(report.t_ms).ok()?;
    let priority = priority(program, *severity);
    Some(format!(
        "<{priority}>1 {time:.3} {} {program} - - - {text}",
        report.host
    ))
}

/// The line of a report in RFC 3164, at UTC; `None` for what is no line.
pub fn rfc3164(report: &Report) -> Option<String> {
    let Said::Syslog {
        program,
        severity,
        text,
    } = &report.what
    else {
        return None;
    };
    let time = jiff::Timestamp::from_millisecond(report.t_ms).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%b %e %H:%M:%S");
    let priority = priority(program, *severity);
    Some(format!("<{priority}>{time} {} {program}: {text}", report.host))
}

/// Facility 0 for the kernel, 3 for everything else.
fn priority(program: &str, severity: u8) -> u8 {
    let facility = if program == "kernel" { 0 } else { 3 };
    facility * 8 + severity.min(7)
}
