//! Aggregates over very many nodes, end to end through the plugin protocol: flat, or with hubs between plugin and nodes. All
//! nodes, hubs and the plugin share this machine's cores.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use podscope_testkit::plugin_host::{PluginHost, Query, QueryRequest, Source};
use serde_json::{Value, json};

use super::process::{Program, cpu_of, free_port, percentile};

const EXPRESSIONS: &[&str] = &[
    "avg(DCGM_FI_DEV_GPU_UTIL)",
    "sum(DCGM_FI_DEV_POWER_USAGE) / 1000",
    "max(DCGM_FI_DEV_GPU_TEMP)",
    "count(DCGM_FI_DEV_GPU_UTIL < 50)",
    "topk(5, DCGM_FI_DEV_GPU_TEMP)",
    "avg by (rack) (DCGM_FI_DEV_GPU_UTIL)",
    "DCGM_FI_DEV_GPU_UTIL{instance=\"sim-light-00007\"}",
    "quantile(0.95, DCGM_FI_DEV_POWER_USAGE)",
];
/// A panel of half an hour.
const SPAN_S: i64 = 1800;
const STEP_S: i64 = 30;
/// Nodes per process: each has a few files and sockets open.
const PER_PROCESS: usize = 2000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) hubs: usize,
    pub(crate) repeats: usize,
    pub(crate) clients: usize,
}

pub(crate) async fn run(bin: &Path, size: Size) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("podscope-fleet-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(bin, size, &folder).await;
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    outcome
}

async fn measure(bin: &Path, size: Size, folder: &Path) -> Result<()> {
    let mut sims = Vec::new();
    let mut groups: Vec<Value> = Vec::new();
    for first in (0..size.nodes).step_by(PER_PROCESS) {
        let file = folder.join(format!("nodes-{first}.json"));
        let data = folder.join(format!("data-{first}"));
        std::fs::create_dir_all(&data)?;
        let count = PER_PROCESS.min(size.nodes - first);
        let arguments = [
            "--light",
            "--nodes",
            &count.to_string(),
            "--first",
            &first.to_string(),
            "--data-dir",
            &data.display().to_string(),
            "--targets",
            &file.display().to_string(),
        ]
        .map(str::to_owned);
        sims.push(Program::start(&bin.join("podscope-sim"), &arguments)?);
        groups.extend(wait_list(&file).await?);
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} nodes x 8 GPUs, {} hubs, {SPAN_S} s at steps of {STEP_S} s",
        size.nodes, size.hubs
    )?;
    let mut hubs = Vec::new();
    let mut targets = targets_of(&groups)?;
    if size.hubs > 0 {
        targets = Vec::new();
        for (at, part) in groups.chunks(size.nodes.div_ceil(size.hubs)).enumerate() {
            let (hub, url) = start_hub(bin, folder, at, part).await?;
            hubs.push(hub);
            targets.push(json!({ "url": url }));
        }
    }
    let plugin = PluginHost::start(bin.join("gpx_podscope")).await?;
    let source = Source::new(json!({ "targets": targets, "timeoutMs": 20_000 }));
    // Connections, inventories and the number of series of each expression: a dashboard's second look counts.
    let expected = size.nodes * 8;
    let began = Instant::now();
    loop {
        let seen = ask(
            &plugin,
            &source,
            "count(DCGM_FI_DEV_GPU_TEMP)",
            now_s() / STEP_S * STEP_S,
        )
        .await?;
        if seen.last == Some(expected as f64) {
            break;
        }
        if began.elapsed() > Duration::from_secs(180) {
            bail!(
                "{:?} series answer instead of {expected}: {:?}",
                seen.last,
                seen.notice
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    writeln!(
        out,
        "| expression | p50 ms | p99 ms | CPU ms plugin | CPU ms hubs | CPU ms nodes |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    for expr in EXPRESSIONS {
        let cpu = |programs: &[Program]| -> Result<f64> {
            let mut sum = 0.0;
            for program in programs {
                sum += program.cpu_exact()?.as_secs_f64() * 1000.0;
            }
            Ok(sum)
        };
        let end = now_s() / STEP_S * STEP_S;
        if let Err(error) = ask(&plugin, &source, expr, end).await {
            writeln!(out, "| `{expr}` | {error:#} | | | | |")?;
            continue;
        }
        let own = || -> Result<f64> {
            let pid = plugin.pid().context("the plugin has ended")?;
            Ok(cpu_of(pid)?.as_secs_f64() * 1000.0)
        };
        let (nodes_before, hubs_before, own_before) = (cpu(&sims)?, cpu(&hubs)?, own()?);
        let mut times = Vec::new();
        for round in 0..size.repeats {
            // Another range each time, so that nothing is shared.
            let to = end - STEP_S * i64::try_from(round % 20)?;
            let begin = Instant::now();
            ask(&plugin, &source, expr, to).await?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        let rounds = size.repeats.max(1) as f64;
        let nodes = (cpu(&sims)? - nodes_before) / rounds;
        let through = (cpu(&hubs)? - hubs_before) / rounds;
        let plugin_ms = (own()? - own_before) / rounds;
        writeln!(
            out,
            "| `{expr}` | {:.0} | {:.0} | {plugin_ms:.0} | {through:.0} | {nodes:.0} |",
            percentile(&mut times, 0.5),
            percentile(&mut times, 0.99)
        )?;
        out.flush()?;
    }
    memory(&plugin, &source, size, (&sims, &hubs), &mut out).await?;
    plugin.stop().await?;
    Ok(())
}

/// Memory at rest and with many queries at once.
async fn memory(
    plugin: &PluginHost,
    source: &Source,
    size: Size,
    (sims, hubs): (&[Program], &[Program]),
    out: &mut impl Write,
) -> Result<()> {
    let rss = |programs: &[Program]| -> Result<f64> {
        let mut most: f64 = 0.0;
        for program in programs {
            most = most.max(program.rss_mib()?);
        }
        Ok(most)
    };
    let plugin_rss = || rss_of(plugin.pid().context("the plugin has ended")?);
    let before = (plugin_rss()?, rss(hubs)?, rss(sims)?);
    let end = now_s() / STEP_S * STEP_S;
    let asking = (0..size.clients).map(|client| {
        let expr = EXPRESSIONS[client % 6];
        let to = end - STEP_S * i64::try_from(client % 20).unwrap_or(0);
        ask(plugin, source, expr, to)
    });
    let begin = Instant::now();
    let mut most = before;
    let answers = futures_util::future::join_all(asking);
    tokio::pin!(answers);
    let mut watch = tokio::time::interval(Duration::from_millis(50));
    let answers = loop {
        tokio::select! {
            answers = &mut answers => break answers,
            _ = watch.tick() => {
                let now = (plugin_rss()?, rss(hubs)?, rss(sims)?);
                most = (most.0.max(now.0), most.1.max(now.1), most.2.max(now.2));
            }
        }
    };
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    writeln!(
        out,
        "{} queries at once: {:.1} s, {failed} failed; resident MiB, at rest and at most: plugin {:.0} and {:.0}, largest hub \
         {:.0} and {:.0}, largest process of {PER_PROCESS} nodes {:.0} and {:.0}",
        size.clients,
        begin.elapsed().as_secs_f64(),
        before.0,
        most.0,
        before.1,
        most.1,
        before.2,
        most.2
    )?;
    if let Some(name) = hubs.first().map(Program::name) {
        writeln!(out, "(hubs are {name})")?;
    }
    if let Some(hub) = hubs.first() {
        // One hub frozen: answered at the deadline, its nodes counted.
        hub.freeze(true)?;
        let begin = Instant::now();
        let answer = ask(plugin, source, EXPRESSIONS[0], end).await;
        hub.freeze(false)?;
        writeln!(
            out,
            "one hub frozen: answered after {:.1} s: {:?}",
            begin.elapsed().as_secs_f64(),
            answer?.notice
        )?;
    }
    Ok(())
}

fn rss_of(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

async fn wait_list(file: &Path) -> Result<Vec<Value>> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(300) {
        if let Ok(text) = std::fs::read_to_string(file)
            && let Ok(Value::Array(groups)) = serde_json::from_str::<Value>(&text)
        {
            return Ok(groups);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the nodes are not ready after 300 s")
}

fn targets_of(groups: &[Value]) -> Result<Vec<Value>> {
    let mut targets = Vec::new();
    for group in groups {
        let address = group["targets"][0].as_str().context("an address")?;
        let mut labels = group["labels"].as_object().context("labels")?.clone();
        let instance = labels.remove("instance");
        targets.push(json!({ "url": format!("http://{address}"), "instance": instance, "labels": labels }));
    }
    Ok(targets)
}

async fn start_hub(bin: &Path, folder: &Path, at: usize, part: &[Value]) -> Result<(Program, String)> {
    let list = folder.join(format!("hub-{at}.json"));
    std::fs::write(&list, serde_json::to_string(part)?)?;
    let port = free_port()?;
    let config = folder.join(format!("hub-{at}.toml"));
    std::fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{port}\"\ninstance = \"hub-{at}\"\ndata_dir = {}\n\
             [collectors]\nenabled = [\"loadavg\"]\n[gpu]\nenabled = false\n\
             [fanout]\nfile_sd = [{}]\n",
            toml::Value::from(folder.join(format!("hub-data-{at}")).display().to_string()),
            toml::Value::from(list.display().to_string()),
        ),
    )?;
    let arguments = ["run", "--config", &config.display().to_string()].map(str::to_owned);
    let mut hub = Program::start(&bin.join("podscope-agent"), &arguments)?;
    let url = format!("http://127.0.0.1:{port}");
    hub.ready(&format!("{url}/-/ready"), Duration::from_secs(60))
        .await?;
    Ok((hub, url))
}

fn now_s() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What an answer comes down to.
#[derive(Debug, Default)]
struct Seen {
    last: Option<f64>,
    notice: Option<String>,
}

async fn ask(plugin: &PluginHost, source: &Source, expr: &str, to: i64) -> Result<Seen> {
    let model = json!({ "refId": "A", "queryType": "promql", "expr": expr, "range": true, "interval": format!("{STEP_S}s"), "maxCells": 0 });
    let mut query = Query::new("A", model);
    query.interval_ms = STEP_S * 1000;
    query.max_data_points = SPAN_S / STEP_S + 1;
    let request = QueryRequest::new(source.clone(), (to - SPAN_S) * 1000, to * 1000, vec![query]);
    let answers = plugin.query_data(&request).await?;
    let answer = answers.get("A").context("no answer")?;
    if !answer.error.is_empty() {
        bail!("{}", answer.error);
    }
    let mut seen = Seen::default();
    for frame in answer.frames.iter().take(1) {
        let json = podscope_testkit::frames::frame_json(frame);
        let values = json["data"]["values"].as_array().context("values")?;
        seen.last = values
            .get(1)
            .and_then(Value::as_array)
            .and_then(|column| column.iter().rev().find_map(Value::as_f64));
        seen.notice = json["schema"]["meta"]["notices"][0]["text"]
            .as_str()
            .map(str::to_owned);
    }
    Ok(seen)
}
