//! Names as Prometheus makes them of OpenTelemetry's (its OTLP receiver with `UnderscoreEscapingWithSuffixes`): the unit and,
//! for a sum that only grows, `total` stand at the end; what is no letter, digit or underscore is an underscore.
//! A name that the catalog has stays as it is: those are the names the dashboards know.

use podscope_model::catalog::{self, Kind, Unit};

/// Units with a name of their own (UCUM, as the specification of OpenTelemetry's Prometheus exporter lists them).
const UNITS: &[(&str, &str, Unit)] = &[
    ("d", "days", Unit::None),
    ("h", "hours", Unit::None),
    ("min", "minutes", Unit::None),
    ("s", "seconds", Unit::Seconds),
    ("ms", "milliseconds", Unit::Milliseconds),
    ("us", "microseconds", Unit::Microseconds),
    ("ns", "nanoseconds", Unit::Nanoseconds),
    ("By", "bytes", Unit::Bytes),
    ("KiBy", "kibibytes", Unit::None),
    ("MiBy", "mebibytes", Unit::Mebibytes),
    ("GiBy", "gibibytes", Unit::None),
    ("TiBy", "tibibytes", Unit::None),
    ("KBy", "kilobytes", Unit::None),
    ("MBy", "megabytes", Unit::None),
    ("GBy", "gigabytes", Unit::None),
    ("TBy", "terabytes", Unit::None),
    ("m", "meters", Unit::None),
    ("V", "volts", Unit::Volts),
    ("A", "amperes", Unit::None),
    ("J", "joules", Unit::Joules),
    ("W", "watts", Unit::Watts),
    ("g", "grams", Unit::None),
    ("Cel", "celsius", Unit::Celsius),
    ("Hz", "hertz", Unit::Hertz),
    ("%", "percent", Unit::Percent),
    ("1", "", Unit::None),
];

/// Units after the slash.
const PER: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// What a metric is called here, and its unit.
pub(super) fn metric(name: &str, unit: &str, kind: Kind) -> (String, Unit) {
    let plain = escaped(name);
    if let Some(def) = catalog::find(&plain) {
        return (plain, def.unit);
    }
    let mut parts: Vec<String> = plain
        .split('_')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main.trim(), per.trim()),
        None => (unit.trim(), ""),
    };
    let known = UNITS.iter().find(|(short, ..)| *short == main);
    // `{packets}` is a remark, not a unit.
    let word = match known {
        Some((_, word, _)) => (*word).to_owned(),
        None if main.contains(['{', '}']) => String::new(),
        None => escaped(main),
    };
    let mut suffixes: Vec<String> = word
        .split('_')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let known_per = PER.iter().find(|(short, _)| *short == per);
    let per = known_per.map_or_else(|| escaped(per), |(_, word)| (*word).to_owned());
    if !per.is_empty() && !per.contains(['{', '}']) {
        suffixes.extend(["per".to_owned(), per]);
    }
    if !suffixes.iter().all(|suffix| parts.contains(suffix)) {
        parts.append(&mut suffixes);
    }
    let ratio = main == "1" && kind == Kind::Gauge;
    if ratio && parts.last().is_none_or(|last| last != "ratio") {
        parts.push("ratio".to_owned());
    }
    if kind == Kind::Counter {
        parts.retain(|part| part != "total");
        parts.push("total".to_owned());
    }
    let mut out = parts.join("_");
    if out.starts_with(|letter: char| letter.is_ascii_digit()) {
        out.insert(0, '_');
    }
    let unit = match (ratio, known) {
        (true, _) => Unit::Ratio,
        (false, Some((_, _, unit))) if unit != &Unit::None && known_per.is_none() => *unit,
        _ => Unit::None,
    };
    (out, unit)
}

fn escaped(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':') => letter,
        _ => '_',
    });
    letters.collect()
}

/// What an attribute is called as a label.
pub(super) fn label(key: &str) -> String {
    let mut out: String = key
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if out.starts_with(|letter: char| letter.is_ascii_digit()) {
        out.insert_str(0, "key_");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_makes() {
        for (name, unit, kind, expected) in [
            (
                "http.server.request.duration",
                "s",
                Kind::Histogram,
                "http_server_request_duration_seconds",
            ),
            (
                "system.network.io",
                "By",
                Kind::Counter,
                "system_network_io_bytes_total",
            ),
            (
                "system.cpu.utilization",
                "1",
                Kind::Gauge,
                "system_cpu_utilization_ratio",
            ),
            ("requests", "1", Kind::Counter, "requests_total"),
            ("packets", "{packets}", Kind::Counter, "packets_total"),
            ("net.speed", "By/s", Kind::Gauge, "net_speed_bytes_per_second"),
            ("memory_usage_bytes", "By", Kind::Gauge, "memory_usage_bytes"),
            ("already_total", "", Kind::Counter, "already_total"),
            ("2nd.try", "", Kind::Gauge, "_2nd_try"),
            ("queue.depth", "parsecs", Kind::Gauge, "queue_depth_parsecs"),
        ] {
            assert_eq!(metric(name, unit, kind).0, expected, "{name} in {unit:?}");
        }
    }

    #[test]
    fn names_of_the_catalog_stay() {
        let tc = catalog::switch::TC_ECN_MARKED.name;
        assert_eq!(metric(tc, "1", Kind::Counter), (tc.to_owned(), Unit::None));
        let histogram = catalog::switch::HISTOGRAM_EGRESS_BUFFER.name;
        assert_eq!(
            metric(histogram, "bytes", Kind::Histogram),
            (histogram.to_owned(), Unit::Bytes)
        );
    }

    #[test]
    fn labels_are_letters_digits_and_underscores() {
        assert_eq!(label("peer-id"), "peer_id");
        assert_eq!(label("net.host.name"), "net_host_name");
        assert_eq!(label("2x"), "key_2x");
    }
}
