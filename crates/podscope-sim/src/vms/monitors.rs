//! `GET monitors/ad_hoc_query/`: time series, with what makes them awkward to read.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::property::{self, Property};
use super::server::{Refusal, Shared};

/// Rows of one answer.
const MAX_ROWS: usize = 400_000;
/// Longest window of view metrics.
const VIEW_WINDOW_MS: i64 = 8 * 3_600_000;

type Params<'a> = &'a [(String, String)];

fn all<'a>(params: Params<'a>, name: &'a str) -> impl Iterator<Item = &'a str> {
    params
        .iter()
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, detail)
}

/// `10m`, `1h`, `75s`
fn time_frame_ms(text: &str) -> Option<i64> {
    let at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "D" => 86_400,
        "W" => 604_800,
        "M" => 2_592_000,
        "Y" => 31_536_000,
        _ => return None,
    };
    Some(number.parse::<i64>().ok()?.checked_mul(seconds)? * 1_000)
}

fn time(text: &str) -> Result<i64, Refusal> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| bad(format!("Invalid time: {text}")))
}

pub(super) fn written(t_ms: i64) -> String {
    jiff::Timestamp::from_second(t_ms.div_euclid(1_000)).map_or_else(|_| String::new(), |at| at.to_string())
}

/// The objects of a type, by id.
fn objects(shared: &Shared, object_type: &str, t_ms: i64) -> Result<Vec<u32>, Refusal> {
    let state = shared.state(t_ms);
    Ok(match object_type {
        "cluster" => vec![state.cluster.id],
        "cnode" => state.cnodes.iter().map(|cnode| cnode.id).collect(),
        "dnode" => state.dnodes.iter().map(|dnode| dnode.id).collect(),
        "nic" => state.nics.iter().map(|nic| nic.id).collect(),
        "ssd" => state.ssds.iter().map(|ssd| ssd.id).collect(),
        "view" => state.views.iter().map(|view| view.id).collect(),
        // Known, and without rows on 5.4.
        "vip" | "blockhost" | "vippool" | "tenant" | "volume" | "user" | "host" | "nvram"
        | "replicationstream" | "dbox" | "cbox" | "fan" | "psu" => Vec::new(),
        other => return Err(bad(format!("\"{other}\" is not a valid choice."))),
    })
}

/// Families that refuse company, by class.
fn refuse_mixtures(properties: &[Property]) -> Result<(), Refusal> {
    let alone = |class: &str| {
        matches!(
            class,
            "BlockMetrics" | "VolumeMetrics" | "ViewMetrics" | "TopNMetrics"
        )
    };
    let mut classes: Vec<&str> = properties
        .iter()
        .map(|property| property.class.as_str())
        .collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() > 1 && classes.iter().any(|class| alone(class)) {
        return Err(bad("can't mix properties"));
    }
    let cumulative =
        |property: &&Property| property.class == "BlockMetrics" && property.name.ends_with("_req");
    if properties.iter().any(|property| cumulative(&property))
        && !properties.iter().all(|property| cumulative(&property))
    {
        return Err(bad("can't mix properties"));
    }
    Ok(())
}

pub(super) fn ad_hoc(shared: &Shared, params: Params<'_>) -> Result<Value, Refusal> {
    let one = |name| all(params, name).next();
    let object_type = one("object_type").ok_or_else(|| bad("['__root__->object_type: field required']"))?;
    let now_ms = shared.world.now_ms();
    let known = objects(shared, object_type, now_ms)?;
    let asked: Vec<u32> = all(params, "object_ids")
        .filter_map(|id| id.parse().ok())
        .collect();
    let ids: Vec<u32> = match asked.is_empty() {
        true => known,
        false => asked.into_iter().filter(|id| known.contains(id)).collect(),
    };
    let mut properties = Vec::new();
    for fqn in all(params, "prop_list") {
        let property = Property::parse(fqn).ok_or_else(|| bad(format!("property_error: {fqn}")))?;
        // The catalog lists them; monitors do not serve them.
        if !property.is_known(object_type) {
            return Err(bad(format!(
                "property_error: unsupported property {fqn} for {object_type}"
            )));
        }
        properties.push(property);
    }
    if properties.is_empty() {
        return Err(bad("['__root__->prop_list: field required']"));
    }
    refuse_mixtures(&properties)?;
    let to_ms = one("to_time").map_or(Ok(now_ms), time)?;
    let from_ms = match (one("from_time"), one("time_frame")) {
        (Some(from), _) => time(from)?,
        (None, Some(frame)) => {
            to_ms - time_frame_ms(frame).ok_or_else(|| bad(format!("Invalid time frame: {frame}")))?
        }
        (None, None) => to_ms - 600_000,
    };
    if object_type == "view" && to_ms - from_ms > VIEW_WINDOW_MS {
        return Err(bad("the time frame of view metrics is at most 8 hours"));
    }
    let bucket_ms = match one("granularity").unwrap_or("seconds") {
        "seconds" => 0,
        "minutes" => 60_000,
        "hours" => 3_600_000,
        "days" => 86_400_000,
        other => return Err(bad(format!("Invalid granularity: {other}"))),
    };
    let aggregation = one("aggregation").unwrap_or("avg");
    if !matches!(
        aggregation,
        "avg" | "min" | "max" | "latency_weighted_average" | "stddev" | "sum"
    ) {
        return Err(bad(format!("\"{aggregation}\" is not a valid choice.")));
    }
    // VMS has an order of its own.
    let mut columns: Vec<&Property> = properties.iter().collect();
    columns.sort_by(|a, b| b.fqn.cmp(&a.fqn));
    columns.dedup_by(|a, b| a.fqn == b.fqn);
    let mut groups: BTreeMap<(String, bool), Vec<usize>> = BTreeMap::new();
    for (at, property) in columns.iter().enumerate() {
        groups.entry(property.group()).or_default().push(at);
    }
    let mut rows: Vec<(i64, u32, Value)> = Vec::new();
    let from_ms = from_ms.max(shared.world.began_ms());
    for members in groups.values() {
        let Some(first) = members.first() else { continue };
        let (cadence, phase) = columns[*first].cadence_ms();
        // Raw values stand at the family's own seconds, buckets at their beginning.
        let (step, phase) = if bucket_ms > cadence {
            (bucket_ms, 0)
        } else {
            (cadence, phase)
        };
        let mut t_ms = from_ms - (from_ms - phase).rem_euclid(step);
        if t_ms < from_ms {
            t_ms += step;
        }
        while t_ms <= to_ms.min(now_ms) {
            if rows.len() > MAX_ROWS {
                return Err(bad("too many rows; narrow the time frame"));
            }
            for id in &ids {
                let mut row = vec![Value::Null; columns.len() + 2];
                row[0] = json!(written(t_ms));
                row[1] = json!(id);
                for at in members {
                    let value = sample(
                        shared,
                        (object_type, *id),
                        columns[*at],
                        (t_ms, step, now_ms),
                        aggregation,
                    );
                    row[at + 2] = value.map_or(Value::Null, |value| json!(value));
                }
                rows.push((t_ms, *id, Value::Array(row)));
            }
            t_ms += step;
        }
    }
    // Newest first.
    rows.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
    let names = ["timestamp", "object_id"]
        .into_iter()
        .chain(columns.iter().map(|property| property.fqn.as_str()));
    Ok(json!({
        "object_ids": ids,
        "prop_list": names.collect::<Vec<_>>(),
        "data": rows.into_iter().map(|(_, _, row)| row).collect::<Vec<_>>(),
        "granularity": one("granularity"),
    }))
}

fn sample(
    shared: &Shared,
    object: (&str, u32),
    property: &Property,
    (t_ms, step_ms, now_ms): (i64, i64, i64),
    aggregation: &str,
) -> Option<f64> {
    let (cadence, _) = property.cadence_ms();
    let of = |at: i64| property::value(shared, &shared.state(at), object, property, at);
    if step_ms > cadence {
        let end = (t_ms + step_ms).min(now_ms);
        let accumulates = matches!(property.suffix.as_str(), "sum" | "num_samples" | "sum_squares");
        return match aggregation {
            "max" if accumulates => of(end),
            "min" if accumulates => of(t_ms),
            _ => {
                let points =
                    [0.1, 0.3, 0.5, 0.7, 0.9].map(|part| of(t_ms + ((end - t_ms) as f64 * part) as i64));
                let points: Vec<f64> = points.into_iter().flatten().collect();
                match aggregation {
                    _ if points.is_empty() => None,
                    "max" => points.iter().copied().reduce(f64::max),
                    "min" => points.iter().copied().reduce(f64::min),
                    _ => Some(points.iter().sum::<f64>() / points.len() as f64),
                }
            }
        };
    }
    let value = of(t_ms)?;
    // The newest bucket has not seen all of its seconds yet.
    let open = now_ms - t_ms < cadence;
    let is_rate =
        property.suffix.is_empty() && property.class == "ProtoMetrics" && !property.name.ends_with("latency");
    Some(if open && is_rate {
        value * (now_ms - t_ms) as f64 / cadence as f64
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_frames_are_a_number_and_a_letter() {
        let cases = [
            ("10m", Some(600_000)),
            ("75s", Some(75_000)),
            ("1D", Some(86_400_000)),
            ("1x", None),
            ("m", None),
            ("10", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(time_frame_ms(text), wanted, "{text}");
        }
    }
}
