//! Simulated switches, asked by a real agent: counters, failovers, a switch that is restarted, changes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podscope_agent::config::{NvueConfig, Period, SwitchConfig};
use podscope_agent::{Agent, Config, RunningAgent, StartOptions};
use podscope_history::events::EventSearch;
use podscope_model::catalog::{Job, switch as catalog};
use podscope_model::event::{Event, EventFilter};
use podscope_model::labels::Labels;
use podscope_model::leaf::CollectorState;
use podscope_model::source::{Budget, Cancel};
use podscope_sim::nvue::{Clock, FabricWorld, FixedFabric, NvueOptions, NvueServer};

#[track_caller]
fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ask() {
        assert!(Instant::now() < deadline, "waited 60 s for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn clock() -> Clock {
    Arc::new(podscope_agent::schedule::now_ms)
}

async fn hub(dir: &Path, server: &NvueServer, switches: &[&str], password: &str) -> RunningAgent {
    let file = dir.join("password");
    std::fs::write(&file, format!("{password}\n")).expect("writable");
    let switch = |name: &&str| SwitchConfig {
        name: (*name).to_owned(),
        url: Some(server.url(name)),
        fabric: "a".to_owned(),
        role: name.split('-').next().unwrap_or_default().to_owned(),
        address: None,
        user: None,
        password_file: None,
        labels: Default::default(),
    };
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: Some(dir.join("data")),
        instance: Some("hub".to_owned()),
        switches: Some(switches.iter().map(switch).collect()),
        nvue: NvueConfig {
            user: Some(NvueOptions::default().user),
            password_file: Some(file),
            // As often as no file may say: a test does not wait half a minute.
            interval: Period(Duration::from_millis(100)),
            ..NvueConfig::default()
        },
        ..Config::default()
    };
    Agent::start(config, StartOptions::default(), Vec::new())
        .await
        .expect("it starts")
}

/// The current value of a series of a switch.
fn value(agent: &RunningAgent, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = None;
    for stream in agent
        .state
        .streams()
        .iter()
        .filter(|stream| stream.job() == Job::Switch)
    {
        stream.for_each_current(|column, value| {
            let fits = labels
                .iter()
                .all(|(name, wanted)| column.labels.get(name) == Some(wanted));
            if column.metric.name() == name && fits {
                found = Some(value);
            }
        });
    }
    found
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

fn collector(agent: &RunningAgent, name: &str) -> CollectorState {
    let streams = agent.state.streams();
    let stream = streams
        .iter()
        .find(|stream| stream.name() == name)
        .expect("a stream");
    stream.report().info.state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_release_s_way_of_answering_gives_the_same_counters() {
    for (queues_together, old_paths, text_numbers, token_minutes) in [
        (true, false, false, 60),
        (false, false, true, 60),
        (false, true, false, 0),
    ] {
        let fabric = Arc::new(FixedFabric::small());
        let options = NvueOptions {
            queues_together,
            old_paths,
            text_numbers,
            token_minutes,
            ..NvueOptions::default()
        };
        let world: Arc<dyn FabricWorld> = fabric.clone();
        let server = NvueServer::start(world, clock(), options)
            .await
            .expect("it serves");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let agent = hub(
            dir.path(),
            &server,
            &["leaf-a01", "spine-a1"],
            &NvueOptions::default().password,
        )
        .await;
        let leaf = [("switch", "leaf-a01"), ("interface", "swp1s0")];
        let class = [leaf[0], leaf[1], ("tc", "3"), ("fabric", "a"), ("role", "leaf")];
        until("both switches' counters", || {
            value(&agent, catalog::TC_ECN_MARKED.name, &class) == Some(4_000.0)
                && value(&agent, catalog::TC_ECN_MARKED.name, &[("switch", "spine-a1")]).is_some()
        });
        for (name, labels, expected) in [
            (catalog::INTERFACE_IN_OCTETS.name, &leaf[..], 5e9),
            (catalog::INTERFACE_SPEED.name, &leaf, 400e9),
            (
                catalog::INTERFACE_OPER_STATE.name,
                &[leaf[0], ("interface", "swp2s0")],
                2.0,
            ),
            (catalog::BUFFER_TC_OCCUPANCY.name, &class, 13_470_000.0),
            (
                catalog::SWITCH_PAUSE.name,
                &[leaf[0], leaf[1], ("direction", "tx"), ("priority", "3")],
                0.75,
            ),
            (
                catalog::BGP_PEER_STATE.name,
                &[leaf[0], ("state", "Established")],
                1.0,
            ),
            (
                catalog::EVPN_SEGMENT_FORWARDER.name,
                &[leaf[0], ("interface", "bond1")],
                1.0,
            ),
            (
                catalog::LLDP_NEIGHBOR_INFO.name,
                &[leaf[0], ("neighbor", "emea-gpu-01")],
                1.0,
            ),
        ] {
            assert_eq!(value(&agent, name, labels), Some(expected), "{name}");
        }
        // A port without a link is not asked alone.
        if !queues_together {
            let down = [leaf[0], ("interface", "swp2s0"), ("tc", "3")];
            assert_eq!(value(&agent, catalog::TC_FRAMES.name, &down), None);
        }
        agent.stop().await.expect("synced");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_an_event_and_a_new_configuration_a_change() {
    let fabric = Arc::new(FixedFabric::small());
    let world: Arc<dyn FabricWorld> = fabric.clone();
    let server = NvueServer::start(world, clock(), NvueOptions::default())
        .await
        .expect("it serves");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = hub(
        dir.path(),
        &server,
        &["leaf-a01"],
        &NvueOptions::default().password,
    )
    .await;
    until("the first round", || {
        collector(&agent, "switch:leaf-a01") == CollectorState::Ok
    });
    assert!(events(&agent, "").is_empty(), "the first look is no news");
    fabric.change("leaf-a01", |state| {
        state.segments[0].designated_forwarder = false;
        state.neighbors[0].state = "idle".to_owned();
        state.applied_revision = 15;
    });
    until("the failover", || {
        events(&agent, "{kind=\"link\", what=\"evpn_failover\"}").len() == 2
    });
    until("the change", || events(&agent, "{kind=\"change\"}").len() == 1);
    let change = events(&agent, "{kind=\"change\"}").remove(0);
    assert_eq!(change.title, "leaf-a01: applied revision changed from 14 to 15");
    assert!(change.end_ms.is_some_and(|end| end > change.time_ms));
    assert_eq!(
        value(
            &agent,
            catalog::EVPN_SEGMENT_FORWARDER.name,
            &[("switch", "leaf-a01")]
        ),
        Some(0.0)
    );
    agent.stop().await.expect("synced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_is_restarted_is_named_and_costs_the_others_nothing() {
    let fabric = Arc::new(FixedFabric::small());
    let world: Arc<dyn FabricWorld> = fabric.clone();
    let server = NvueServer::start(world, clock(), NvueOptions::default())
        .await
        .expect("it serves");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = hub(
        dir.path(),
        &server,
        &["leaf-a01", "spine-a1"],
        &NvueOptions::default().password,
    )
    .await;
    let frames = |switch: &str| {
        value(
            &agent,
            catalog::TC_FRAMES.name,
            &[("switch", switch), ("tc", "3")],
        )
    };
    until("both switches", || {
        frames("leaf-a01").is_some() && frames("spine-a1").is_some()
    });
    let before = fabric.at("leaf-a01", 0).expect("there");
    fabric.set("leaf-a01", None);
    until("the silence", || {
        events(&agent, "{what=\"switch_silent\", switch=\"leaf-a01\"}").len() == 1
    });
    let CollectorState::Failed { error } = collector(&agent, "switch:leaf-a01") else {
        panic!("it has failed");
    };
    assert!(error.contains("HTTP 502"), "{error}");
    assert_eq!(frames("leaf-a01"), None, "its series end");
    assert!(frames("spine-a1").is_some(), "the other's go on");
    assert_eq!(collector(&agent, "switch:spine-a1"), CollectorState::Ok);
    let mut after = before;
    // Its tokens are forgotten, its counters begin anew.
    after.uptime_seconds = 1;
    fabric.set("leaf-a01", Some(after));
    until("the restart", || {
        events(&agent, "{what=\"switch_restart\"}").len() == 1
    });
    let silence = events(&agent, "{what=\"switch_silent\"}");
    assert_eq!(silence.len(), 1);
    assert!(!silence[0].open && silence[0].end_ms.is_some(), "{silence:?}");
    until("its series again", || frames("leaf-a01").is_some());
    agent.stop().await.expect("synced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_says_what_to_look_at() {
    let world: Arc<dyn FabricWorld> = Arc::new(FixedFabric::small());
    let server = NvueServer::start(world, clock(), NvueOptions::default())
        .await
        .expect("it serves");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let agent = hub(dir.path(), &server, &["leaf-a01"], "a wrong one").await;
    until("the refusal", || {
        matches!(
            collector(&agent, "switch:leaf-a01"),
            CollectorState::Failed { .. }
        )
    });
    let CollectorState::Failed { error } = collector(&agent, "switch:leaf-a01") else {
        panic!("it has failed");
    };
    assert!(
        error.contains("nvue.user") && !error.contains("a wrong one"),
        "{error}"
    );
    agent.stop().await.expect("synced");
}
