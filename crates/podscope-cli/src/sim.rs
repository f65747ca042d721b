//! `podscope sim`: lets things go wrong on simulated nodes that run, through their control on loopback.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// How long the control may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Control {
    /// The simulator's control.
    #[arg(long, default_value = "http://127.0.0.1:9479", value_name = "URL")]
    control: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimAction {
    /// Begins a fault: `gpu-waste`, `xid-79`, `ecc`, `throttle`, ...; `podscope sim faults` lists them.
    Fault {
        /// Its name.
        name: String,
        /// The node's name, or its number counted from 0.
        #[arg(long, default_value = "0")]
        node: String,
        /// The GPU's index, for faults of one.
        #[arg(long, default_value_t = 0)]
        gpu: usize,
        /// How many seconds it lasts; until `podscope sim heal` where it is not said.
        #[arg(long)]
        seconds: Option<u64>,
        #[command(flatten)]
        control: Control,
    },
    /// Lists the faults there are, and those that last.
    Faults {
        #[command(flatten)]
        control: Control,
    },
    /// Ends all faults.
    Heal {
        #[command(flatten)]
        control: Control,
    },
}

pub(crate) async fn run(action: SimAction, out: &mut impl Write) -> anyhow::Result<bool> {
    // Somebody else may have installed it.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    match action {
        SimAction::Fault {
            name,
            node,
            gpu,
            seconds,
            control,
        } => {
            let wish = json!({ "name": name, "node": node, "gpu": gpu, "seconds": seconds });
            let answer = ask(client.post(url(&control)).json(&wish), &control).await?;
            let of = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            writeln!(
                out,
                "{} on {}, GPU {gpu}: {}",
                of("name"),
                of("node"),
                of("about")
            )?;
        }
        SimAction::Faults { control } => {
            let answer = ask(client.get(url(&control)), &control).await?;
            for one in answer["troubles"].as_array().into_iter().flatten() {
                let of = |key: &str| one[key].as_str().unwrap_or_default();
                writeln!(out, "{:<24} {}", of("name"), of("about"))?;
            }
            for one in answer["lasting"].as_array().into_iter().flatten() {
                let of = |key: &str| one[key].as_str().unwrap_or_default();
                writeln!(
                    out,
                    "lasting: {} on {}, GPU {}",
                    of("name"),
                    of("node"),
                    one["gpu"]
                )?;
            }
        }
        SimAction::Heal { control } => {
            let answer = ask(client.delete(url(&control)), &control).await?;
            writeln!(out, "{} ended", answer["ended"])?;
        }
    }
    Ok(true)
}

fn url(control: &Control) -> String {
    format!("{}/troubles", control.control.trim_end_matches('/'))
}

async fn ask(request: reqwest::RequestBuilder, control: &Control) -> anyhow::Result<Value> {
    let answer = request.send().await.with_context(|| {
        format!(
            "no simulated nodes answer at {}; start them with `podscope demo`, or say where with --control",
            control.control
        )
    })?;
    let good = answer.status().is_success();
    let text = answer.text().await.context("reading the control's answer")?;
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "error": text }));
    if !good {
        bail!("{}", value["error"].as_str().unwrap_or("the control refused"));
    }
    Ok(value)
}
