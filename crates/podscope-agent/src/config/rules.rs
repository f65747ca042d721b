//! What the types of the configuration cannot say: values that make no sense, alone or together.

use podscope_collect::gpu::Aliases;

use super::{Config, Period};
use crate::secret::Secret;

/// What is wrong with one key, before file and line are known.
pub(super) struct Fault {
    /// Path of the key, table first.
    pub(super) key: Vec<String>,
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(key: &[&str], message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let key = key.iter().map(|part| (*part).to_owned()).collect();
        Self {
            key,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

/// Labels that say who a series belongs to; a node label must not pretend to be one.
const RESERVED_LABELS: [&str; 3] = ["__name__", "instance", "job"];

impl Config {
    /// The first key whose value makes no sense.
    pub(super) fn faults(&self, collectors: &[&str]) -> Result<(), Fault> {
        self.faulty_names()?;
        self.faulty_collectors(collectors)?;
        self.faulty_security()?;
        self.faulty_fanout()?;
        self.faulty_domains()?;
        self.faulty_intake()?;
        self.slurm.faults()?;
        self.slo.faults(&self.slurm)?;
        self.faulty_numbers()
    }

    fn faulty_names(&self) -> Result<(), Fault> {
        if self
            .instance
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(Fault::new(
                &["instance"],
                "is empty",
                "name the node, or remove the key to use the host name",
            ));
        }
        for (name, value) in &self.labels {
            let mut letters = name.chars();
            let valid = letters
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid {
                return Err(Fault::new(
                    &["labels", name],
                    "is not a label name",
                    "use letters, digits and _, no digit first",
                ));
            }
            if RESERVED_LABELS.contains(&name.as_str()) {
                return Err(Fault::new(
                    &["labels", name],
                    "is set by the agent itself",
                    "choose another name; the node's own name is the key `instance`",
                ));
            }
            if value.is_empty() {
                return Err(Fault::new(
                    &["labels", name],
                    "is empty",
                    "give it a value or remove it",
                ));
            }
        }
        if let Err(error) = self.log.parse::<tracing_subscriber::EnvFilter>() {
            return Err(Fault::new(
                &["log"],
                error.to_string(),
                "use error, warn, info, debug, trace or crate=level",
            ));
        }
        Ok(())
    }

    fn faulty_collectors(&self, known: &[&str]) -> Result<(), Fault> {
        let named = |key: &'static str, list: &[String]| -> Result<(), Fault> {
            match list.iter().find(|name| !known.contains(&name.as_str())) {
                Some(name) => Err(unknown_collector(&["collectors", key], name, known)),
                None => Ok(()),
            }
        };
        named("enabled", self.collectors.enabled.as_deref().unwrap_or_default())?;
        named("disabled", &self.collectors.disabled)?;
        for (name, period) in &self.collectors.intervals {
            if !known.contains(&name.as_str()) {
                return Err(unknown_collector(&["collectors", "intervals", name], name, known));
            }
            check_interval(&["collectors", "intervals", name], *period)?;
        }
        if let Some(period) = self.collectors.interval {
            check_interval(&["collectors", "interval"], period)?;
        }
        check_interval(&["gpu", "interval"], self.gpu.interval)?;
        check_interval(&["gpu", "deadline"], self.gpu.deadline)?;
        check_interval(
            &["containers", "engine_interval"],
            self.containers.engine_interval,
        )?;
        check_interval(
            &["containers", "engine_deadline"],
            self.containers.engine_deadline,
        )?;
        let families = Aliases::FAMILIES;
        if let Some(name) = self
            .gpu
            .aliases
            .iter()
            .find(|name| !families.contains(&name.as_str()))
        {
            return Err(Fault::new(
                &["gpu", "aliases"],
                format!("there is no family of aliases {name:?}"),
                format!("there are: {}", families.join(", ")),
            ));
        }
        check_interval(&["collectors", "deadline"], self.collectors.deadline)
    }

    fn faulty_security(&self) -> Result<(), Fault> {
        if self.token.is_some() && self.token_file.is_some() {
            return Err(Fault::new(
                &["token"],
                "stands beside `token_file`",
                "keep one of the two",
            ));
        }
        if let Some(reason) = self.token.as_ref().and_then(weak_token) {
            return Err(Fault::new(&["token"], reason, TOKEN_REMEDY));
        }
        let write = &self.write;
        if write.token.is_some() && write.token_file.is_some() {
            return Err(Fault::new(
                &["write", "token"],
                "stands beside `token_file`",
                "keep one of the two",
            ));
        }
        if let Some(reason) = write.token.as_ref().and_then(weak_token) {
            return Err(Fault::new(&["write", "token"], reason, TOKEN_REMEDY));
        }
        let tls = &self.tls;
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => Err(Fault::new(
                &["tls", "cert_file"],
                "has no key to it",
                "set tls.key_file too",
            )),
            (None, Some(_)) => Err(Fault::new(
                &["tls", "key_file"],
                "has no certificate to it",
                "set tls.cert_file too",
            )),
            (None, None) if tls.client_ca_file.is_some() => Err(Fault::new(
                &["tls", "client_ca_file"],
                "is of no use without TLS",
                "set tls.cert_file and tls.key_file too",
            )),
            _ => Ok(()),
        }
    }

    fn faulty_fanout(&self) -> Result<(), Fault> {
        let fanout = &self.fanout;
        if !matches!(fanout.scheme.as_str(), "http" | "https") {
            return Err(Fault::new(
                &["fanout", "scheme"],
                format!("is {:?}", fanout.scheme),
                "use \"http\" or \"https\"",
            ));
        }
        if fanout.max_in_flight == 0 {
            return Err(Fault::new(
                &["fanout", "max_in_flight"],
                "is 0",
                "nothing could be asked; use a positive number",
            ));
        }
        match (&fanout.cert_file, &fanout.key_file) {
            (Some(_), None) => {
                return Err(Fault::new(
                    &["fanout", "cert_file"],
                    "has no key to it",
                    "set fanout.key_file too",
                ));
            }
            (None, Some(_)) => {
                return Err(Fault::new(
                    &["fanout", "key_file"],
                    "has no certificate to it",
                    "set fanout.cert_file too",
                ));
            }
            _ => {}
        }
        for (key, period) in [
            ("timeout", fanout.timeout),
            ("connect_timeout", fanout.connect_timeout),
            ("inventory_interval", fanout.inventory_interval),
            ("http_sd_interval", fanout.http_sd_interval),
            ("dns_srv_interval", fanout.dns_srv_interval),
        ] {
            if period.0 < std::time::Duration::from_millis(100) {
                return Err(Fault::new(
                    &["fanout", key],
                    format!("is {period}"),
                    "use at least \"100ms\"",
                ));
            }
        }
        Ok(())
    }

    fn faulty_numbers(&self) -> Result<(), Fault> {
        let limits = &self.limits;
        let counts = [
            ("max_samples", limits.max_samples),
            ("max_series", limits.max_series),
            ("max_cells", limits.max_cells),
            ("max_memory", limits.max_memory.0),
            ("max_points", limits.max_points),
            ("max_concurrent_queries", limits.max_concurrent_queries),
        ];
        for (key, value) in counts {
            if value == 0 {
                return Err(Fault::new(
                    &["limits", key],
                    "is 0",
                    "nothing could be asked; use a positive number",
                ));
            }
        }
        let positive = [
            (["limits", "timeout"], limits.timeout),
            (["history", "sync_interval"], self.history.sync_interval),
        ];
        for (key, period) in positive {
            if period.0.is_zero() {
                return Err(Fault::new(&key, "is 0", "use a positive duration"));
            }
        }
        if self.history.max_age.0.as_secs() < 60 {
            return Err(Fault::new(
                &["history", "max_age"],
                "is under a minute",
                "keep at least \"1m\"",
            ));
        }
        let remote = &self.remote_write;
        if !(1..=3600).contains(&remote.resolution.0.as_secs()) {
            return Err(Fault::new(
                &["remote_write", "resolution"],
                format!("is {}", remote.resolution),
                "use \"1s\" to \"1h\"",
            ));
        }
        if remote.max_samples == 0 || remote.timeout.0.is_zero() {
            return Err(Fault::new(
                &["remote_write"],
                "sends nothing with `max_samples` or `timeout` at 0",
                "use positive values",
            ));
        }
        if remote.user.is_some() != remote.password_file.is_some() {
            return Err(Fault::new(
                &["remote_write", "user"],
                "and `password_file` go together",
                "set both or none",
            ));
        }
        if remote.user.is_some() && remote.token_file.is_some() {
            return Err(Fault::new(
                &["remote_write", "user"],
                "stands beside `token_file`",
                "keep one of the two",
            ));
        }
        let events = &self.events;
        if events.max_age.0.as_secs() < 60 {
            return Err(Fault::new(
                &["events", "max_age"],
                "is under a minute",
                "keep at least \"1m\"",
            ));
        }
        if events.max_bytes.0 < 1_000_000 {
            return Err(Fault::new(
                &["events", "max_bytes"],
                "is under a megabyte",
                "allow at least \"1MB\"",
            ));
        }
        for (key, value) in [("rate", events.rate), ("burst", events.burst)] {
            if value == 0 {
                return Err(Fault::new(
                    &["events", key],
                    "is 0",
                    "no event would ever be taken; use a positive number",
                ));
            }
        }
        let sizes = [
            ("max_bytes", self.history.max_bytes),
            ("minutes_max_bytes", self.history.minutes_max_bytes),
            ("hours_max_bytes", self.history.hours_max_bytes),
        ];
        for (key, size) in sizes {
            if size.0 < 1_000_000 {
                return Err(Fault::new(
                    &["history", key],
                    "is under a megabyte",
                    "allow at least \"1MB\"",
                ));
            }
        }
        Ok(())
    }
}

pub(super) const TOKEN_REMEDY: &str = "make one with `head -c 32 /dev/urandom | base64`";

/// Why a token is none.
pub(super) fn weak_token(token: &Secret) -> Option<String> {
    let text = token.expose();
    if text.len() < 16 {
        return Some("holds a token of fewer than 16 characters".to_owned());
    }
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    (!sendable).then(|| "holds a token with characters that cannot stand in a header".to_owned())
}

fn check_interval(key: &[&str], period: Period) -> Result<(), Fault> {
    if (100..=3_600_000).contains(&period.as_ms()) {
        return Ok(());
    }
    Err(Fault::new(key, format!("is {period}"), "use \"100ms\" to \"1h\""))
}

fn unknown_collector(key: &[&str], name: &str, known: &[&str]) -> Fault {
    let best = known
        .iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    let close = best.filter(|best| strsim::damerau_levenshtein(name, best) <= 1 + name.len() / 4);
    let remedy = match close {
        Some(best) => format!("did you mean \"{best}\"?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Fault::new(key, format!("there is no collector {name:?}"), remedy)
}
