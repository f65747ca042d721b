//! What the types of the sections about asking and taking in cannot say.

use std::collections::BTreeSet;
use std::time::Duration;

use podscope_model::event::Severity;

use super::Config;
use super::rules::Fault;

/// The longest interval between two questions or looks.
const LONGEST: Duration = Duration::from_secs(3600);

impl Config {
    /// The first key of these sections whose value makes no sense.
    pub(super) fn faulty_intake(&self) -> Result<(), Fault> {
        self.faulty_switches()?;
        self.faulty_listeners()?;
        self.faulty_users()?;
        let changes = &self.changes;
        if !(Duration::from_secs(1)..=LONGEST).contains(&changes.interval.0) {
            return Err(Fault::new(
                &["changes", "interval"],
                format!("is {}", changes.interval),
                "use \"1s\" to \"1h\"",
            ));
        }
        if let Err(error) = podscope_collect::Pattern::new(&changes.ignore) {
            return Err(Fault::new(
                &["changes", "ignore"],
                error.to_string().replace('\n', " "),
                "write a regular expression",
            ));
        }
        for cluster in self.vast_clusters.iter().flatten() {
            check_url(&["vast_clusters"], &cluster.name, &cluster.url)?;
            let password = cluster.user.is_some() && cluster.password_file.is_some();
            if password == cluster.token_file.is_some() {
                return Err(Fault::new(
                    &["vast_clusters"],
                    format!("says of {:?} not one way to log in", cluster.name),
                    "give it `user` with `password_file`, or `token_file`",
                ));
            }
        }
        Ok(())
    }

    fn faulty_switches(&self) -> Result<(), Fault> {
        let nvue = &self.nvue;
        if nvue.interval.0 < Duration::from_secs(30) || nvue.interval.0 > LONGEST {
            return Err(Fault::new(
                &["nvue", "interval"],
                format!("is {}", nvue.interval),
                "use \"30s\" to \"1h\": a switch's processor has other work",
            ));
        }
        if nvue.timeout.0.is_zero() || nvue.timeout.0 > nvue.interval.0 {
            return Err(Fault::new(
                &["nvue", "timeout"],
                format!("is {}", nvue.timeout),
                "use a positive duration up to nvue.interval",
            ));
        }
        if nvue.max_concurrent == 0 {
            return Err(Fault::new(
                &["nvue", "max_concurrent"],
                "is 0",
                "no switch would be asked; use a positive number",
            ));
        }
        if nvue.roce_class > 15 {
            return Err(Fault::new(
                &["nvue", "roce_class"],
                format!("is {}", nvue.roce_class),
                "use 0 to 15",
            ));
        }
        if !matches!(nvue.pause_duration_unit.as_str(), "ns" | "us" | "ms" | "none") {
            return Err(Fault::new(
                &["nvue", "pause_duration_unit"],
                format!("is {:?}", nvue.pause_duration_unit),
                "use \"ns\", \"us\", \"ms\" or \"none\"",
            ));
        }
        let mut names = BTreeSet::new();
        for switch in self.switches.iter().flatten() {
            if switch.name.trim().is_empty() || !names.insert(&switch.name) {
                return Err(Fault::new(
                    &["switches"],
                    format!("has the name {:?} twice, or it is empty", switch.name),
                    "give every switch a name of its own",
                ));
            }
            let Some(url) = &switch.url else { continue };
            check_url(&["switches"], &switch.name, url)?;
            if switch.user.is_none() && nvue.user.is_none() {
                return Err(Fault::new(
                    &["switches"],
                    format!("has nobody to ask {:?} as", switch.name),
                    "set nvue.user and nvue.password_file, or the switch's own",
                ));
            }
            if switch.password_file.is_none() && nvue.password_file.is_none() {
                return Err(Fault::new(
                    &["switches"],
                    format!("has no password for {:?}", switch.name),
                    "set nvue.password_file, or the switch's own",
                ));
            }
        }
        Ok(())
    }

    fn faulty_listeners(&self) -> Result<(), Fault> {
        let (syslog, snmp, otlp) = (&self.syslog, &self.snmp, &self.otlp);
        let nobody = "may be sent to by nobody";
        let remedy = "list the senders here or in write.peers; a forged message would pass for the cause of an incident";
        if (syslog.udp.is_some() || syslog.tcp.is_some())
            && syslog.peers.as_ref().unwrap_or(&self.write.peers).is_empty()
        {
            return Err(Fault::new(&["syslog", "peers"], nobody, remedy));
        }
        if snmp.listen.is_some() && snmp.peers.as_ref().unwrap_or(&self.write.peers).is_empty() {
            return Err(Fault::new(&["snmp", "peers"], nobody, remedy));
        }
        if let Some(listen) = otlp.grpc_listen
            && !listen.ip().is_loopback()
            && self.tls.cert_file.is_none()
            && !otlp.grpc_plain
        {
            return Err(Fault::new(
                &["otlp", "grpc_listen"],
                "lies beyond loopback without TLS",
                "set tls.cert_file and tls.key_file, or otlp.grpc_plain",
            ));
        }
        if syslog.min_severity.parse::<Severity>().is_err() {
            return Err(Fault::new(
                &["syslog", "min_severity"],
                format!("is {:?}", syslog.min_severity),
                "use debug, info, warning, error or critical",
            ));
        }
        for (key, value) in [
            (["syslog", "rate"], syslog.rate),
            (["syslog", "burst"], syslog.burst),
            (["syslog", "max_connections"], syslog.max_connections),
            (["snmp", "rate"], snmp.rate),
            (["snmp", "burst"], snmp.burst),
        ] {
            if value == 0 {
                return Err(Fault::new(
                    &key,
                    "is 0",
                    "nothing would ever be taken; use a positive number",
                ));
            }
        }
        Ok(())
    }

    fn faulty_users(&self) -> Result<(), Fault> {
        for user in self.snmp_users.iter().flatten() {
            let fault = |message: String, remedy: &str| Err(Fault::new(&["snmp_users"], message, remedy));
            let name = &user.name;
            if podscope_collect::snmp::AuthProtocol::parse(&user.auth).is_none() {
                return fault(
                    format!("has {:?} for the `auth` of {name:?}", user.auth),
                    "use none, md5, sha1, sha224, sha256, sha384 or sha512",
                );
            }
            if podscope_collect::snmp::Privacy::parse(&user.privacy).is_none() {
                return fault(
                    format!("has {:?} for the `privacy` of {name:?}", user.privacy),
                    "use none, des, aes128, aes192 or aes256",
                );
            }
            if (user.auth != "none") != user.auth_password_file.is_some() {
                return fault(
                    format!("has `auth` and no `auth_password_file` for {name:?}, or the other way round"),
                    "set both, or `auth = \"none\"` alone",
                );
            }
            if (user.privacy != "none") != user.privacy_password_file.is_some() {
                return fault(
                    format!(
                        "has `privacy` and no `privacy_password_file` for {name:?}, or the other way round"
                    ),
                    "set both or none",
                );
            }
            if user.privacy != "none" && user.auth == "none" {
                return fault(
                    format!("has `privacy` without `auth` for {name:?}"),
                    "SNMP v3 knows no privacy without authentication; set `auth` too",
                );
            }
        }
        Ok(())
    }
}

fn check_url(key: &[&str], name: &str, url: &str) -> Result<(), Fault> {
    let parsed = reqwest::Url::parse(url).ok().filter(|parsed| {
        matches!(parsed.scheme(), "http" | "https")
            && parsed.username().is_empty()
            && parsed.password().is_none()
            && parsed.host().is_some()
    });
    match parsed {
        Some(_) => Ok(()),
        None => Err(Fault::new(
            key,
            format!("has {url:?} for the `url` of {name:?}"),
            "write an http or https URL without user or password, such as \"https://10.0.0.11:8765\"",
        )),
    }
}
