//! Parameters of a request: the query string, and the form of a POST; the form wins, as in Prometheus.

use crate::query::duration;
use crate::request::ResourceRequest;

/// Name and value pairs in order.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(request: &ResourceRequest) -> Self {
        let body: &[u8] = if request.method == "POST" {
            &request.body
        } else {
            &[]
        };
        let pairs = form_urlencoded::parse(body)
            .chain(form_urlencoded::parse(request.query.as_bytes()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self(pairs)
    }

    /// The first value of a name; empty text counts as not given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A time: epoch seconds with decimals, or RFC 3339.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        parse_time(text).map(Some).ok_or_else(|| {
            format!("parameter {name:?}: {text:?} is neither epoch seconds nor an RFC 3339 time")
        })
    }

    /// A positive duration: seconds with decimals, or `15s`.
    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let ms = match text.parse::<f64>() {
            Ok(seconds) => (0.001..3.2e9)
                .contains(&seconds)
                .then(|| (seconds * 1000.0).round() as i64),
            Err(_) => duration::parse_interval(text),
        };
        ms.map(Some)
            .ok_or_else(|| format!("parameter {name:?}: {text:?} is not a positive duration"))
    }

    pub(super) fn limit(&self) -> Result<Option<usize>, String> {
        let Some(text) = self.get("limit") else {
            return Ok(None);
        };
        match text.parse::<usize>() {
            // 0 means no limit, as in Prometheus.
            Ok(0) => Ok(None),
            Ok(limit) => Ok(Some(limit)),
            Err(_) => Err(format!("parameter \"limit\": {text:?} is not a whole number")),
        }
    }
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < 9.0e12).then(|| (seconds * 1000.0).round() as i64);
    }
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_epoch_seconds_or_rfc_3339() {
        for (text, ms) in [
            ("1435781430.781", Some(1_435_781_430_781)),
            ("0", Some(0)),
            ("-1.5", Some(-1_500)),
            ("2015-07-01T20:10:30.781Z", Some(1_435_781_430_781)),
            ("2015-07-01T22:10:30.781+02:00", Some(1_435_781_430_781)),
            ("yesterday", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            assert_eq!(parse_time(text), ms, "{text}");
        }
    }

    #[test]
    fn a_form_wins_over_the_query_string_and_lists_are_kept() {
        let request = ResourceRequest {
            method: "POST".to_owned(),
            query: "match[]=a&query=b".to_owned(),
            body: bytes::Bytes::from_static(b"query=up%7Ba%3D%22b+c%22%7D&match%5B%5D=d"),
            ..ResourceRequest::default()
        };
        let params = Params::read(&request);
        assert_eq!(params.get("query"), Some("up{a=\"b c\"}"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["d", "a"]);
    }
}
