//! What can go wrong between the agent and slurmrestd.

use std::sync::Arc;
use std::time::Duration;

use podscope_agent::config::{Period, SlurmConfig};
use podscope_collect::Collector;
use podscope_collect::slurm::{BookOptions, SlurmBook, SlurmCollector};
use podscope_model::batch::Row;
use podscope_sim::slurmrestd::{FixedWorld, SlurmFault, SlurmrestdOptions};

use crate::{HandClock, NOW_S, Server, poll};

fn server(token: Option<&str>) -> (Server, HandClock) {
    let clock = HandClock::at(NOW_S);
    let options = SlurmrestdOptions {
        token: token.map(str::to_owned),
        ..SlurmrestdOptions::default()
    };
    let world = Arc::new(FixedWorld { origin_s: NOW_S });
    (Server::start(world, &clock, options), clock)
}

fn failure(config: &SlurmConfig) -> String {
    let book = SlurmBook::new(BookOptions::default());
    let error = poll(config, &book, NOW_S).expect_err("something is wrong");
    assert_eq!(book.health().failures, 1);
    let told = book.health().error.expect("remembered");
    assert!(told.starts_with(&error.to_string()), "{told}");
    told
}

#[test]
fn every_fault_names_its_place_and_its_remedy() {
    let (server, _) = server(None);
    for (fault, parts) in [
        (
            SlurmFault::Html,
            &["something else than JSON", "Sign in", "`slurm.url`"][..],
        ),
        (SlurmFault::Half, &["ends in the middle"]),
        (
            SlurmFault::Status(429, Some(7)),
            &["status 429", "out of order", "again later"],
        ),
        (SlurmFault::Status(503, None), &["status 503"]),
        (
            SlurmFault::Slow(Duration::from_secs(600)),
            &["did not answer", "`slurm.timeout`"],
        ),
    ] {
        server.slurmrestd.set_fault(Some(fault.clone()));
        let config = SlurmConfig {
            timeout: Period(Duration::from_millis(match fault {
                SlurmFault::Slow(_) => 200,
                _ => 20_000,
            })),
            ..server.config()
        };
        let error = failure(&config);
        for part in parts.iter().chain(&[server.url.as_str()]) {
            assert!(error.contains(part), "{fault:?}: {error}");
        }
    }
    server.slurmrestd.set_fault(None);
    let book = SlurmBook::new(BookOptions::default());
    poll(&server.config(), &book, NOW_S).expect("all is well again");
}

#[test]
fn nobody_there_names_the_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let config = SlurmConfig {
        url: Some(url.clone()),
        ..SlurmConfig::default()
    };
    let error = failure(&config);
    assert!(error.contains("cannot reach") && error.contains(&url), "{error}");
}

#[test]
fn tokens_are_sent_and_wrong_missing_or_expired_ones_are_told() {
    let (server, _) = server(Some("right-token"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("slurm-token");
    let config = SlurmConfig {
        user: Some("podscope".to_owned()),
        token_file: Some(file.clone()),
        ..server.config()
    };
    let error = failure(&server.config());
    assert!(
        error.contains("Authentication failure") && error.contains("scontrol token"),
        "{error}"
    );
    let error = failure(&config);
    assert!(
        error.contains("slurm-token") && error.contains("cannot be used"),
        "{error}"
    );
    std::fs::write(&file, "SLURM_JWT=wrong-token\n").expect("written");
    let error = failure(&config);
    assert!(error.contains("refuses the credentials"), "{error}");
    assert!(!error.contains("wrong-token"), "no secret in an error: {error}");
    // {"exp": 1000000000, "sun": "ann"}
    std::fs::write(
        &file,
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjEwMDAwMDAwMDAsInN1biI6ImFubiJ9.c2ln\n",
    )
    .expect("written");
    server.slurmrestd.take_asked();
    let error = failure(&config);
    assert!(
        error.contains("expired") && error.contains("slurm-token"),
        "{error}"
    );
    assert!(
        server.slurmrestd.take_asked().is_empty(),
        "an expired token is not even sent"
    );
    std::fs::write(&file, "right-token\n").expect("written");
    let book = SlurmBook::new(BookOptions::default());
    poll(&config, &book, NOW_S).expect("welcome");
}

#[test]
fn a_unix_socket_needs_no_token() {
    let (server, _) = server(None);
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("rest.sock");
    let router = server.slurmrestd.router();
    let path = socket.clone();
    let listener = server
        .runtime
        .block_on(async move { tokio::net::UnixListener::bind(path) })
        .expect("a socket");
    server
        .runtime
        .spawn(async move { axum::serve(listener, router).await });
    let config = SlurmConfig {
        socket: Some(socket.clone()),
        ..SlurmConfig::default()
    };
    let book = SlurmBook::new(BookOptions::default());
    poll(&config, &book, NOW_S).expect("an answer");
    assert_eq!(book.snapshot().jobs.len(), 5);
    std::fs::remove_file(&socket).expect("removed");
    let error = failure(&config);
    assert!(
        error.contains("rest.sock") && error.contains("cannot reach"),
        "{error}"
    );
}

#[test]
fn an_old_answer_is_shown_for_a_while_and_then_no_more() {
    let (server, clock) = server(None);
    let book = SlurmBook::new(BookOptions::default());
    poll(&server.config(), &book, NOW_S).expect("an answer");
    let mut collector = SlurmCollector::new(book.clone(), Arc::new(clock.clone()));
    server.slurmrestd.set_fault(Some(SlurmFault::Status(500, None)));
    poll(&server.config(), &book, NOW_S + 30).expect_err("broken");
    clock.set(NOW_S + 60);
    let all = crate::series(&mut collector);
    assert_eq!(all[r#"podscope_slurm_up{api="v0.0.38", cluster="emea"}"#], 0.0);
    assert_eq!(all["podscope_slurm_poll_age_seconds"], 60.0);
    assert_eq!(all["slurm_queue_running"], 2.0);
    clock.set(NOW_S + 3600);
    let mut row = Row::new();
    row.begin();
    let error = collector.collect(&mut row).expect_err("too old");
    assert!(error.to_string().contains("status 500"), "{error}");
    assert!(row.is_empty());
}
