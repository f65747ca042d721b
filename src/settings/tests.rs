use std::collections::HashMap;

use super::*;

fn source(json: &str) -> DataSource {
    DataSource {
        json: json.as_bytes().to_vec(),
        ..DataSource::default()
    }
}

fn error(json: &str) -> String {
    Settings::read(&source(json))
        .expect_err("makes no sense")
        .to_string()
}

#[test]
fn nothing_at_all_is_every_default() {
    for json in ["", "null", "{}", " \n"] {
        let settings = Settings::read(&source(json)).expect("defaults");
        assert!(settings.targets.is_empty());
        assert_eq!(settings.max_cells, 100_000);
        assert_eq!(settings.timeout, Duration::from_secs(10));
        assert_eq!(settings.lookback_ms, 300_000);
        assert!((settings.completeness - 0.9).abs() < 1e-12);
    }
}

#[test]
fn targets_come_from_the_list_the_text_and_the_data_sources_own_url() {
    let mut source = source(
        r##"{"targets": [{"url": "http://a:9477/", "instance": "a", "labels": {"rack": "r1"}, "id": 7}, {"url": ""}],
            "urls": "http://b:9477 # the second\n\n# nobody\nhttps://c"}"##,
    );
    source.url = "http://hub:9477".to_owned();
    let targets = Settings::read(&source).expect("valid").targets;
    let urls: Vec<&str> = targets.iter().map(|target| target.url.as_str()).collect();
    assert_eq!(
        urls,
        ["http://a:9477", "http://b:9477", "https://c", "http://hub:9477"]
    );
    assert_eq!(targets[0].instance.as_deref(), Some("a"));
    assert_eq!(targets[0].labels["rack"], "r1");
}

#[test]
fn numbers_may_be_text_and_empty_text_is_the_default() {
    let settings = Settings::read(&source(
        r#"{"timeoutMs": "2500", "maxCells": "", "timeInterval": "15s"}"#,
    ))
    .expect("valid");
    assert_eq!(settings.timeout, Duration::from_millis(2500));
    assert_eq!(settings.max_cells, 100_000);
    assert_eq!(settings.min_interval_ms, 15_000);
    assert_eq!(settings.limits.timeout_ms, 2500);
}

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    assert_eq!(
        error("[1]"),
        "the data source's settings are not a JSON object: found a list"
    );
    assert_eq!(
        error(r#"{"completeness": 90}"#),
        "the data source's setting `completeness` must be between 0 and 1, it is 90"
    );
    assert_eq!(
        error(r#"{"timeoutMs": "soon"}"#),
        r#"the data source's setting `timeoutMs` must be a number, it is "soon""#
    );
    assert_eq!(
        error(r#"{"targets": [{"url": "node1:9477"}]}"#),
        "the data source's setting `targets[0].url` is \"node1:9477\", which lacks its scheme; write \
         http://node1:9477 or https://node1:9477"
    );
    assert!(error(r#"{"urls": "ftp://a"}"#).contains("agents speak http and https, not ftp"));
    assert!(
        error(r#"{"targets": [{"url": "http://a", "labels": {"1x": "y"}}]}"#).contains("targets[0].labels")
    );
    assert!(error(r#"{"tlsAuth": true}"#).contains("the secret `tlsClientCert` is empty"));
}

#[test]
fn no_secret_is_ever_printed() {
    let mut source = source(r#"{"tlsAuth": true}"#);
    source.secrets = HashMap::from(
        [
            ("token", "hunter2"),
            ("tlsClientCert", "CERT"),
            ("tlsClientKey", "hunter3"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let settings = Settings::read(&source).expect("valid");
    assert!(settings.token.is_some());
    let printed = format!("{settings:?} {:?}", settings.fleet_config());
    assert!(!printed.contains("hunter"), "{printed}");
}
