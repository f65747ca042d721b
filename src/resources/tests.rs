use super::*;

async fn ask(method: &str, path: &str, query: &str) -> (u16, Value) {
    let request = ResourceRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        ..ResourceRequest::default()
    };
    let response = answer(&Plugin::new(), request).await;
    (
        response.status,
        serde_json::from_slice(&response.body).expect("JSON"),
    )
}

#[tokio::test]
async fn an_expression_is_judged_with_its_place() {
    let (status, json) = ask("GET", "parse", "expr=rate(node_load1%5B%24__rate_interval%5D)").await;
    assert_eq!(
        (status, &json["ok"], &json["type"]),
        (200, &json!(true), &json!("vector"))
    );
    let (status, json) = ask("GET", "parse", "expr=sum(").await;
    assert_eq!((status, &json["ok"]), (200, &json!(false)));
    assert!(
        json["error"].as_str().is_some_and(|text| !text.is_empty()),
        "{json}"
    );
}

#[tokio::test]
async fn the_functions_are_those_that_are_evaluated() {
    let (status, json) = ask("GET", "functions", "").await;
    let names = json.as_array().expect("a list");
    assert_eq!(status, 200);
    assert!(
        names.contains(&json!("rate")) && names.contains(&json!("histogram_quantile")),
        "{json}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_cannot_be_done_405() {
    assert_eq!(ask("GET", "api/v1/nonsense", "").await.0, 404);
    assert_eq!(ask("GET", "api/v1/label//values", "").await.0, 404);
    assert_eq!(ask("DELETE", "api/v1/labels", "").await.0, 405);
    let (status, json) = ask("GET", "api/v1/labels", "").await;
    assert_eq!((status, &json["status"]), (400, &json!("error")));
}

#[test]
fn a_long_answer_is_compressed_and_a_short_one_not() {
    let long = vec![b'x'; 10_000];
    let small = compress(&long).expect("worth it");
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&small[..]), &mut back).expect("gzip");
    assert_eq!(back, long);
    assert!(compress(b"short").is_none());
}
