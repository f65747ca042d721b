//! A simulated cluster, asked as a fleet is.

use std::time::{Duration, Instant};

use podscope_fanout::{Fleet, FleetAnswer, FleetConfig, FleetQuery, TargetSpec};
use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;
use podscope_sim::{Fault, SimCluster, SimOptions};

/// 2025-01-01 12:00:00 UTC.
const NOON_MS: i64 = 1_735_732_800_000;

fn fleet(cluster: &SimCluster) -> Fleet {
    let targets = cluster.targets().into_iter().map(|target| TargetSpec {
        url: target.url,
        instance: Some(target.instance),
        labels: target.labels,
    });
    let config = FleetConfig {
        timeout: Duration::from_secs(20),
        ..FleetConfig::new(targets.collect())
    };
    Fleet::new(config).expect("good targets")
}

async fn ask(fleet: &Fleet, expr: &str, grid: Grid) -> FleetAnswer {
    fleet
        .query(FleetQuery::new(expr, grid))
        .await
        .unwrap_or_else(|error| panic!("{expr}: {error}"))
}

fn series(answer: &FleetAnswer) -> Vec<(String, Vec<f64>)> {
    let Value::Vector(list) = &answer.outcome.value else {
        panic!("a vector expected")
    };
    list.iter()
        .map(|series| (series.labels.to_string(), series.values.clone()))
        .collect()
}

/// The one number of an expression, now.
async fn number(fleet: &Fleet, expr: &str, at_ms: i64) -> Option<f64> {
    let list = series(&ask(fleet, expr, Grid::instant(at_ms)).await);
    assert!(list.len() <= 1, "{expr}: {list:?}");
    list.first()
        .map(|(_, values)| values[0])
        .filter(|value| !is_stale(*value))
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    since.as_millis() as i64
}

/// Asks until the answer is as wanted; fails after twenty seconds.
async fn eventually(fleet: &Fleet, expr: &str, wanted: Option<f64>) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let found = number(fleet, expr, now_ms()).await;
        if found == wanted {
            return;
        }
        assert!(
            Instant::now() < until,
            "{expr} is {found:?}, not {wanted:?}, for twenty seconds"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn photograph() -> SimOptions {
    SimOptions {
        now_ms: Some(NOON_MS),
        ..SimOptions::small()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_has_the_metrics_of_host_gpus_and_agent_over_its_whole_past() {
    let cluster = SimCluster::start(photograph()).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    let grid = Grid {
        start_ms: NOON_MS - 540_000,
        end_ms: NOON_MS,
        step_ms: 60_000,
    };
    for (expr, expected) in [
        ("DCGM_FI_DEV_GPU_UTIL", 4),
        ("DCGM_FI_DEV_GPU_TEMP > 20", 4),
        ("rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1m]) / 1000 > 60", 4),
        ("sum by (instance) (rate(node_cpu_seconds_total[1m]))", 2),
        ("node_load1", 2),
        ("node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", 2),
        ("rate(node_disk_written_bytes_total[1m]) > 0", 4),
        ("rate(node_network_receive_bytes_total[1m]) > 0", 6),
        ("node_pressure_io_waiting_seconds_total", 2),
        ("podscope_collector_success{collector=\"gpu\"} == 1", 2),
        ("vllm:num_requests_running", 1),
        (
            "histogram_quantile(0.9, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))",
            1,
        ),
        ("up{job=\"node\"} == 1", 2),
    ] {
        let found = series(&ask(&fleet, expr, grid).await);
        assert_eq!(found.len(), expected, "{expr}: {found:?}");
        for (labels, values) in found {
            assert!(
                values.iter().all(|value| value.is_finite()),
                "{expr}: {labels} has gaps: {values:?}"
            );
        }
    }
    // The CPUs' modes add up to the CPUs.
    let cpus = number(
        &fleet,
        "avg(sum by (instance) (rate(node_cpu_seconds_total[1m])))",
        NOON_MS,
    )
    .await;
    assert!((cpus.expect("there are CPUs") - 2.0).abs() < 0.05, "{cpus:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_seeds_give_equal_pasts_and_others_do_not() {
    let grid = Grid {
        start_ms: NOON_MS - 500_000,
        end_ms: NOON_MS,
        step_ms: 1_000,
    };
    let mut pasts = Vec::new();
    for seed in [1, 1, 2] {
        let cluster = SimCluster::start(SimOptions { seed, ..photograph() })
            .await
            .expect("a small cluster");
        let fleet = fleet(&cluster);
        let power = series(&ask(&fleet, "sum by (instance, gpu) (DCGM_FI_DEV_POWER_USAGE)", grid).await);
        let cpu = series(&ask(&fleet, "sum by (instance, mode) (node_cpu_seconds_total)", grid).await);
        assert!(power.len() == 4 && cpu.len() > 10);
        pasts.push((power, cpu));
        cluster.stop().await;
    }
    assert!(pasts[0] == pasts[1], "the same seed");
    assert!(pasts[0].0 != pasts[2].0, "another seed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_simulated_is_refused() {
    for (options, wanted) in [
        (
            SimOptions {
                nodes: 0,
                ..photograph()
            },
            "cannot simulate 0 nodes; choose 1 to 4096",
        ),
        (
            SimOptions {
                gpus: 99,
                ..photograph()
            },
            "cannot simulate 99 GPUs per node; choose at most 16",
        ),
        (
            SimOptions {
                base_port: 65_535,
                ..photograph()
            },
            "leaves too few ports",
        ),
        (
            SimOptions {
                live: true,
                ..photograph()
            },
            "a living cluster starts now",
        ),
    ] {
        let error = SimCluster::start(options)
            .await
            .expect_err("impossible")
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let error = SimCluster::start(SimOptions {
        nodes: 1,
        base_port: port,
        ..photograph()
    })
    .await;
    let error = error.expect_err("taken").to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
}

fn living() -> SimOptions {
    SimOptions {
        live: true,
        backfill: Duration::from_secs(60),
        ..SimOptions::small()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_without_a_gap_after_the_past() {
    let cluster = SimCluster::start(living()).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    let began = cluster.started_ms();
    let until = Instant::now() + Duration::from_secs(20);
    while now_ms() < began + 5_000 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let end_ms = began + 4_000;
    let grid = Grid {
        start_ms: began - 10_000,
        end_ms,
        step_ms: 1_000,
    };
    let found = series(&ask(&fleet, "min(count_over_time(DCGM_FI_DEV_POWER_USAGE[5s]))", grid).await);
    let values: Vec<f64> = found.into_iter().flat_map(|(_, values)| values).collect();
    assert_eq!(values.len(), 15);
    assert!(
        values.iter().all(|rows| *rows >= 2.0),
        "a second or more without rows: {values:?}"
    );
    let up = series(&ask(&fleet, "min(up)", grid).await);
    assert!(up[0].1.iter().all(|value| *value == 1.0), "{up:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_agent_is_down_and_comes_back_with_its_past() {
    let cluster = SimCluster::start(living()).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    let second = cluster.node(1).instance().to_owned();
    let up = format!("up{{instance={second:?}}}");
    eventually(&fleet, &up, Some(1.0)).await;
    cluster.node(1).inject(Fault::AgentDead);
    eventually(&fleet, &up, Some(0.0)).await;
    let answer = ask(&fleet, "count(DCGM_FI_DEV_GPU_UTIL)", Grid::instant(now_ms())).await;
    assert_eq!(answer.completeness.missing.len(), 1);
    assert_eq!(answer.completeness.missing[0].instance, second);
    assert!(cluster.node(1).state().is_none());
    cluster.node(1).heal().expect("its port is still free");
    eventually(&fleet, "count(DCGM_FI_DEV_GPU_UTIL)", Some(4.0)).await;
    let past = format!("count_over_time(node_load1{{instance={second:?}}}[1m] offset 30s) > bool 20");
    eventually(&fleet, &past, Some(1.0)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gpu_faults_show_in_the_metrics() {
    let cluster = SimCluster::start(living()).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    let first = cluster.node(0);
    let name = first.instance();
    eventually(&fleet, "count(DCGM_FI_DEV_GPU_UTIL)", Some(4.0)).await;
    first.raise_xid(1, 79);
    eventually(
        &fleet,
        &format!("DCGM_FI_DEV_XID_ERRORS{{instance={name:?},gpu=\"1\"}}"),
        Some(79.0),
    )
    .await;
    first.inject(Fault::GpuLost(0));
    eventually(
        &fleet,
        &format!("podscope_gpu_readable{{instance={name:?},gpu=\"0\"}}"),
        Some(0.0),
    )
    .await;
    eventually(&fleet, "count(DCGM_FI_DEV_GPU_UTIL)", Some(3.0)).await;
    first.inject(Fault::DriverHangs);
    // The host's collectors go on; the GPUs' rows are stale.
    eventually(
        &fleet,
        &format!("count(DCGM_FI_DEV_GPU_UTIL{{instance={name:?}}})"),
        None,
    )
    .await;
    eventually(
        &fleet,
        &format!("podscope_collector_success{{instance={name:?},collector=\"gpu\"}}"),
        Some(0.0),
    )
    .await;
    eventually(&fleet, "count(node_load1)", Some(2.0)).await;
    first.heal().expect("it was never dead");
    eventually(&fleet, "count(DCGM_FI_DEV_GPU_UTIL)", Some(4.0)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_agent_is_late_and_a_hanging_one_silent() {
    let cluster = SimCluster::start(photograph()).await.expect("a small cluster");
    let spec = |target: podscope_sim::SimTarget| TargetSpec {
        url: target.url,
        instance: Some(target.instance),
        labels: target.labels,
    };
    let targets: Vec<TargetSpec> = cluster.targets().into_iter().map(spec).collect();
    let quick = FleetConfig {
        timeout: Duration::from_millis(1_500),
        ..FleetConfig::new(targets)
    };
    let quick = Fleet::new(quick).expect("good targets");
    cluster
        .node(0)
        .inject(Fault::AgentSlow(Duration::from_millis(300)));
    let answer = ask(&quick, "count(node_load1)", Grid::instant(NOON_MS)).await;
    let slowest = answer.stats.fragments[0].slowest.clone().expect("two answered");
    assert!(answer.completeness.is_complete(), "{:?}", answer.completeness);
    assert_eq!(slowest.instance, cluster.node(0).instance());
    assert!(slowest.elapsed >= Duration::from_millis(300));
    cluster.node(0).inject(Fault::AgentHangs);
    let answer = ask(&quick, "count(node_load1)", Grid::instant(NOON_MS)).await;
    assert_eq!(answer.completeness.missing.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gpus_are_held_by_containers_of_people() {
    let options = SimOptions {
        nodes: 1,
        gpus: 4,
        now_ms: Some(NOON_MS),
        ..SimOptions::small()
    };
    let cluster = SimCluster::start(options).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    // The second half of the GPUs serves inference, whatever the first does.
    let held = "count(ds01_gpu_allocated{user=\"svc-inference\",container=\"vllm\",interface=\"compose\"})";
    assert_eq!(number(&fleet, held, NOON_MS).await, Some(2.0));
    for expr in [
        "sum by (user) (podscope_gpu_user_memory_bytes{user=\"svc-inference\"}) > 1e9",
        "container_memory_working_set_bytes{name=\"vllm\"} / container_spec_memory_limit_bytes{name=\"vllm\"} < 0.9",
        "rate(container_cpu_usage_seconds_total{name=\"vllm\"}[1m]) > 0",
        "ds01_user_group_info{user=\"svc-inference\",group=\"researchers\"} == 1",
        "DCGM_FI_PROF_SM_ACTIVE{gpu=\"3\"} and on (instance, gpu) ds01_gpu_allocated",
        "podscope_gpus_present == podscope_gpus_expected",
        "podscope_kernel_events_total{kind=\"sxid\"} == 0",
    ] {
        assert!(number(&fleet, expr, NOON_MS).await.is_some(), "{expr} is empty");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_begin_and_end_through_the_control() {
    let cluster = SimCluster::start(living()).await.expect("a small cluster");
    let fleet = fleet(&cluster);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let address = listener.local_addr().expect("bound");
    let control = cluster.control();
    tokio::spawn(async move { axum::serve(listener, control).await });
    let ask = |request: String| async move {
        let asked = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(address).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("it answers");
            answer
        });
        asked.await.expect("no panic")
    };
    let post = |body: &str| {
        format!(
            "POST /troubles HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let list = ask("GET /troubles HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned()).await;
    assert!(
        list.contains("gpu-waste") && list.contains("mig-reconfig"),
        "{list}"
    );
    for (body, wanted) in [
        (r#"{"name":"gpu-on-fire"}"#, "there is no trouble"),
        (r#"{"name":"ecc","gpu":9}"#, "there is no GPU 9"),
        (r#"{"name":"ecc","node":"elsewhere"}"#, "there is no node"),
    ] {
        let refused = ask(post(body)).await;
        assert!(
            refused.starts_with("HTTP/1.1 400") && refused.contains(wanted),
            "{refused}"
        );
    }
    let name = cluster.node(1).instance().to_owned();
    let begun = ask(post(&format!(r#"{{"name":"xid-79","node":"{name}","gpu":1}}"#))).await;
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    let readable = format!("podscope_gpu_readable{{instance={name:?},gpu=\"1\"}}");
    eventually(&fleet, &readable, Some(0.0)).await;
    let counted = format!("max(podscope_gpu_xid_errors_total{{instance={name:?},xid=\"79\"}})");
    eventually(&fleet, &counted, Some(1.0)).await;
    let ended = ask("DELETE /troubles HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned()).await;
    assert!(ended.contains("{\"ended\":1}"), "{ended}");
    eventually(&fleet, &readable, Some(1.0)).await;
    cluster.stop().await;
}
