//! Numbers as switches write them. Releases differ: the same counter is `693777677344`, `"693777677344"`, `"0 Bytes"` or
//! `"13.47 MB"`.

use serde_json::Value;

/// A count or an amount of bytes; `None` where the value is no number.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => amount(text),
        _ => None,
    }
}

/// `13.47 MB` and the like. NVUE's units are powers of 1,000; with an `i` (`KiB`) they are powers of 1,024.
fn amount(text: &str) -> Option<f64> {
    let text = text.trim().replace(',', "");
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+' | 'e' | 'E')))
        .unwrap_or(text.len());
    // `E` also begins `EB`.
    let digits = text.get(..end)?.trim_end_matches(['e', 'E']);
    let unit = text.get(digits.len()..)?.trim();
    let value: f64 = digits.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(value * scale(unit)?)
}

fn scale(unit: &str) -> Option<f64> {
    let lower = unit.to_ascii_lowercase();
    let lower = lower.strip_suffix("ytes").map_or(lower.as_str(), |short| short);
    Some(match lower {
        "" | "b" | "byte" | "packets" | "pkts" | "frames" | "us" | "usec" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "p" | "pb" => 1e15,
        "e" | "eb" => 1e18,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0_f64.powi(4),
        _ => return None,
    })
}

/// A speed in bits per second: `400G`, `"1G"`, `100000` (then in Mbit/s, as the kernel has it).
pub(super) fn speed(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().map(|megabits| megabits * 1e6),
        Value::String(text) => {
            let text = text.trim();
            match text.chars().all(|letter| letter.is_ascii_digit()) && !text.is_empty() {
                true => text.parse::<f64>().ok().map(|megabits| megabits * 1e6),
                false => amount(text.trim_end_matches("bps").trim_end_matches("b/s")),
            }
        }
        _ => None,
    }
}

/// Seconds: a number, or `days, hours:minutes:seconds` as `up 95 days, 20:40:49` and `20:40:49`.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    if let Value::Number(number) = value {
        return number.as_f64();
    }
    let text = value.as_str()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds).filter(|seconds| seconds.is_finite());
    }
    let (days, clock) = match text.split_once("day") {
        Some((days, rest)) => {
            let days = days.trim().rsplit(' ').next()?.parse::<f64>().ok()?;
            (days, rest.trim_start_matches('s').trim_start_matches([',', ' ']))
        }
        None => (0.0, text.trim_start_matches("up ")),
    };
    let mut total = 0.0;
    for part in clock.split(':').filter(|part| !part.is_empty()) {
        total = total * 60.0 + part.trim().parse::<f64>().ok()?;
    }
    Some(days * 86_400.0 + total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_are_read_in_every_form_a_release_writes_them() {
        for (value, expected) in [
            (json!(693_777_677_344_u64), 693_777_677_344.0),
            (json!("693777677344"), 693_777_677_344.0),
            (json!("0 Bytes"), 0.0),
            (json!("13.47 MB"), 13_470_000.0),
            (json!("1 KiB"), 1024.0),
            (json!("2.5 GB"), 2_500_000_000.0),
            (json!("3EB"), 3e18),
            (json!("1,234"), 1234.0),
            (json!("1.5e3"), 1500.0),
            (json!(0), 0.0),
        ] {
            assert_eq!(number(&value), Some(expected), "{value}");
        }
        for value in [
            json!(null),
            json!("N/A"),
            json!(""),
            json!("13.47 parsecs"),
            json!({}),
            json!([1]),
            json!(true),
            json!("1e999"),
            json!("13.4.7 MB"),
        ] {
            assert_eq!(number(&value), None, "{value}");
        }
    }

    #[test]
    fn speeds_and_times_have_their_own_forms() {
        assert_eq!(speed(&json!("400G")), Some(400e9));
        assert_eq!(speed(&json!("1G")), Some(1e9));
        assert_eq!(speed(&json!("100000")), Some(100e9));
        assert_eq!(speed(&json!(25_000)), Some(25e9));
        assert_eq!(speed(&json!("unknown")), None);
        assert_eq!(seconds(&json!(8_282_449)), Some(8_282_449.0));
        assert_eq!(seconds(&json!("8282449")), Some(8_282_449.0));
        assert_eq!(seconds(&json!("20:40:49")), Some(74_449.0));
        assert_eq!(seconds(&json!("up 2 days, 1:00:01")), Some(176_401.0));
        assert_eq!(seconds(&json!("long ago")), None);
    }
}
