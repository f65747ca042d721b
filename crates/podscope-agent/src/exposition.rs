//! `/metrics`: the collectors' current rows as text, in Prometheus's format 0.0.4 or in OpenMetrics 1.0.
//!
//! Series carry neither `instance` nor `job` nor node labels: whoever scrapes adds them. HELP and TYPE come from the
//! catalog. Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>.

use std::collections::BTreeMap;
use std::fmt::Write;

use podscope_model::batch::{Column, Metric};
use podscope_model::catalog::Kind;
use podscope_model::labels::{Labels, NAME};

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// OpenMetrics when the `Accept` header ranks it at least as high as plain text, as Prometheus's does.
    pub fn of_accept(accept: Option<&str>) -> Self {
        let quality = |wanted: &str| {
            let accept = accept.unwrap_or_default();
            accept.split(',').find_map(|part| {
                let mut parameters = part.split(';').map(str::trim);
                if parameters.next() != Some(wanted) {
                    return None;
                }
                let q = parameters.find_map(|parameter| parameter.strip_prefix("q="));
                q.map_or(Some(1.0_f64), |q| q.parse().ok())
            })
        };
        match (quality("application/openmetrics-text"), quality("text/plain")) {
            (Some(open), plain) if open > 0.0 && open >= plain.unwrap_or(0.0) => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The samples of one scrape, gathered family by family: the formats want each family in one piece, and two collectors
/// may share one.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Family name -> its samples in the order they came.
    families: BTreeMap<String, Vec<(Column, f64)>>,
}

impl Exposition {
    pub fn add(&mut self, column: &Column, value: f64) {
        let name = family(&column.metric);
        match self.families.get_mut(name) {
            Some(family) => family.push((column.clone(), value)),
            None => {
                self.families
                    .insert(name.to_owned(), vec![(column.clone(), value)]);
            }
        }
    }

    /// The families' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }

    /// The body of the answer.
    pub fn render(&self, format: Format) -> String {
        let samples: usize = self.families.values().map(Vec::len).sum();
        let mut out = String::with_capacity(256 + 96 * samples);
        for (name, family) in &self.families {
            let metric = &family[0].0.metric;
            let written = match format {
                Format::Text => text_head(&mut out, name, metric.kind(), metric.help()),
                Format::OpenMetrics => open_head(&mut out, name, metric),
            };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            for (column, value) in family {
                let written = sample(&mut out, &column.labels, *value);
                debug_assert!(written.is_ok(), "writing to a String cannot fail");
            }
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

/// The family of a metric: buckets, sum and count of a histogram are one.
fn family(metric: &Metric) -> &str {
    let name = metric.name();
    let part = matches!(metric.kind(), Kind::Histogram | Kind::Summary).then(|| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part))
    });
    part.flatten().unwrap_or(name)
}

fn text_head(out: &mut String, name: &str, kind: Kind, help: &str) -> std::fmt::Result {
    if !help.is_empty() {
        write!(out, "# HELP {name} ")?;
        escape(out, help, false);
        out.push('\n');
    }
    writeln!(out, "# TYPE {name} {}", kind.as_str())
}

/// In OpenMetrics a counter's samples end in `_total` and its family does not. A counter that the field named otherwise
/// (`DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION`) is `unknown` there: its name matters more than its type.
fn open_head(out: &mut String, name: &str, metric: &Metric) -> std::fmt::Result {
    let (family, kind) = match (metric.kind(), name.strip_suffix("_total")) {
        (Kind::Counter, Some(family)) => (family, "counter"),
        (Kind::Counter, None) | (Kind::Unknown, _) => (name, "unknown"),
        (kind, _) => (name, kind.as_str()),
    };
    writeln!(out, "# TYPE {family} {kind}")?;
    if let Some(unit) = metric.unit().openmetrics().filter(|unit| ends_in(family, unit)) {
        writeln!(out, "# UNIT {family} {unit}")?;
    }
    if !metric.help().is_empty() {
        write!(out, "# HELP {family} ")?;
        escape(out, metric.help(), true);
        out.push('\n');
    }
    Ok(())
}

fn ends_in(family: &str, unit: &str) -> bool {
    family.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'))
}

fn sample(out: &mut String, labels: &Labels, value: f64) -> std::fmt::Result {
    out.push_str(labels.metric_name().unwrap_or_default());
    let mut before = '{';
    for label in labels.iter().filter(|label| label.name.as_ref() != NAME) {
        out.push(before);
        before = ',';
        out.push_str(&label.name);
        out.push_str("=\"");
        escape(out, &label.value, true);
        out.push('"');
    }
    if before == ',' {
        out.push('}');
    }
    out.push(' ');
    number(out, value)?;
    out.push('\n');
    Ok(())
}

/// A float that every parser reads back to the same bits (not-a-number aside).
fn number(out: &mut String, value: f64) -> std::fmt::Result {
    let magnitude = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if magnitude != 0.0 && !(1e-5..1e21).contains(&magnitude) {
        write!(out, "{value:e}")?;
    } else {
        write!(out, "{value}")?;
    }
    Ok(())
}

/// Backslash and newline; the quote too where a quoted text is meant.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podscope_model::batch::{ForeignMetric, Row};
    use podscope_model::catalog::Unit;

    use super::*;

    fn metric(name: &str, kind: Kind, unit: Unit) -> Arc<ForeignMetric> {
        let help = "Back\\slash, \"quote\"\nand newline.".to_owned();
        Arc::new(ForeignMetric {
            name: name.to_owned(),
            kind,
            unit,
            help,
        })
    }

    fn exposition() -> Exposition {
        let mut first = Row::new();
        first.set_foreign(
            &metric("x_seconds_total", Kind::Counter, Unit::Seconds),
            &[("cpu", "0")],
            1.5,
        );
        first.set_foreign(&metric("ENERGY", Kind::Counter, Unit::Millijoules), &[], 1e300);
        let mut second = Row::new();
        second.set_foreign(
            &metric("level", Kind::Unknown, Unit::None),
            &[("l", "a\\b\"c\nd")],
            f64::NEG_INFINITY,
        );
        second.set_foreign(
            &metric("x_seconds_total", Kind::Counter, Unit::Seconds),
            &[("cpu", "1")],
            1e-9,
        );
        let mut exposition = Exposition::default();
        for row in [&first, &second] {
            row.samples()
                .for_each(|(column, value)| exposition.add(column, value));
        }
        exposition
    }

    #[test]
    fn text_holds_each_family_in_one_piece_and_escapes_what_must_be() {
        let wanted = "# HELP ENERGY Back\\\\slash, \"quote\"\\nand newline.\n# TYPE ENERGY counter\nENERGY 1e300\n\
                      # HELP level Back\\\\slash, \"quote\"\\nand newline.\n# TYPE level untyped\n\
                      level{l=\"a\\\\b\\\"c\\nd\"} -Inf\n\
                      # HELP x_seconds_total Back\\\\slash, \"quote\"\\nand newline.\n# TYPE x_seconds_total counter\n\
                      x_seconds_total{cpu=\"0\"} 1.5\nx_seconds_total{cpu=\"1\"} 1e-9\n";
        assert_eq!(exposition().render(Format::Text), wanted);
    }

    #[test]
    fn openmetrics_keeps_every_name_and_calls_a_counter_without_total_unknown() {
        let text = exposition().render(Format::OpenMetrics);
        assert!(
            text.contains("# TYPE x_seconds counter\n# UNIT x_seconds seconds\n"),
            "{text}"
        );
        assert!(text.contains("\nx_seconds_total{cpu=\"0\"} 1.5\n"), "{text}");
        assert!(text.contains("# TYPE ENERGY unknown\n"), "{text}");
        assert!(text.contains("# TYPE level unknown\n"), "{text}");
        assert!(text.contains("\\\"quote\\\""), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn the_accept_header_of_prometheus_gets_openmetrics_and_a_browsers_gets_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;\
                          q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::of_accept(Some(prometheus)), Format::OpenMetrics);
        for plain in [
            None,
            Some("*/*"),
            Some("text/plain"),
            Some("text/html,application/xhtml+xml"),
            Some("application/openmetrics-text;q=0,text/plain"),
        ] {
            assert_eq!(Format::of_accept(plain), Format::Text, "{plain:?}");
        }
    }

    #[test]
    fn the_parts_of_a_histogram_are_one_family() {
        let mut row = Row::new();
        row.begin();
        for (part, le, value) in [
            ("_bucket", "0.5", 1.0),
            ("_bucket", "+Inf", 2.0),
            ("_sum", "", 3.0),
            ("_count", "", 2.0),
        ] {
            let metric = metric(&format!("x_seconds{part}"), Kind::Histogram, Unit::None);
            row.set_foreign(&metric, &[("le", le)], value);
        }
        let mut exposition = Exposition::default();
        for (column, value) in row.samples() {
            exposition.add(column, value);
        }
        let text = exposition.render(Format::Text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE x_seconds histogram",
                "x_seconds_bucket{le=\"0.5\"} 1",
                "x_seconds_bucket{le=\"+Inf\"} 2",
                "x_seconds_sum 3",
                "x_seconds_count 2"
            ]
        );
    }
}
