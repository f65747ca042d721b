//! What the agent costs at one second with all host collectors, beside Debian's prometheus-node-exporter, scraped once a
//! second: the exporter keeps nothing, the agent keeps history.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::process::{Program, free_port};

pub(crate) async fn run(bin: &Path, seconds: u64) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("podscope-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (own_port, peer_port) = (free_port()?, free_port()?);
    let config = folder.join("agent.toml");
    std::fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{own_port}\"\ndata_dir = {}\n",
            toml::Value::from(folder.join("data").display().to_string())
        ),
    )?;
    let arguments = [
        "run".to_owned(),
        "--config".to_owned(),
        config.display().to_string(),
    ];
    let mut own = Program::start(&bin.join("podscope-agent"), &arguments)?;
    let listen = format!("--web.listen-address=127.0.0.1:{peer_port}");
    let mut peer = Program::start(Path::new("/usr/bin/prometheus-node-exporter"), &[listen])
        .context("apt-get install prometheus-node-exporter")?;
    own.ready(
        &format!("http://127.0.0.1:{own_port}/-/ready"),
        Duration::from_secs(20),
    )
    .await?;
    let scrape = format!("http://127.0.0.1:{peer_port}/metrics");
    peer.ready(&scrape, Duration::from_secs(20)).await?;

    let client = reqwest::Client::builder().no_proxy().build()?;
    // Both have warmed up before anything counts.
    for _ in 0..5 {
        client.get(&scrape).send().await?.bytes().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (own_before, peer_before, begin) = (own.cpu_exact()?, peer.cpu()?, Instant::now());
    let mut series = 0;
    for _ in 0..seconds {
        let text = client.get(&scrape).send().await?.text().await?;
        series = text.lines().filter(|line| !line.starts_with('#')).count();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let own_ms = (own.cpu_exact()? - own_before).as_secs_f64() * 1000.0 / elapsed;
    let peer_ms = (peer.cpu()? - peer_before).as_secs_f64() * 1000.0 / elapsed;
    let info: serde_json::Value = client
        .get(format!("http://127.0.0.1:{own_port}/v1/info"))
        .send()
        .await?
        .json()
        .await?;
    let mut out = std::io::stdout();
    writeln!(out, "{elapsed:.0} s at one second, all host collectors")?;
    writeln!(
        out,
        "| | CPU ms per second | RSS MiB | series |\n| --- | --- | --- | --- |"
    )?;
    writeln!(
        out,
        "| podscope-agent | {own_ms:.2} | {:.1} | {} |",
        own.rss_mib()?,
        info["series"]
    )?;
    writeln!(
        out,
        "| prometheus-node-exporter | {peer_ms:.2} | {:.1} | {series} |",
        peer.rss_mib()?
    )?;
    writeln!(out, "ratio of CPU {:.2}", own_ms / peer_ms)?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}
