//! Times and steps on the command line.

/// A time as epoch seconds with decimals (any age, negative too) or RFC 3339; Unix milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        if millis.is_finite() && millis.abs() < 9.0e15 {
            return Ok(millis as i64);
        }
        return Err(format!("{text} seconds are out of range"));
    }
    text.parse::<jiff::Timestamp>()
        .map(|time| time.as_millisecond())
        .map_err(|_| {
            format!(
                "{text:?} is not a time; give epoch seconds (1732180000.5) or RFC 3339 (2024-11-21T09:00:00Z)"
            )
        })
}

/// A step as seconds with decimals or a duration (`1m30s`); milliseconds, at least 1.
pub(crate) fn parse_step(text: &str) -> Result<i64, String> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => duration(text).ok_or_else(|| {
            format!("{text:?} is not a step; give seconds (15) or a duration (15s, 1m, 1h)")
        })?,
    };
    let millis = (seconds * 1000.0).round();
    if !(1.0..9.0e15).contains(&millis) {
        return Err(format!("{text} must be at least a millisecond"));
    }
    Ok(millis as i64)
}

/// Prometheus's duration form: numbers with the units ms, s, m, h, d, w, y.
fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let letters = tail
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(letters)?;
        total += number
            * match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                "y" => 31_536_000.0,
                _ => return None,
            };
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_epoch_seconds_of_any_age_and_rfc3339() {
        assert_eq!(parse_time("0"), Ok(0));
        assert_eq!(parse_time("-1.5"), Ok(-1500));
        assert_eq!(parse_time("1732180000.25"), Ok(1_732_180_000_250));
        assert_eq!(parse_time("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(parse_time("yesterday").is_err_and(|error| error.contains("RFC 3339")));
        assert!(parse_time("1e300").is_err());
    }

    #[test]
    fn reads_steps_as_seconds_or_durations() {
        assert_eq!(parse_step("0.5"), Ok(500));
        assert_eq!(parse_step("1m30s"), Ok(90_000));
        assert!(parse_step("0").is_err());
        assert!(parse_step("1x").is_err());
    }
}
