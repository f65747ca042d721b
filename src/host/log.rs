//! Logs: hclog JSON on stderr, which Grafana takes over line by line.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Set in Grafana's configuration: `[plugin.podscope-fleet-datasource] log_level = debug`. No other variable of the host
/// reaches a plugin.
const LEVEL: &str = "GF_PLUGIN_LOG_LEVEL";

/// Starts logging.
pub(super) fn start() {
    let wanted = std::env::var(LEVEL).unwrap_or_default();
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new(filter(&wanted)))
        .with(grafana_plugin_sdk::backend::layer());
    if subscriber.try_init().is_err() {
        // Somebody in this process logs already; two layers would write every line twice.
        return;
    }
    if !wanted.is_empty() && level(&wanted).is_none() {
        tracing::warn!(level = %wanted, "log_level must be error, warn, info, debug or trace; using info");
    }
}

fn level(wanted: &str) -> Option<&'static str> {
    ["error", "warn", "info", "debug", "trace"]
        .into_iter()
        .find(|level| wanted.eq_ignore_ascii_case(level))
}

/// The SDK is held at `warn` whatever the level: below it, it prints whole requests, decrypted secrets included. So do
/// the gRPC and HTTP crates with their frames.
fn filter(wanted: &str) -> String {
    let level = level(wanted).unwrap_or("info");
    let quiet = if level == "error" { "error" } else { "warn" };
    [
        "grafana_plugin_sdk",
        "tonic",
        "h2",
        "hyper",
        "hyper_util",
        "reqwest",
        "rustls",
        "tower",
    ]
    .iter()
    .fold(level.to_owned(), |filter, name| {
        format!("{filter},{name}={quiet}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_never_gets_below_warn() {
        for wanted in ["", "debug", "TRACE", "nonsense"] {
            assert!(filter(wanted).contains(",grafana_plugin_sdk=warn"), "{wanted}");
        }
        assert!(filter("TRACE").starts_with("trace,"));
        assert!(filter("nonsense").starts_with("info,"));
    }
}
