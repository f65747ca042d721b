//! Reading the configuration again while the agent runs: what changed, what of it is used at once, and what waits for a
//! restart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use axum_server::tls_rustls::RustlsConfig;

use crate::config::{Config, check};
use crate::listen::check_exposure;
use crate::schedule::Controls;
use crate::state::{AgentState, Live, Reload, ReloadReport};
use crate::stream::lock;

/// Keys whose new values are used at once; all others are read at the start only.
const APPLIED: [&str; 19] = [
    "labels",
    "token",
    "token_file",
    "write.token",
    "write.token_file",
    "write.peers",
    "limits.max_samples",
    "limits.max_series",
    "limits.max_cells",
    "limits.max_memory",
    "limits.timeout",
    "limits.max_points",
    "collectors.interval",
    "collectors.intervals",
    "collectors.deadline",
    "gpu.interval",
    "tls.cert_file",
    "tls.key_file",
    "tls.client_ca_file",
];

/// What a reload needs of the running agent.
pub(crate) struct Reloader {
    pub(crate) file: PathBuf,
    pub(crate) insecure: bool,
    pub(crate) collectors: Vec<&'static str>,
    /// Own interval of each collector, in milliseconds.
    pub(crate) own_intervals: BTreeMap<String, u64>,
    pub(crate) state: Weak<AgentState>,
    pub(crate) controls: Controls,
    pub(crate) tls: Option<RustlsConfig>,
    /// As it was read at the start, for what waits for a restart; and as it was read last.
    pub(crate) started: Config,
    pub(crate) last: Mutex<Config>,
}

impl Reloader {
    pub(crate) fn into_reload(self) -> Reload {
        Box::new(move || self.reload())
    }

    /// Everything is checked before anything is changed.
    fn reload(&self) -> Result<ReloadReport, String> {
        let Some(state) = self.state.upgrade() else {
            return Err("the agent is stopping".to_owned());
        };
        let mut last = lock(&self.last);
        let new = check::load(&self.file, &self.collectors).map_err(|error| crate::chain(&error))?;
        let token = new.load_token().map_err(|error| crate::chain(&error))?;
        let write = new.load_write().map_err(|error| crate::chain(&error))?;
        check_exposure(
            self.started.listen,
            self.tls.is_some(),
            token.is_some(),
            self.insecure,
        )
        .map_err(|error| error.to_string())?;
        let tls = match &self.tls {
            Some(_) => crate::tls::load(&new.tls).map_err(|error| crate::chain(&error))?,
            None => None,
        };

        let mut report = self.compare(&last, &new);
        let live = state.live();
        if live.token != token && !report.applied.iter().any(|key| key.starts_with("token")) {
            report.applied.push("token_file".to_owned());
        }
        if live.write.token != write.token && !report.applied.iter().any(|key| key.starts_with("write.token"))
        {
            report.applied.push("write.token_file".to_owned());
        }
        if let (Some(serving), Some(tls)) = (&self.tls, tls) {
            serving.reload_from_config(tls);
        }
        let mut limits = new.limits.clone();
        limits.max_concurrent_queries = self.started.limits.max_concurrent_queries;
        state.set_live(Live {
            labels: new.labels.clone(),
            token,
            write,
            limits,
            ..(*live).clone()
        });
        for stream in state.streams().iter() {
            let own = self
                .own_intervals
                .get(stream.name())
                .copied()
                .unwrap_or(stream.interval_ms());
            stream.set_interval_ms(new.interval_of(stream.name(), own));
        }
        self.controls.set_deadline(new.collectors.deadline.0);
        self.controls.intervals_changed();
        *last = new;
        tracing::info!(applied = ?report.applied, needs_restart = ?report.needs_restart, "configuration read again");
        Ok(report)
    }

    fn compare(&self, last: &Config, new: &Config) -> ReloadReport {
        let mut report = ReloadReport::default();
        // Turning TLS on or off needs another listener.
        let tls_switched = self.tls.is_some() != new.tls.cert_file.is_some();
        for key in Config::keys() {
            let at_once = APPLIED.contains(&key.as_str()) && !(tls_switched && key.starts_with("tls."));
            if at_once && !last.same(new, &key) {
                report.applied.push(key);
            } else if !at_once && !self.started.same(new, &key) {
                report.needs_restart.push(key);
            }
        }
        report
    }
}

impl Config {
    /// Every key of the file, dotted.
    fn keys() -> Vec<String> {
        crate::config::SECTIONS
            .iter()
            .flat_map(|section| {
                section.keys.iter().map(move |key| match section.name {
                    "" => key.name.to_owned(),
                    table => format!("{table}.{}", key.name),
                })
            })
            .collect()
    }

    /// Whether both have the same value for a key.
    fn same(&self, other: &Config, key: &str) -> bool {
        match key {
            // Secrets serialise as "<hidden>".
            "token" => return self.token == other.token,
            "write.token" => return self.write.token == other.write.token,
            _ => {}
        }
        let value = |config: &Config| {
            let mut value = toml::Value::try_from(config).ok()?;
            for part in key.split('.') {
                value = value.get(part)?.clone();
            }
            Some(value)
        };
        value(self) == value(other)
    }

    /// The interval of a collector, the GPU's included.
    pub(crate) fn interval_of(&self, name: &str, own_ms: u64) -> u64 {
        match name {
            "gpu" => self.gpu.interval.as_ms(),
            podscope_collect::changes::NAME => self.changes.interval.as_ms(),
            // Asked at `nvue.interval`, which needs a restart.
            name if name.starts_with("switch") => own_ms,
            name => self.collector_interval_ms(name, own_ms),
        }
    }
}

/// The agent's own state outlives its reloader.
pub(crate) fn install(state: &Arc<AgentState>, reloader: Reloader) {
    state.set_reload(reloader.into_reload());
}
