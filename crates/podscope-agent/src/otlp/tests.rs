use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use podscope_model::sample::is_stale;
use serde_json::{Value, json};

use super::message::{KeyValue, Metric, NumberPoint, ResourceMetrics, ScopeMetrics, Sum};
use super::*;
use crate::config::SwitchConfig;

const T0: u64 = 1_722_458_198_491;

fn read(body: &Value) -> ExportRequest {
    let text = body.to_string();
    let (request, form) =
        Otlp::read_http("application/json; charset=utf-8", "", text.as_bytes(), 1 << 20).expect("valid");
    assert_eq!(form, Form::Json);
    request
}

/// The series of a request, by their labels, with their one sample.
fn translated(otlp: &Otlp, request: &ExportRequest, now_ms: i64) -> (BTreeMap<String, f64>, Counted) {
    let mut deltas = lock(&otlp.deltas);
    let mut translator = Translator {
        deltas: &mut deltas,
        switches: &otlp.switches,
        attributes: &otlp.attributes,
        peer: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 11)),
        now_ms,
        series: Vec::new(),
        counted: Counted::default(),
    };
    translator.request(request);
    let series = translator.series.into_iter().map(|described| {
        let mut labels: Vec<String> = described
            .series
            .labels
            .iter()
            .map(|label| format!("{}={}", label.name, label.value))
            .collect();
        labels.sort();
        (labels.join(" "), described.series.samples[0].value)
    });
    (series.collect(), translator.counted)
}

/// As Cumulus Linux 5.15 sends it: counters as gauges, times as text.
fn interfaces() -> Value {
    json!({"resourceMetrics": [{"resource": {"attributes": [
            {"key": "net.host.name", "value": {"stringValue": "leaf-a01"}},
            {"key": "row", "value": {"stringValue": "7"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": "nvswitch_interface_tc_tx_ecn_marked_tc", "description": "ECN", "gauge": {"dataPoints": [
                {"attributes": [{"key": "interface", "value": {"stringValue": "swp1s0"}},
                    {"key": "tc", "value": {"intValue": "3"}}],
                 "timeUnixNano": (T0 * 1_000_000).to_string(), "asDouble": 48}]}},
            {"name": "nvrouting_bgp_peer_state", "gauge": {"dataPoints": [
                {"attributes": [{"key": "peer-id", "value": {"stringValue": "swp31"}},
                    {"key": "state", "value": {"stringValue": "Established"}}],
                 "timeUnixNano": T0 * 1_000_000, "asInt": "1"}]},
             "metadata": [{"key": "prometheus.type", "value": {"stringValue": "gauge"}}]}]}]}]})
}

#[test]
fn a_switch_s_push_has_its_name_and_what_the_configuration_says_of_it() {
    let known = SwitchConfig {
        name: "leaf-a01".to_owned(),
        url: None,
        fabric: "a".to_owned(),
        role: "leaf".to_owned(),
        address: None,
        user: None,
        password_file: None,
        labels: BTreeMap::new(),
    };
    let otlp = Otlp::new(&OtlpConfig::default(), Arc::new(SwitchBook::new(&[known])));
    let (series, counted) = translated(&otlp, &read(&interfaces()), T0 as i64);
    assert_eq!((counted.taken, counted.all_dropped()), (2, 0));
    let found: Vec<(&str, f64)> = series
        .iter()
        .map(|(labels, value)| (labels.as_str(), *value))
        .collect();
    assert_eq!(
        found,
        [
            (
                "__name__=nvrouting_bgp_peer_state fabric=a job=switch peer_id=swp31 role=leaf row=7 state=Established switch=leaf-a01",
                1.0
            ),
            (
                "__name__=nvswitch_interface_tc_tx_ecn_marked_tc fabric=a interface=swp1s0 job=switch role=leaf row=7 switch=leaf-a01 tc=3",
                48.0
            ),
        ]
    );
    assert!(otlp.switches.pushes("leaf-a01", T0 as i64 + 1000));
    assert!(!otlp.switches.pushes("leaf-a01", T0 as i64 + 600_000));
}

fn histogram(t_ms: u64, counts: [u64; 3], temporality: Value) -> Value {
    json!({"resourceMetrics": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "service.instance.id", "value": {"stringValue": "i1"}}]},
        "scopeMetrics": [{"metrics": [{"name": "http.duration", "unit": "s", "histogram": {
            "aggregationTemporality": temporality, "dataPoints": [{
            "timeUnixNano": (t_ms * 1_000_000).to_string(), "count": counts.iter().sum::<u64>().to_string(),
            "bucketCounts": counts.map(|count| count.to_string()), "explicitBounds": [0.1, 1.0]}]}}]}]}]})
}

#[test]
fn a_histogram_s_buckets_are_cumulative_and_deltas_are_added_up() {
    let otlp = Otlp::default();
    let common = "instance=i1 job=shop";
    for temporality in [json!(2), json!("AGGREGATION_TEMPORALITY_CUMULATIVE")] {
        let (series, _) = translated(&otlp, &read(&histogram(T0, [5, 3, 2], temporality)), T0 as i64);
        let value = |labels: &str| series.get(labels).copied();
        assert_eq!(
            value(&format!("__name__=http_duration_seconds_bucket {common} le=0.1")),
            Some(5.0)
        );
        assert_eq!(
            value(&format!("__name__=http_duration_seconds_bucket {common} le=+Inf")),
            Some(10.0)
        );
        assert_eq!(
            value(&format!("__name__=http_duration_seconds_count {common}")),
            Some(10.0)
        );
        assert_eq!(series.len(), 4, "no sum was sent, so there is none: {series:?}");
    }
    for (at, expected) in [(0, 8.0), (1, 16.0)] {
        let t_ms = T0 + at * 1000;
        let (series, _) = translated(&otlp, &read(&histogram(t_ms, [5, 3, 2], json!(1))), T0 as i64);
        assert_eq!(
            series.get(&format!("__name__=http_duration_seconds_bucket {common} le=1")),
            Some(&expected)
        );
    }
    let again = read(&histogram(T0 + 1000, [5, 3, 2], json!(1)));
    let (series, counted) = translated(&otlp, &again, T0 as i64);
    assert!(series.is_empty(), "the same delta twice is counted once");
    assert_eq!(counted.dropped, BTreeMap::from([("late", 1)]));
}

fn one_sum(point: NumberPoint, temporality: i32, monotonic: bool) -> ExportRequest {
    let metric = Metric {
        name: "jobs".to_owned(),
        sum: Some(Sum {
            data_points: vec![point],
            aggregation_temporality: temporality,
            is_monotonic: monotonic,
        }),
        ..Metric::default()
    };
    ExportRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: None,
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
            }],
        }],
    }
}

#[test]
fn protobuf_says_the_same_and_gone_series_are_stale() {
    let point = NumberPoint {
        time_unix_nano: T0 * 1_000_000,
        as_int: Some(7),
        attributes: vec![KeyValue {
            key: "job".to_owned(),
            value: Some(message::AnyValue {
                string_value: Some("forged".to_owned()),
                ..message::AnyValue::default()
            }),
        }],
        ..NumberPoint::default()
    };
    let body = one_sum(point.clone(), message::CUMULATIVE, true).encode_to_vec();
    let (request, form) = Otlp::read_http("application/x-protobuf", "", &body, 1 << 20).expect("valid");
    assert_eq!(form, Form::Protobuf);
    let otlp = Otlp::default();
    let (series, _) = translated(&otlp, &request, T0 as i64);
    assert_eq!(
        series,
        BTreeMap::from([("__name__=jobs_total job=otlp".to_owned(), 7.0)])
    );
    let gone = NumberPoint { flags: 1, ..point };
    let (series, _) = translated(&otlp, &one_sum(gone, message::DELTA, false), T0 as i64);
    assert!(series.values().all(|value| is_stale(*value)) && series.len() == 1);
}

#[test]
fn what_cannot_be_taken_is_counted_by_its_reason() {
    let otlp = Otlp::default();
    let future = NumberPoint {
        time_unix_nano: (T0 + 3_600_000) * 1_000_000,
        as_double: Some(1.0),
        ..NumberPoint::default()
    };
    let (_, counted) = translated(&otlp, &one_sum(future, message::CUMULATIVE, true), T0 as i64);
    assert_eq!(counted.dropped, BTreeMap::from([("future", 1)]));
    let empty = NumberPoint {
        time_unix_nano: T0 * 1_000_000,
        ..NumberPoint::default()
    };
    let (_, counted) = translated(&otlp, &one_sum(empty, message::CUMULATIVE, true), T0 as i64);
    assert_eq!(counted.dropped, BTreeMap::from([("no_value", 1)]));
    let exponential = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "e", "exponentialHistogram": {"dataPoints": [{"scale": 3}, {"scale": 3}]}},
        {"name": "h", "histogram": {"dataPoints": [{"bucketCounts": ["1"], "explicitBounds": [1, 2]}]}}]}]}]});
    let (_, counted) = translated(&otlp, &read(&exponential), T0 as i64);
    assert_eq!(
        counted.dropped,
        BTreeMap::from([("bad_buckets", 1), ("exponential_histogram", 2)])
    );
}

#[test]
fn a_body_that_is_none_says_why() {
    for (content_type, encoding, body, part) in [
        ("text/plain", "", &b"x"[..], "content type"),
        ("application/json", "zstd", b"{}", "content encoding"),
        ("application/json", "gzip", b"{}", "cannot be unpacked"),
        (
            "application/json",
            "",
            b"{ \"resourceMetrics\": 5 }",
            "no ExportMetricsServiceRequest",
        ),
        (
            "application/x-protobuf",
            "",
            b"\x0a\xff",
            "no ExportMetricsServiceRequest",
        ),
        (
            "application/json",
            "",
            b"                                        ",
            "more than 32 bytes",
        ),
    ] {
        let error = Otlp::read_http(content_type, encoding, body, 32)
            .expect_err(part)
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &vec![b' '; 1 << 20]).expect("memory");
    let bomb = packed.finish().expect("memory");
    let error = Otlp::read_http("application/json", "gzip", &bomb, 1000).expect_err("too large");
    assert!(matches!(error, BadRequest::Large(1000)));
}
