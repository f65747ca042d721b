//! Durations as Grafana and PromQL write them, and the steps Grafana rounds to.

/// Parses a Grafana interval: `15s`, `1m30s`, `>10s`, a bare number of seconds, `1d`, `1w`, `1M`, `1y`. In milliseconds;
/// `None` when it is not a positive duration.
pub fn parse_interval(text: &str) -> Option<i64> {
    let text = text
        .trim()
        .trim_start_matches(['<', '>'])
        .trim_end_matches('>')
        .trim();
    let total = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<f64>().ok()? * 1000.0
    } else {
        parse_parts(text)?
    };
    // Longer than a century is a typing error, and would overflow further on.
    (1.0..3.2e12).contains(&total).then_some(total.round() as i64)
}

fn parse_parts(text: &str) -> Option<f64> {
    const DAY: f64 = 86_400_000.0;
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => DAY,
            "w" => 7.0 * DAY,
            // Grafana's average month and year (grafana-plugin-sdk-go, backend/gtime).
            "M" => 365.25 * DAY / 12.0,
            "y" => 365.25 * DAY,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    Some(total)
}

/// Writes a duration so that PromQL reads it back exactly: the largest single unit that divides it.
pub fn promql(ms: i64) -> String {
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms >= size && ms % size == 0 {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{}ms", ms.max(1))
}

/// `(up to and including, rounds to)`, in milliseconds: the table of grafana-plugin-sdk-go's `gtime.RoundInterval`, so
/// that a panel has the step it had before.
const ROUND: [(i64, i64); 30] = [
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
    (5_400_000, 3_600_000),
    (9_000_000, 7_200_000),
    (16_200_000, 10_800_000),
    (32_400_000, 21_600_000),
    (86_400_000, 43_200_000),
    (604_800_000, 86_400_000),
    (1_814_400_000, 604_800_000),
    (63_071_999_999, 2_592_000_000),
    (i64::MAX, 31_536_000_000),
];

/// The round interval Grafana takes for a computed one.
pub fn round(ms: i64) -> i64 {
    ROUND
        .iter()
        .find(|(limit, _)| ms <= *limit)
        .map_or(ms, |(_, rounded)| *rounded)
}

/// The smallest round interval that is at least `ms`.
pub fn round_up(ms: i64) -> i64 {
    ROUND
        .iter()
        .map(|(_, rounded)| *rounded)
        .find(|rounded| *rounded >= ms)
        .unwrap_or(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_grafana_writes() {
        let cases = [
            ("15s", Some(15_000)),
            ("1m30s", Some(90_000)),
            (">10s", Some(10_000)),
            ("<10m>", Some(600_000)),
            ("30", Some(30_000)),
            ("0.5s", Some(500)),
            ("2d", Some(172_800_000)),
            ("100ms", Some(100)),
            ("0s", None),
            ("", None),
            ("s", None),
            ("1parsec", None),
            ("999999y", None),
            ("1m é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_interval(text), expected, "{text:?}");
        }
    }

    #[test]
    fn writes_durations_that_are_exact() {
        let written = [1, 999, 1000, 15_000, 60_000, 90_000, 3_600_000, 86_400_000].map(promql);
        assert_eq!(written, ["1ms", "999ms", "1s", "15s", "1m", "90s", "1h", "1d"]);
    }

    #[test]
    fn rounds_as_grafana_does() {
        // Pairs taken from the table in grafana-plugin-sdk-go's gtime_test.go and its source.
        for (ms, rounded) in [
            (30, 20),
            (45_000, 30_000),
            (45_001, 60_000),
            (172_800_000, 86_400_000),
        ] {
            assert_eq!(round(ms), rounded, "{ms}");
        }
        assert_eq!(round_up(16_000), 20_000);
        assert_eq!(round_up(20_000), 20_000);
    }
}
