//! OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from openmetrics` reads it.

use std::collections::BTreeMap;
use std::io::Write;

use podscope_model::catalog::Kind;
use podscope_model::leaf::MetricInfo;

use super::Exported;

/// Series of one metric stand together, each with its samples in order of time.
pub(super) fn write(
    series: &[Exported],
    kinds: &BTreeMap<String, MetricInfo>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut family = "";
    for one in series {
        let name = one.labels.metric_name().unwrap_or_default();
        // OpenMetrics wants a counter's samples to end in `_total`, and its family not to.
        let counter = kinds.get(name).is_some_and(|info| info.kind == Kind::Counter);
        let (own, kind) = match (counter, name.strip_suffix("_total")) {
            (true, Some(base)) => (base, "counter"),
            _ if kinds.get(name).is_some_and(|info| info.kind == Kind::Gauge) => (name, "gauge"),
            _ => (name, "unknown"),
        };
        if own != family {
            writeln!(out, "# TYPE {own} {kind}")?;
            family = own;
        }
        for (time, value) in one.times.iter().zip(&one.values) {
            let value = match *value {
                value if value.is_nan() => "NaN".to_owned(),
                value if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
                value => value.to_string(),
            };
            writeln!(
                out,
                "{} {value} {}.{:03}",
                one.labels,
                time.div_euclid(1000),
                time.rem_euclid(1000)
            )?;
        }
    }
    writeln!(out, "# EOF")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use podscope_promql::openmetrics::{TimeUnit, read};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let series = super::super::tests::two();
        let mut text = Vec::new();
        write(&series, &BTreeMap::new(), &mut text).expect("memory");
        let text = String::from_utf8(text).expect("text");
        assert!(
            text.starts_with("# TYPE util unknown\nutil{gpu=\"0\"} 1 1.000\n"),
            "{text}"
        );
        let read = read(&text, TimeUnit::Seconds, None).expect("own output");
        let again: Vec<Exported> = read
            .all()
            .map(|one| Exported {
                labels: one.labels.clone(),
                times: one.timestamps.to_vec(),
                values: one.values.to_vec(),
            })
            .collect();
        assert_eq!(again, series);
    }
}
