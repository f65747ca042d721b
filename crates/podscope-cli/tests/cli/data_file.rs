//! `podscope query --data`: samples of any age from a text file.

use serde_json::{Value, json};

use crate::command::{podscope, text};

const SAMPLES: &str = "\
# TYPE requests counter
requests_total{path=\"/a\"} 0 0
requests_total{path=\"/a\"} 30 15.5
requests_total{path=\"/a\"} 60 30
requests_total{path=\"/b\"} 7 -10
# EOF
";

fn file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("temp");
    std::fs::write(file.path(), SAMPLES).expect("temp");
    file
}

fn json_of(arguments: &[&str]) -> (bool, Value) {
    let file = file();
    let path = file.path().to_str().expect("a plain path");
    let mut all = vec!["query", "--data", path, "--output", "json"];
    all.extend(arguments);
    let done = podscope(&all);
    let value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&done.stdout)));
    (done.status.success(), value)
}

#[test]
fn an_instant_at_epoch_zero_and_before_answers_prometheus_json() {
    let (good, answer) = json_of(&["requests_total", "--time", "0"]);
    assert!(good);
    let vector = json!([
        { "metric": { "__name__": "requests_total", "path": "/a" }, "value": [0, "0"] },
        { "metric": { "__name__": "requests_total", "path": "/b" }, "value": [0, "7"] },
    ]);
    assert_eq!(
        answer,
        json!({ "status": "success", "data": { "resultType": "vector", "result": vector } })
    );
    let (_, answer) = json_of(&["requests_total", "--time", "-10"]);
    assert_eq!(answer["data"]["result"][0]["value"], json!([-10, "7"]));
}

#[test]
fn a_range_takes_decimals_and_answers_a_matrix() {
    let (good, answer) = json_of(&[
        "requests_total{path=\"/a\"}",
        "--start",
        "0",
        "--end",
        "31",
        "--step",
        "15.5",
    ]);
    assert!(good);
    assert_eq!(answer["data"]["resultType"], "matrix");
    assert_eq!(
        answer["data"]["result"][0]["values"],
        json!([[0, "0"], [15.5, "30"], [31, "60"]])
    );
}

#[test]
fn errors_and_remarks_are_in_the_json_and_the_exit_status() {
    let (good, answer) = json_of(&["rate(requests_total[", "--time", "0"]);
    assert!(!good);
    assert_eq!(
        (&answer["status"], &answer["errorType"]),
        (&json!("error"), &json!("bad_data"))
    );
    let (good, answer) = json_of(&["rate({path=\"/a\"}[1m])", "--time", "forty"]);
    assert!(
        !good
            && answer["error"]
                .as_str()
                .is_some_and(|error| error.contains("--time")),
        "{answer}"
    );
}

#[test]
fn a_table_has_one_line_per_series_and_a_bad_file_names_its_line() {
    let file = file();
    let path = file.path().to_str().expect("a plain path");
    let done = podscope(&["query", "requests_total", "--data", path, "--time", "30"]);
    assert_eq!(text(&done.stdout).lines().count(), 2, "{}", text(&done.stdout));
    assert!(text(&done.stdout).contains("requests_total{path=\"/a\"}  60"));

    std::fs::write(file.path(), "good 1 1\nbad{ 2\n").expect("temp");
    let done = podscope(&["query", "good", "--data", path, "--time", "1"]);
    assert!(!done.status.success());
    assert!(text(&done.stderr).contains("line 2"), "{}", text(&done.stderr));
}
