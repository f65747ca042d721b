//! What a series is called: the rules of Grafana's Prometheus data source (backend and frontend together).

use podscope_model::labels::{Labels, NAME, write_quoted};

use crate::frames::{Frame, VALUE};
use crate::query::model::Legend;

/// The display name a series gets from its query; `None` leaves the naming to Grafana.
pub fn display_name(legend: &Legend, labels: &Labels, expr: &str) -> Option<String> {
    let name = match legend {
        Legend::Auto if !labels.is_empty() => return None,
        Legend::Auto | Legend::Verbose => verbose(labels),
        Legend::Format(format) => replace(format, labels),
    };
    // A series without labels is called after its expression.
    let name = if name == "{}" { expr.to_owned() } else { name };
    (!name.is_empty()).then_some(name)
}

/// `name{a="b", c="d"}`.
fn verbose(labels: &Labels) -> String {
    let name = labels.metric_name();
    let mut pairs = labels
        .iter()
        .filter(|label| label.name.as_ref() != NAME)
        .peekable();
    if pairs.peek().is_none() {
        return name.unwrap_or("{}").to_owned();
    }
    let mut text = name.unwrap_or_default().to_owned();
    text.push('{');
    for (at, label) in pairs.enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&label.name);
        text.push('=');
        // Writing to a String cannot fail.
        let _always_ok = write_quoted(&mut text, &label.value).is_ok();
    }
    text.push('}');
    text
}

/// Replaces `{{ label }}`; a label the series lacks becomes nothing.
fn replace(format: &str, labels: &Labels) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        out.push_str(labels.get(name.trim()).unwrap_or_default());
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Gives the series of queries with an automatic legend the name Grafana's frontend would compute for a column called
/// `Value`: the one label they all have and no other, else all labels. It depends on all frames of the answer.
pub fn name_automatically(frames: &mut [&mut Frame], automatic: &[bool]) {
    let single = single_label(frames);
    for (frame, _) in frames
        .iter_mut()
        .zip(automatic)
        .filter(|(_, automatic)| **automatic)
    {
        for field in &mut frame.fields {
            let Some(labels) = &field.labels else { continue };
            if labels.metric_name() != Some(field.name.as_str()) {
                continue;
            }
            field.config.display_name = Some(match &single {
                Some(name) => labels.get(name).unwrap_or(VALUE).to_owned(),
                None => {
                    let pairs: Vec<String> = labels
                        .iter()
                        .map(|label| format!("{}=\"{}\"", label.name, label.value))
                        .collect();
                    format!("{{{}}}", pairs.join(", "))
                }
            });
        }
    }
}

/// The only label name in all frames.
fn single_label(frames: &[&mut Frame]) -> Option<String> {
    let mut names = frames
        .iter()
        .flat_map(|frame| &frame.fields)
        .filter_map(|field| field.labels.as_ref())
        .flat_map(|labels| labels.iter().map(|label| label.name.as_ref()));
    let first = names.next()?;
    names.all(|name| name == first).then(|| first.to_owned())
}
