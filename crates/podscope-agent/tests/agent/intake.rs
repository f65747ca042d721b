//! What others send: OTLP over HTTP and gRPC, syslog by `logger`, traps by `snmptrap`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use podscope_agent::config::{
    OtlpConfig, Peer, SnmpConfig, SnmpUserConfig, SwitchConfig, SyslogConfig, WriteAccess, WriteConfig,
};
use podscope_agent::otlp::{Otlp, SwitchBook};
use podscope_agent::{Agent, Config, Live, RunningAgent, StartOptions};
use podscope_history::events::EventSearch;
use podscope_model::event::{Event, EventFilter, EventKind, Severity};
use podscope_model::labels::Labels;
use podscope_model::source::{Budget, Cancel};
use serde_json::{Value, json};

use crate::cluster::{self, Answer, Node};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PASSWORD: &str = "correct horse battery";

fn local() -> Vec<Peer> {
    vec![Peer("127.0.0.0/8".parse().expect("a network"))]
}

#[track_caller]
fn until(mut ask: impl FnMut() -> bool) {
    cluster::until("what was sent", || ask().then_some(()));
}

/// An agent that takes everything from loopback.
async fn agent(dir: &Path) -> RunningAgent {
    let password = dir.join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("writable");
    let user = |name: &str, auth: &str, privacy: &str| SnmpUserConfig {
        name: name.to_owned(),
        auth: auth.to_owned(),
        auth_password_file: Some(password.clone()),
        privacy: privacy.to_owned(),
        privacy_password_file: (privacy != "none").then(|| password.clone()),
    };
    let config = Config {
        listen: LOOPBACK,
        data_dir: Some(dir.join("data")),
        instance: Some("hub".to_owned()),
        write: WriteConfig {
            peers: local(),
            ..WriteConfig::default()
        },
        syslog: SyslogConfig {
            udp: Some(LOOPBACK),
            tcp: Some(LOOPBACK),
            ..SyslogConfig::default()
        },
        snmp: SnmpConfig {
            listen: Some(LOOPBACK),
            ..SnmpConfig::default()
        },
        snmp_users: Some(vec![
            user("signer", "md5", "none"),
            user("desman", "sha1", "des"),
            user("aesman", "sha256", "aes128"),
        ]),
        otlp: OtlpConfig {
            grpc_listen: Some(LOOPBACK),
            ..OtlpConfig::default()
        },
        ..Config::default()
    };
    Agent::start(config, StartOptions::default(), Vec::new())
        .await
        .expect("it starts")
}

fn events(agent: &RunningAgent, query: &str) -> Vec<Event> {
    let store = agent.state.event_store().expect("a store");
    let filter = EventFilter::parse(query).expect("a query");
    let search = EventSearch {
        filter: &filter,
        node: &Labels::empty(),
        start_ms: 0,
        end_ms: i64::MAX,
        limit: 1000,
        stored_after_ms: None,
        user: None,
    };
    let budget = Budget::new(u64::MAX, u64::MAX, None, Cancel::default());
    let found = store.search(&search, &budget).expect("readable");
    found.events.into_iter().map(|stored| stored.event).collect()
}

/// Runs a program of Debian; whether it is there.
fn debian(program: &str, package: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {arguments:?}: {said}");
            true
        }
        Err(_) => {
            let required = std::env::var("PODSCOPE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "{program} is missing: install {package}");
            eprintln!("skipped: no {program}; it comes with Debian's package {package}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_logger_become_events_in_both_forms_over_both_ways() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = agent(dir.path()).await;
    let syslog = agent.intake().syslog.as_ref().expect("it runs");
    let (udp, tcp) = (
        syslog.udp.expect("bound").port(),
        syslog.tcp.expect("bound").port(),
    );
    let ways: [(&[&str], u16, &str); 4] = [
        (&["--udp", "--rfc3164"], udp, "swp1s0"),
        (&["--udp", "--rfc5424"], udp, "swp2s0"),
        (&["--tcp", "--rfc5424"], tcp, "swp3s0"),
        (&["--tcp", "--rfc5424", "--octet-count"], tcp, "swp4s0"),
    ];
    for (form, port, interface) in ways {
        let (port, line) = (port.to_string(), format!("{interface}: link down"));
        let arguments = [
            &[
                "--server",
                "127.0.0.1",
                "--port",
                &port,
                "--tag",
                "kernel",
                "--priority",
                "kern.info",
            ],
            form,
            &[&line],
        ]
        .concat();
        if !debian("logger", "bsdutils", &arguments) {
            return;
        }
    }
    until(|| events(&agent, "{what=\"link\"}").len() == 4);
    for event in events(&agent, "{what=\"link\"}") {
        assert_eq!((event.kind, event.severity), (EventKind::Link, Severity::Error));
        assert!(event.title.ends_with("s0 went down"), "{}", event.title);
        assert_eq!(event.labels.get("program"), Some("kernel"));
        assert_eq!(
            event.labels.get("sender_time"),
            None,
            "the clock is this machine's"
        );
    }
    let interfaces: std::collections::BTreeSet<String> = events(&agent, "{what=\"link\"}")
        .iter()
        .map(|event| event.labels.get("interface").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(interfaces.len(), 4, "{interfaces:?}");
    agent.stop().await.expect("synced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_lines_is_limited_and_leaves_the_others_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = agent(dir.path()).await;
    let addr = agent
        .intake()
        .syslog
        .as_ref()
        .and_then(|syslog| syslog.udp)
        .expect("bound");
    let loud = UdpSocket::bind("127.0.0.2:0").expect("loopback");
    let quiet = UdpSocket::bind("127.0.0.3:0").expect("loopback");
    let lines: Vec<u8> = (0..50)
        .flat_map(|at| format!("<3>disk {at} of many is full\n").into_bytes())
        .collect();
    let limited = || {
        let counts = agent.state.intake().counts();
        counts.get(&("syslog", "limited")).copied().unwrap_or(0)
    };
    // Datagrams may be lost in a full socket: it is sent until more was dropped than one sender may say.
    until(|| {
        for _ in 0..100 {
            loud.send_to(&lines, addr).expect("sent");
        }
        limited() > 10_000
    });
    assert!(events(&agent, "{what=\"log\"}").len() <= 1_000);
    until(|| {
        quiet
            .send_to(
                b"<3>1 2026-11-21T08:26:00Z leaf-a01 kernel - - - swp9: link down",
                addr,
            )
            .expect("sent");
        !events(&agent, "{what=\"link\"}").is_empty()
    });
    agent.stop().await.expect("synced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traps_of_snmptrap_are_taken_in_v2c_and_in_v3_from_users_that_are_known() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = agent(dir.path()).await;
    let addr = agent.intake().traps.as_ref().expect("it runs").addr;
    let to = addr.to_string();
    let link_down = |interface: &'static str| {
        [
            "1.3.6.1.6.3.1.1.5.3",
            "1.3.6.1.2.1.2.2.1.1.7",
            "i",
            "7",
            "1.3.6.1.2.1.2.2.1.2.7",
            "s",
            interface,
        ]
    };
    let v3 = |user: &'static str, auth: &'static str, level: &'static str| {
        [
            "-v",
            "3",
            "-u",
            user,
            "-a",
            auth,
            "-A",
            PASSWORD,
            "-l",
            level,
            "-e",
            "0x80001f8880aabbccdd",
        ]
    };
    let senders: [(Vec<&str>, &'static str); 4] = [
        (vec!["-v", "2c", "-c", "public"], "swp1"),
        (v3("signer", "MD5", "authNoPriv").to_vec(), "swp2"),
        (
            [
                &v3("desman", "SHA", "authPriv")[..],
                &["-x", "DES", "-X", PASSWORD],
            ]
            .concat(),
            "swp3",
        ),
        (
            [
                &v3("aesman", "SHA-256", "authPriv")[..],
                &["-x", "AES", "-X", PASSWORD],
            ]
            .concat(),
            "swp4",
        ),
    ];
    for (who, interface) in senders {
        let arguments = [&who[..], &[&to, ""], &link_down(interface)].concat();
        if !debian("snmptrap", "snmp", &arguments) {
            return;
        }
    }
    until(|| events(&agent, "{what=\"linkDown\"}").len() == 4);
    for event in events(&agent, "{what=\"linkDown\"}") {
        assert_eq!(event.kind, EventKind::Link);
        assert!(event.text.contains("ifIndex.7 = 7\n"), "{}", event.text);
    }
    // Another password, a user nobody knows, and less protection than the user must have.
    let wrong = [
        "-v",
        "3",
        "-u",
        "signer",
        "-a",
        "MD5",
        "-A",
        "another password",
        "-l",
        "authNoPriv",
        "-e",
        "0x80001f8880aabbccdd",
    ];
    let unknown = [
        "-v",
        "3",
        "-u",
        "mallory",
        "-a",
        "MD5",
        "-A",
        PASSWORD,
        "-l",
        "authNoPriv",
        "-e",
        "0x80001f8880aabbccdd",
    ];
    let open = [
        "-v",
        "3",
        "-u",
        "aesman",
        "-l",
        "noAuthNoPriv",
        "-e",
        "0x80001f8880aabbccdd",
    ];
    for who in [&wrong[..], &unknown, &open] {
        debian(
            "snmptrap",
            "snmp",
            &[who, &[&to, ""], &link_down("swp66")].concat(),
        );
    }
    let refused = || agent.state.intake().counts().get(&("snmp", "refused")).copied();
    until(|| refused() == Some(3));
    assert!(events(&agent, "{interface=\"swp66\"}").is_empty());
    // An inform is answered, or snmpinform would fail.
    let inform = [
        &["-v", "2c", "-c", "public", "-r", "3", "-t", "5", &to, ""][..],
        &link_down("swp5"),
    ]
    .concat();
    debian("snmpinform", "snmp", &inform);
    until(|| !events(&agent, "{interface=\"swp5\"}").is_empty());
    agent.stop().await.expect("synced");
}

fn push() -> Value {
    let now = podscope_agent::schedule::now_ms();
    json!({"resourceMetrics": [{"resource": {"attributes": [
            {"key": "net.host.name", "value": {"stringValue": "leaf-a01"}}]},
        "scopeMetrics": [{"metrics": [{"name": "nvswitch_interface_tc_tx_ecn_marked_tc", "gauge": {"dataPoints": [
            {"attributes": [{"key": "interface", "value": {"stringValue": "swp1s0"}}, {"key": "tc", "value": {"intValue": "3"}}],
             "timeUnixNano": (now * 1_000_000).to_string(), "asDouble": 48},
            {"attributes": [{"key": "interface", "value": {"stringValue": "swp2s0"}}, {"key": "tc", "value": {"intValue": "3"}}],
             "timeUnixNano": ((now - 300) * 1_000_000).to_string(), "asDouble": 52}]}}]}]}]})
}

async fn post(node: &Node, from: [u8; 4], body: &Value) -> Answer {
    let mut request = Request::post("/v1/metrics")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    request
        .extensions_mut()
        .insert(ConnectInfo(SocketAddr::from((from, 40_000))));
    node.send(request).await
}

#[tokio::test]
async fn a_switch_s_push_over_http_is_asked_back_by_promql_and_strangers_are_refused() {
    let node = Node::with(Live {
        write: WriteAccess {
            token: None,
            peers: local(),
        },
        ..Live::local(Default::default())
    });
    let known = SwitchConfig {
        name: "leaf-a01".to_owned(),
        url: None,
        fabric: "a".to_owned(),
        role: "leaf".to_owned(),
        address: None,
        user: None,
        password_file: None,
        labels: Default::default(),
    };
    node.state.set_otlp(Otlp::new(
        &OtlpConfig::default(),
        Arc::new(SwitchBook::new(&[known])),
    ));
    assert_eq!(
        post(&node, [10, 9, 9, 9], &push()).await.status,
        StatusCode::UNAUTHORIZED
    );
    let answer = post(&node, [127, 0, 0, 1], &push()).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "{}"));
    node.state.receiver().flush(Instant::now(), true);
    let query = "sum by (switch, fabric, tc) (nvswitch_interface_tc_tx_ecn_marked_tc)";
    let encoded: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .finish();
    let answer = node.get(&format!("/api/v1/query?{encoded}")).await.json();
    let result = &answer["data"]["result"];
    assert_eq!(
        result[0]["metric"],
        json!({"switch": "leaf-a01", "fabric": "a", "tc": "3"}),
        "{answer}"
    );
    assert_eq!(
        result[0]["value"][1], "100",
        "both ports are in one row: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_push_is_taken_over_grpc() {
    use podscope_agent::otlp::message::{ExportRequest, ExportResponse};
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = agent(dir.path()).await;
    let addr = agent.grpc_addr().expect("it is served");
    let request: ExportRequest = serde_json::from_value(push()).expect("the documented shape");
    let channel = tonic::transport::Endpoint::try_from(format!("http://{addr}"))
        .expect("an address")
        .connect()
        .await
        .expect("it connects");
    let mut client =
        tonic::client::Grpc::new(channel).send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.ready().await.expect("it is ready");
    let path = http::uri::PathAndQuery::from_static(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    );
    let codec = tonic::codec::ProstCodec::<ExportRequest, ExportResponse>::default();
    let answer = client
        .unary(tonic::Request::new(request.clone()), path.clone(), codec)
        .await
        .expect("it is taken");
    assert_eq!(answer.into_inner(), ExportResponse::default());
    assert_eq!(agent.state.otlp().totals(), (2, Default::default()));
    // The same without the right to write.
    agent.state.set_live(Live {
        write: WriteAccess::default(),
        ..(*agent.state.live()).clone()
    });
    client.ready().await.expect("it is ready");
    let codec = tonic::codec::ProstCodec::<ExportRequest, ExportResponse>::default();
    let refused = client.unary(tonic::Request::new(request), path, codec).await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert!(refused.message().contains("write.peers"), "{refused}");
    agent.stop().await.expect("synced");
}

#[tokio::test]
async fn an_open_incident_is_a_series_until_it_is_closed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = agent(dir.path()).await;
    let store = agent.state.event_store().expect("a store");
    let now = podscope_agent::schedule::now_ms();
    let incident = Event::new(EventKind::Incident, "cli", "SEV-1: queue wait", now - 60_000)
        .severity(Severity::Critical)
        .label("scope", "pod-2")
        .label("commander", "ada")
        .still_open();
    store.add(incident.clone(), now);
    let values = |name: &str| {
        let mut found = Vec::new();
        for stream in agent.state.streams().iter() {
            stream.for_each_current(|column, value| {
                if column.metric.name() == name {
                    found.push((column.labels.clone(), value));
                }
            });
        }
        found
    };
    let opened = podscope_model::catalog::changes::INCIDENT_OPENED.name;
    until(|| !values(opened).is_empty());
    assert_eq!(values(opened)[0].1, ((now - 60_000) as f64) / 1000.0);
    let active = values(podscope_model::catalog::changes::INCIDENT_ACTIVE.name);
    assert_eq!(active[0].0.get("commander"), Some("ada"));
    assert_eq!(active[0].0.get("status"), Some("investigating"));
    store.add(incident.until(now), now + 1);
    until(|| values(opened).is_empty());
    agent.stop().await.expect("synced");
}
