//! Range queries over a simulated cluster, end to end through the plugin protocol, beside Debian's Prometheus that holds the
//! same samples. Values are compared before times mean anything.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use podscope_testkit::plugin_host::{PluginHost, Query, QueryRequest, Source};
use serde_json::{Value, json};

use super::process::{Program, free_port, median};

const EXPRESSIONS: &[&str] = &[
    "avg(DCGM_FI_DEV_GPU_UTIL)",
    "topk(5, avg_over_time(DCGM_FI_DEV_GPU_TEMP[5m]))",
    "avg by (Hostname) (DCGM_FI_DEV_GPU_UTIL)",
    "sum(DCGM_FI_DEV_POWER_USAGE) / 1000",
    "max by (Hostname) (max_over_time(DCGM_FI_DEV_GPU_TEMP[10m])) > 60",
    "quantile(0.95, DCGM_FI_DEV_POWER_USAGE)",
    "count(DCGM_FI_DEV_GPU_UTIL < 50)",
    "DCGM_FI_DEV_GPU_UTIL{instance=~\".*-01\"}",
];
const METRICS: &str = "DCGM_FI_DEV_GPU_UTIL|DCGM_FI_DEV_GPU_TEMP|DCGM_FI_DEV_POWER_USAGE";
const SPAN_S: i64 = 3600;
const STEP_S: i64 = 15;

pub(crate) async fn run(bin: &Path, nodes: usize, repeats: usize) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("podscope-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(bin, nodes, repeats, &folder).await;
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    outcome
}

async fn measure(bin: &Path, nodes: usize, repeats: usize, folder: &Path) -> Result<()> {
    let targets_file = folder.join("targets.json");
    let data = folder.join("sim");
    std::fs::create_dir_all(&data)?;
    // Two hours, so that windows at the start of the measured hour are whole.
    let arguments = [
        "--nodes",
        &nodes.to_string(),
        "--gpus",
        "8",
        "--backfill",
        "2",
        "--data-dir",
        &data.display().to_string(),
        "--targets",
        &targets_file.display().to_string(),
    ]
    .map(str::to_owned);
    let sim = Program::start(&bin.join("podscope-sim"), &arguments)?;
    let urls = wait_targets(&targets_file).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let end = now_s() - 5;
    let samples = export(&client, &urls, end, &folder.join("samples.om")).await?;
    let prometheus = start_prometheus(folder).await?;

    let plugin = PluginHost::start(bin.join("gpx_podscope")).await?;
    let source = Source::of_urls(&urls);
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{nodes} nodes x 8 GPUs, {SPAN_S} s at steps of {STEP_S} s, {samples} samples, {repeats} repeats, median ms"
    )?;
    writeln!(
        out,
        "| expression | podscope | Prometheus | ratio |\n| --- | --- | --- | --- |"
    )?;
    let mut ratios = Vec::new();
    for expr in EXPRESSIONS {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for round in 0..=repeats {
            // Another range each time, so that nothing is answered from a cache.
            let to = (end - i64::try_from(round)?) / STEP_S * STEP_S - i64::try_from(round)? * STEP_S;
            let begin = Instant::now();
            let ours = ask_plugin(&plugin, &source, expr, to).await?;
            let own_ms = begin.elapsed().as_secs_f64() * 1000.0;
            let begin = Instant::now();
            let theirs = ask_prometheus(&client, &prometheus.1, expr, to).await?;
            let peer_ms = begin.elapsed().as_secs_f64() * 1000.0;
            if round == 0 {
                compare(expr, ours, theirs)?;
                continue;
            }
            own.push(own_ms);
            peer.push(peer_ms);
        }
        let (own, peer) = (median(&mut own), median(&mut peer));
        ratios.push(own / peer);
        writeln!(out, "| `{expr}` | {own:.1} | {peer:.1} | {:.2} |", own / peer)?;
    }
    writeln!(out, "median of ratios {:.2}", median(&mut ratios))?;
    plugin.stop().await?;
    drop((sim, prometheus));
    Ok(())
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{url}?{query}")
}

fn now_s() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn wait_targets(file: &Path) -> Result<Vec<String>> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(300) {
        if let Ok(text) = std::fs::read_to_string(file)
            && let Ok(Value::Array(groups)) = serde_json::from_str::<Value>(&text)
        {
            let addresses = groups
                .iter()
                .flat_map(|group| group["targets"].as_array().into_iter().flatten());
            return Ok(addresses
                .filter_map(Value::as_str)
                .map(|address| format!("http://{address}"))
                .collect());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the simulated cluster is not ready after 300 s")
}

/// Writes every sample of the measured metrics as OpenMetrics with timestamps, metric by metric.
async fn export(client: &reqwest::Client, urls: &[String], end: i64, file: &Path) -> Result<usize> {
    let mut by_metric: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut count = 0;
    for url in urls {
        let query = format!("{{__name__=~\"{METRICS}\"}}[{}s]", SPAN_S + 900);
        let answer: Value = client
            .get(with_query(
                &format!("{url}/api/v1/query"),
                &[("query", &query), ("time", &end.to_string())],
            ))
            .send()
            .await?
            .json()
            .await?;
        for series in answer["data"]["result"]
            .as_array()
            .context("no samples in the simulated cluster")?
        {
            let labels = series["metric"].as_object().context("labels")?;
            let name = labels["__name__"].as_str().context("name")?.to_owned();
            let pairs: Vec<String> = labels
                .iter()
                .filter(|(label, _)| *label != "__name__")
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            let text = by_metric.entry(name.clone()).or_default();
            for sample in series["values"].as_array().context("values")? {
                let value = sample[1].as_str().context("a value")?;
                writeln!(text, "{name}{{{}}} {value} {}", pairs.join(","), sample[0])?;
                count += 1;
            }
        }
    }
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for (name, text) in by_metric {
        writeln!(out, "# TYPE {name} gauge")?;
        out.write_all(text.as_bytes())?;
    }
    writeln!(out, "# EOF")?;
    Ok(count)
}

async fn start_prometheus(folder: &Path) -> Result<(Program, String)> {
    let data: PathBuf = folder.join("prometheus");
    let done = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(folder.join("samples.om"))
        .arg(&data)
        .output()
        .context("promtool (apt-get install prometheus)")?;
    if !done.status.success() {
        bail!("promtool: {}", String::from_utf8_lossy(&done.stderr));
    }
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, "{}")?;
    let base = format!("http://127.0.0.1:{}", free_port()?);
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        "--storage.tsdb.retention.time=10y".to_owned(),
        format!("--web.listen-address={}", base.trim_start_matches("http://")),
    ];
    let mut program = Program::start(Path::new("/usr/bin/prometheus"), &arguments)?;
    program
        .ready(&format!("{base}/-/ready"), Duration::from_secs(60))
        .await?;
    Ok((program, base))
}

/// Sum and count of all numbers in an answer: enough to see that two systems computed the same.
#[derive(Debug, Default)]
struct Digest {
    sum: f64,
    count: usize,
}

async fn ask_plugin(plugin: &PluginHost, source: &Source, expr: &str, to: i64) -> Result<Digest> {
    let model = json!({ "refId": "A", "queryType": "promql", "expr": expr, "range": true, "interval": format!("{STEP_S}s"), "maxCells": 0 });
    let mut query = Query::new("A", model);
    query.interval_ms = STEP_S * 1000;
    query.max_data_points = SPAN_S / STEP_S + 1;
    let request = QueryRequest::new(source.clone(), (to - SPAN_S) * 1000, to * 1000, vec![query]);
    let answers = plugin.query_data(&request).await?;
    let answer = answers.get("A").context("no answer")?;
    if !answer.error.is_empty() {
        bail!("{expr}: {}", answer.error);
    }
    let mut digest = Digest::default();
    for frame in &answer.frames {
        let json = podscope_testkit::frames::frame_json(frame);
        let fields = json["schema"]["fields"].as_array().context("fields")?;
        for (at, field) in fields.iter().enumerate() {
            if field["type"] == "number" {
                for value in json["data"]["values"][at]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_f64)
                {
                    digest.sum += value;
                    digest.count += 1;
                }
            }
        }
    }
    Ok(digest)
}

async fn ask_prometheus(client: &reqwest::Client, base: &str, expr: &str, to: i64) -> Result<Digest> {
    let answer: Value = client
        .get(with_query(
            &format!("{base}/api/v1/query_range"),
            &[
                ("query", expr),
                ("start", &(to - SPAN_S).to_string()),
                ("end", &to.to_string()),
                ("step", &STEP_S.to_string()),
            ],
        ))
        .send()
        .await?
        .json()
        .await?;
    let mut digest = Digest::default();
    for series in answer["data"]["result"]
        .as_array()
        .with_context(|| format!("{expr}: {answer}"))?
    {
        for sample in series["values"].as_array().into_iter().flatten() {
            digest.sum += sample[1].as_str().context("a value")?.parse::<f64>()?;
            digest.count += 1;
        }
    }
    Ok(digest)
}

fn compare(expr: &str, ours: Digest, theirs: Digest) -> Result<()> {
    // Debian's Prometheus 2 counts the sample at the start of a window, Prometheus 3 and we do not.
    let tolerance = if expr.contains('[') { 1e-2 } else { 1e-9 };
    let near = (ours.sum - theirs.sum).abs() <= tolerance * theirs.sum.abs().max(1.0);
    let counted = ours.count.abs_diff(theirs.count) as f64 <= tolerance * theirs.count as f64;
    if ours.count == 0 || !counted || !near {
        bail!("{expr}: the answers differ: ours {ours:?}, Prometheus {theirs:?}");
    }
    Ok(())
}
