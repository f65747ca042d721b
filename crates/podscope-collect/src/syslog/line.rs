//! One line. Reading is `syslog_loose`'s, which takes what senders really write; what is added here is the time: RFC 3164 has
//! no year and no time zone.

use chrono::{Datelike, Utc};
use podscope_model::event::Severity;
use syslog_loose::{Protocol, SyslogSeverity, Variant};

/// Bytes of a text that are looked at.
const MOST_TEXT: usize = 4096;
/// Time zones are whole quarters of an hour.
const QUARTER_MS: i64 = 900_000;
/// The time zones there are, from UTC-12 to UTC+14.
const ZONES_MS: std::ops::RangeInclusive<i64> = -43_200_000..=50_400_000;
/// A clock without time zone that differs from a whole quarter by more than this is simply wrong.
const ZONE_SLACK_MS: i64 = 120_000;

/// A line, taken apart as far as it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// By the sender's clock.
    pub time_ms: Option<i64>,
    /// Whom it is about, as it says itself.
    pub host: String,
    pub program: String,
    pub pid: Option<u32>,
    /// `None` where it does not say.
    pub severity: Option<Severity>,
    pub text: String,
    /// RFC 5424.
    pub structured: bool,
}

impl Line {
    /// Takes a line apart. What is no syslog at all is a text.
    pub fn parse(bytes: &[u8], now_ms: i64) -> Self {
        let bytes = bytes.get(..bytes.len().min(MOST_TEXT)).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        let text: String = text
            .trim_start_matches('\u{feff}')
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let text = text.trim();
        let year = |(month, ..): (u32, u32, u32, u32, u32)| {
            let now = chrono::DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default();
            // A line of December that arrives in January is last year's.
            match (month, now.month()) {
                (12, 1) => now.year() - 1,
                (1, 12) => now.year() + 1,
                _ => now.year(),
            }
        };
        let message = syslog_loose::parse_message_with_year_tz(text, year, Some(Utc), Variant::Either);
        let structured = matches!(message.protocol, Protocol::RFC5424(_));
        let claimed = message.timestamp.map(|time| time.timestamp_millis());
        // RFC 3339 times have their zone in them even in lines of RFC 3164.
        let zoned = structured || has_rfc3339_time(text);
        let time_ms = match zoned {
            true => claimed,
            false => claimed.map(|claimed| in_some_zone(claimed, now_ms)),
        };
        let owned = |text: Option<&str>| {
            let text = text.filter(|text| *text != "-").unwrap_or_default();
            text.chars().take(255).collect::<String>()
        };
        let pid = match message.procid {
            Some(syslog_loose::ProcId::PID(pid)) => u32::try_from(pid).ok(),
            _ => None,
        };
        Self {
            time_ms,
            host: owned(message.hostname),
            program: owned(message.appname),
            pid,
            severity: message.severity.map(severity),
            text: message.msg.trim_start_matches('\u{feff}').trim().to_owned(),
            structured,
        }
    }
}

fn severity(severity: SyslogSeverity) -> Severity {
    match severity {
        SyslogSeverity::SEV_EMERG | SyslogSeverity::SEV_ALERT | SyslogSeverity::SEV_CRIT => {
            Severity::Critical
        }
        SyslogSeverity::SEV_ERR => Severity::Error,
        SyslogSeverity::SEV_WARNING => Severity::Warning,
        SyslogSeverity::SEV_NOTICE | SyslogSeverity::SEV_INFO => Severity::Info,
        SyslogSeverity::SEV_DEBUG => Severity::Debug,
    }
}

/// `2026-11-21T08:26:00` right behind the priority.
fn has_rfc3339_time(text: &str) -> bool {
    let rest = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map_or(rest, |(_, rest)| rest),
        None => text,
    };
    let bytes = rest.trim_start().as_bytes();
    bytes.len() > 19
        && bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-')
        && matches!(bytes.get(10), Some(b'T' | b't'))
}

/// A time without zone is local to its sender: of all zones the one that brings it nearest to its arrival.
fn in_some_zone(claimed_ms: i64, now_ms: i64) -> i64 {
    let ahead = claimed_ms - now_ms;
    let zone = (ahead + QUARTER_MS / 2).div_euclid(QUARTER_MS) * QUARTER_MS;
    let slack = ahead - zone;
    match ZONES_MS.contains(&zone) && slack.abs() <= ZONE_SLACK_MS {
        true => claimed_ms - zone,
        false => claimed_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
    }

    #[test]
    fn rfc_5424_says_everything_itself() {
        let now = at("2026-11-21T08:26:10Z");
        let line = Line::parse(
            b"<166>1 2026-11-21T09:26:05.073589+01:00 leaf-a01 bgpd 83 - - %ADJCHANGE: neighbor swp31 in vrf default Down",
            now,
        );
        assert_eq!(
            (line.host.as_str(), line.program.as_str(), line.pid),
            ("leaf-a01", "bgpd", Some(83))
        );
        assert_eq!(line.severity, Some(Severity::Info));
        assert_eq!(line.time_ms, Some(at("2026-11-21T08:26:05.073Z")));
        assert!(line.structured && line.text.starts_with("%ADJCHANGE"), "{line:?}");
    }

    #[test]
    fn rfc_3164_gets_its_year_and_its_zone_from_the_arrival() {
        let now = at("2026-11-21T08:26:10Z");
        for claimed in [
            "Nov 21 08:26:05",
            "Nov 21 09:26:05",
            "Nov 20 22:26:05",
            "Nov 21 13:56:05",
        ] {
            let line = Line::parse(
                format!("<3>{claimed} leaf-a01 kernel: swp1s0: link down").as_bytes(),
                now,
            );
            assert_eq!(line.time_ms, Some(at("2026-11-21T08:26:05Z")), "{claimed}");
            assert_eq!(
                (line.host.as_str(), line.program.as_str(), line.severity),
                ("leaf-a01", "kernel", Some(Severity::Error))
            );
            assert_eq!(line.text, "swp1s0: link down");
        }
        // A clock that is wrong by seven minutes is shown as wrong, not explained away.
        let line = Line::parse(b"<3>Nov 21 08:19:05 leaf-a01 kernel: x", now);
        assert_eq!(line.time_ms, Some(at("2026-11-21T08:19:05Z")));
        let new_year = at("2027-01-01T00:00:03Z");
        let line = Line::parse(b"<3>Dec 31 23:59:58 leaf-a01 kernel: x", new_year);
        assert_eq!(line.time_ms, Some(at("2026-12-31T23:59:58Z")));
    }

    #[test]
    fn what_is_no_syslog_is_a_text() {
        for bytes in [
            &b"hello"[..],
            b"",
            b"\xff\xfe\x00<34>",
            b"<999999999999>x",
            b"<34>1 ",
        ] {
            let line = Line::parse(bytes, 0);
            assert!(!line.text.chars().any(char::is_control), "{line:?}");
        }
        assert_eq!(Line::parse(b"hello world", 0).text, "hello world");
    }
}
