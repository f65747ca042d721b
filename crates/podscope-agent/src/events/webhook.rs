//! Webhooks in Alertmanager's format (version 4), which Grafana's webhook contact point extends: every alert is an event
//! of kind `alarm`, under its fingerprint and start, so that "resolved" closes what "firing" opened.

use std::collections::BTreeMap;

use podscope_model::event::{Event, EventKind, Severity};
use podscope_model::labels::Labels;
use serde::Deserialize;

/// The body. What is not needed is left alone: both senders add fields with every version.
#[derive(Debug, Deserialize)]
pub(crate) struct Webhook {
    alerts: Vec<Alert>,
    #[serde(default)]
    receiver: String,
    #[serde(default, rename = "externalURL")]
    external_url: String,
    /// Only Grafana sends it.
    #[serde(default, rename = "orgId")]
    org_id: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default)]
    fingerprint: String,
    /// Grafana: where the alert is seen.
    #[serde(default, rename = "dashboardURL")]
    dashboard_url: String,
    #[serde(default, rename = "panelURL")]
    panel_url: String,
    /// Grafana: the values that decided.
    #[serde(default)]
    value_string: Option<String>,
}

impl Webhook {
    /// The events it means.
    ///
    /// # Errors
    /// The first alert that cannot be one, by number.
    pub(crate) fn events(self, now_ms: i64) -> Result<Vec<Event>, String> {
        let source = match self.org_id {
            Some(_) => "grafana",
            None => "alertmanager",
        };
        let (receiver, external_url) = (self.receiver, self.external_url);
        let alerts = self.alerts.into_iter().enumerate();
        alerts
            .map(|(at, alert)| {
                alert
                    .event(source, &receiver, &external_url, now_ms)
                    .map_err(|problem| format!("alerts[{at}]: {problem}"))
            })
            .collect()
    }
}

/// The words people give alerts.
fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "page" | "emergency" | "fatal" | "disaster" | "p1" | "sev1" | "sev-1" => {
            Severity::Critical
        }
        "error" | "high" | "major" | "p2" | "sev2" | "sev-2" => Severity::Error,
        "info" | "informational" | "notice" | "none" | "low" => Severity::Info,
        "debug" => Severity::Debug,
        _ => Severity::Warning,
    }
}

impl Alert {
    fn event(self, source: &str, receiver: &str, external_url: &str, now_ms: i64) -> Result<Event, String> {
        let time = |field: &str, text: &str| {
            text.parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_millisecond)
                .map_err(|_| format!("{field} is {text:?}, which is no RFC 3339 time"))
        };
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| self.annotations.get(*name));
            found.map(String::as_str).unwrap_or_default()
        };
        let start_ms = time("startsAt", &self.starts_at)?;
        let name = self.labels.get("alertname").map_or("alert", String::as_str);
        let title = Some(first(&["summary", "title"])).filter(|text| !text.is_empty());
        let mut text = first(&["description", "message"]).to_owned();
        let more = [
            self.annotations.get("runbook_url").map(String::as_str),
            self.value_string.as_deref(),
            Some(self.panel_url.as_str()),
            Some(self.dashboard_url.as_str()).filter(|_| self.panel_url.is_empty()),
            Some(self.generator_url.as_str()),
            Some(external_url).filter(|_| self.generator_url.is_empty()),
        ];
        for line in more.into_iter().flatten().filter(|line| !line.is_empty()) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(line);
        }
        let labels = self
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let mut event = Event::new(EventKind::Alarm, source, title.unwrap_or(name), start_ms)
            .severity(
                self.labels
                    .get("severity")
                    .map_or(Severity::Warning, |word| severity(word)),
            )
            .text(text)
            .key(match self.fingerprint.is_empty() {
                true => Labels::from_pairs(&self.labels).to_string(),
                false => self.fingerprint.clone(),
            });
        event.labels = Labels::from_pairs(labels.chain([("receiver", receiver)]));
        event = match self.status.as_str() {
            "firing" => event.still_open(),
            "resolved" => {
                // Go's zero time stands for "not known".
                let end_ms = time("endsAt", &self.ends_at).ok().filter(|end| *end >= start_ms);
                event.until(end_ms.unwrap_or(now_ms.max(start_ms)))
            }
            other => return Err(format!("status is {other:?}; firing or resolved is expected")),
        };
        Ok(event.clamped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(status: &str, ends: &str, more: &str) -> Result<Vec<Event>, String> {
        let json = format!(
            r#"{{"version": "4", "groupKey": "{{}}", "status": "{status}", "receiver": "podscope", "truncatedAlerts": 0,
                "externalURL": "http://am:9093", {more} "alerts": [{{"status": "{status}",
                "labels": {{"alertname": "QueueWait", "severity": "page", "instance": "n1", "source": "x"}},
                "annotations": {{"summary": "Queue wait 31 min", "description": "over the SLO"}},
                "startsAt": "2026-11-21T08:26:00.123Z", "endsAt": "{ends}", "generatorURL": "http://prom/graph",
                "fingerprint": "c3f5a9"}}]}}"#
        );
        let webhook: Webhook = serde_json::from_str(&json).expect("the documented shape");
        webhook.events(9_000_000_000_000)
    }

    #[test]
    fn firing_opens_and_resolved_closes_the_same_event() {
        let firing = webhook("firing", "0001-01-01T00:00:00Z", "")
            .expect("valid")
            .remove(0);
        assert!(firing.open && firing.end_ms.is_none());
        assert_eq!(
            (firing.title.as_str(), firing.severity),
            ("Queue wait 31 min", Severity::Critical)
        );
        assert_eq!(firing.text, "over the SLO\nhttp://prom/graph");
        assert_eq!(firing.labels.get("exported_severity"), Some("page"));
        assert_eq!(firing.labels.get("exported_source"), Some("x"));
        assert_eq!(firing.check(), Ok(()));
        let resolved = webhook("resolved", "2026-11-21T09:26:00Z", "")
            .expect("valid")
            .remove(0);
        assert_eq!(resolved.id(), firing.id());
        assert_eq!(resolved.end_ms, Some(firing.time_ms + 3_600_000 - 123));
        let unknown_end = webhook("resolved", "0001-01-01T00:00:00Z", "")
            .expect("valid")
            .remove(0);
        assert_eq!(unknown_end.end_ms, Some(9_000_000_000_000));
    }

    #[test]
    fn grafana_is_told_by_its_organisation() {
        let event = webhook(
            "firing",
            "",
            r#""orgId": 1, "title": "[FIRING:1]", "state": "alerting","#,
        );
        assert_eq!(event.expect("valid").remove(0).source, "grafana");
    }

    #[test]
    fn an_alert_that_is_none_is_named_by_its_number() {
        let error = webhook("pending", "", "").expect_err("no such status");
        assert_eq!(
            error,
            "alerts[0]: status is \"pending\"; firing or resolved is expected"
        );
    }
}
