//! Parameters of a request: from the URL and, for a POST, from the form in its body; times and durations in the forms
//! Prometheus takes.

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use super::answer::ApiFault;
use crate::config::Period;

/// Names and values in the order they came; a name may repeat (`match[]`).
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads them. The body comes first, as Go's `FormValue` has it.
    pub(super) async fn read(request: Request) -> Result<Self, ApiFault> {
        let in_url = request.uri().query().unwrap_or_default().to_owned();
        let form = request.method() == Method::POST
            && request
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let mut list = Vec::new();
        if form {
            let body = axum::body::Body::new(http_body_util::Limited::new(
                request.into_body(),
                super::super::MAX_BODY_BYTES,
            ));
            let body = body
                .collect()
                .await
                .map_err(|error| ApiFault::bad_data(format!("error parsing form values: {error}")))?;
            list.extend(pairs(&body.to_bytes()));
        }
        list.extend(pairs(in_url.as_bytes()));
        Ok(Self(list))
    }

    /// The first value; an empty one counts as absent, as in Prometheus.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub(super) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0
            .iter()
            .filter(move |(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, ApiFault> {
        self.get(name)
            .map(|text| parse_time_ms(text).map_err(|error| ApiFault::parameter(name, &error)))
            .transpose()
    }

    pub(super) fn required_time_ms(&self, name: &str) -> Result<i64, ApiFault> {
        // An absent time reads as the empty text, and Prometheus says so.
        self.time_ms(name)?
            .ok_or_else(|| ApiFault::parameter(name, "cannot parse \"\" to a valid timestamp"))
    }

    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiFault> {
        self.get(name)
            .map(|text| parse_duration_ms(text).map_err(|error| ApiFault::parameter(name, &error)))
            .transpose()
    }

    /// `limit`: 0 or absent means none.
    pub(super) fn limit(&self) -> Result<Option<usize>, ApiFault> {
        let Some(text) = self.get("limit") else {
            return Ok(None);
        };
        let limit: i64 = text
            .parse()
            .map_err(|_| ApiFault::parameter("limit", &format!("cannot parse {text:?} to a number")))?;
        let limit =
            usize::try_from(limit).map_err(|_| ApiFault::parameter("limit", "limit must be non-negative"))?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned()))
}

/// Some 292 million years: what fits is turned into milliseconds, and nothing a person means lies beyond.
const MAX_SECONDS: f64 = 9e15;

/// Seconds since 1970 with decimals, or RFC 3339.
fn parse_time_ms(text: &str) -> Result<i64, String> {
    let unusable = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() || seconds.abs() > MAX_SECONDS {
            return Err(unusable());
        }
        return Ok((seconds * 1000.0).round() as i64);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| unusable())?;
    Ok(time.as_millisecond())
}

/// Seconds with decimals, or `5m`.
fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let unusable = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() {
            return Err(unusable());
        }
        if seconds.abs() > MAX_SECONDS {
            return Err(format!(
                "cannot parse {text:?} to a valid duration. It overflows int64"
            ));
        }
        return Ok((seconds * 1000.0).round() as i64);
    }
    let period: Period = text.parse().map_err(|_| unusable())?;
    i64::try_from(period.0.as_millis()).map_err(|_| unusable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_as_seconds_or_as_rfc_3339() {
        for (text, ms) in [
            ("0", 0),
            ("1435781451.781", 1_435_781_451_781),
            ("-1.5", -1500),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T22:10:51.781+02:00", 1_435_781_451_781),
        ] {
            assert_eq!(parse_time_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "now", "NaN", "+Inf", "1e300", "2015-07-01"] {
            assert!(parse_time_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_come_as_seconds_or_with_a_unit() {
        for (text, ms) in [
            ("15", 15_000),
            ("0.25", 250),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("-1", -1000),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5 m", "m", "NaN", "1e300"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_form_and_the_url_are_one_list() {
        let request = Request::post("/x?match[]=b&time=1")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body("match[]=a%2Bc&query=up+1".into())
            .expect("a request");
        let params = Params::read(request).await.expect("a small body");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a+c", "b"]);
        assert_eq!(params.get("query"), Some("up 1"));
        assert_eq!(params.time_ms("time").expect("a time"), Some(1000));
    }
}
