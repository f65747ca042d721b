//! Sections about the scheduler and what is promised to those who wait.

use std::fmt;
use std::path::PathBuf;

use podscope_collect::slurm::slo::{Contract, Tenant};
use podscope_collect::slurm::{BookOptions, PollOptions};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rules::Fault;
use super::section::section;
use super::values::Period;

section! {
    /// Slurm, asked through slurmrestd by one agent of the cluster: a hub, or the node Slurm runs on. Only `GET` is ever sent.
    /// `docs/slurm.md` has what comes of it.
    pub struct SlurmConfig = "slurm" {
        /// slurmrestd's address. Not set, and no `socket` either: Slurm is not asked.
        url: Option<String> = None, "\"http://slurmctl-1:6820\"";
        /// slurmrestd's unix socket, where it runs on this machine with `rest_auth/local`; the agent must run as the same user
        /// or as root. Not together with `url`.
        socket: Option<PathBuf> = None;
        /// The user whose token is sent. Not set: the token itself says.
        user: Option<String> = None, "\"podscope\"";
        /// File with what `scontrol token username=podscope lifespan=...` printed; read again whenever it changes.
        token_file: Option<PathBuf> = None, "\"/etc/podscope/slurm-token\"";
        /// File with the certificates to trust instead of the system's, PEM.
        ca_file: Option<PathBuf> = None, "\"/etc/podscope/slurm-ca.crt\"";
        /// Version of the API. Not set: the newest known one that slurmrestd offers (0.0.38, 0.0.40 to 0.0.42).
        api_version: Option<String> = None, "\"v0.0.40\"";
        /// How often it is asked, `"5s"` to `"60s"`: an ended job is forgotten by slurmctld after five minutes. After failures
        /// it is asked less often.
        interval: Period = Period::from_secs(30);
        /// How long one answer may take.
        timeout: Period = Period::from_secs(20);
        /// Ask slurmdbd, where slurmrestd offers it, for jobs that ended before the agent looked.
        accounting: bool = true;
        /// Jobs taken of one answer; the others are counted in `podscope_slurm_left_out`.
        max_jobs: u64 = 100_000;
    }
}

section! {
    /// What is promised about waiting in the queue, and what breaking it costs. `docs/slo.md` has the formulas.
    pub struct SloConfig = "slo" {
        /// How long a job may wait for capacity.
        wait_target: Period = Period::from_secs(600);
        /// Share of the jobs that must not wait longer: above 0, below 1.
        objective: Decimal = Decimal(900_000);
        /// What an hour of an allocated, wasted GPU costs, in dollars. Not set: idle cost is not counted.
        idle_gpu_price: Option<Decimal> = None, "2.5";
        /// Tenants with a contract. Of each: `name`; `accounts`, the Slurm accounts that are its; `gpus`, promised; `price`, what
        /// it pays per GPU and hour; `penalty`, what an hour of a GPU costs that is promised, wanted, late and not there (not
        /// set: as `price`); `wait_penalty`, what each promised GPU costs an hour while the tenant's P90 wait is beyond the
        /// target (0: no such clause); `cap`, the most that an incident can cost. All prices in dollars.
        tenants: Vec<TenantConfig> = Vec::new(), "[{ name = \"alpha\", accounts = [\"alpha\"], gpus = 128, price = 2.5, cap = 50000 }]";
    }
}

/// A tenant as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    pub name: String,
    #[serde(default)]
    pub accounts: Vec<String>,
    pub gpus: u64,
    #[serde(default)]
    pub price: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Decimal>,
    #[serde(default)]
    pub wait_penalty: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Decimal>,
}

/// A number that is not negative, to six places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub u64);

const SCALE: f64 = 1e6;

impl Decimal {
    pub fn value(self) -> f64 {
        self.0 as f64 / SCALE
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(out)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if (0.0..=1e12).contains(&value) {
            Ok(Self((value * SCALE).round() as u64))
        } else {
            Err(serde::de::Error::custom(format!(
                "{value} is negative or too large; write a number like 2.5"
            )))
        }
    }
}

impl SlurmConfig {
    /// Whether Slurm is asked at all.
    pub fn is_asked(&self) -> bool {
        self.url.is_some() || self.socket.is_some()
    }

    /// As the poller wants it.
    pub fn poll_options(&self) -> PollOptions {
        PollOptions {
            version: self.api_version.clone().unwrap_or_default(),
            accounting: self.accounting,
            most_jobs: usize::try_from(self.max_jobs).unwrap_or(usize::MAX),
        }
    }

    /// As the book wants it.
    pub fn book_options(&self, slo: &SloConfig) -> BookOptions {
        BookOptions {
            interval: self.interval.0,
            target_s: slo.wait_target.0.as_secs_f64(),
        }
    }

    /// The first key whose value makes no sense.
    pub(super) fn faults(&self) -> Result<(), Fault> {
        let fault = |key: &'static str, message: &str, remedy: &str| {
            Err(Fault::new(&["slurm", key], message, remedy))
        };
        if self.url.is_some() && self.socket.is_some() {
            return fault("url", "stands beside `socket`", "keep one of the two");
        }
        if let Some(url) = &self.url {
            let parsed = reqwest::Url::parse(url).ok();
            let usable = parsed.is_some_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            if !usable {
                return fault(
                    "url",
                    "is no http or https address without user and password",
                    "write it like \"http://slurmctl-1:6820\"; the token has a file of its own",
                );
            }
        }
        if self.socket.is_some() && self.token_file.is_some() {
            return fault(
                "token_file",
                "is of no use with `socket`, which knows its users by their number",
                "remove it, or use `url`",
            );
        }
        if let Some(version) = &self.api_version {
            let digits = version.strip_prefix("v0.0.").unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return fault(
                    "api_version",
                    "is no version of the API",
                    "write it like \"v0.0.40\"",
                );
            }
        }
        let seconds = self.interval.0.as_secs_f64();
        if !(5.0..=60.0).contains(&seconds) {
            return Err(Fault::new(
                &["slurm", "interval"],
                format!("is {}", self.interval),
                "use \"5s\" to \"60s\": slurmctld forgets ended jobs after five minutes",
            ));
        }
        if !(1.0..=300.0).contains(&self.timeout.0.as_secs_f64()) {
            return Err(Fault::new(
                &["slurm", "timeout"],
                format!("is {}", self.timeout),
                "use \"1s\" to \"5m\"",
            ));
        }
        if self.max_jobs == 0 {
            return fault("max_jobs", "is 0", "no job would be taken; use a positive number");
        }
        Ok(())
    }
}

impl SloConfig {
    /// As the collector wants it.
    pub fn contract(&self) -> Contract {
        let tenant = |tenant: &TenantConfig| Tenant {
            name: tenant.name.clone(),
            accounts: match tenant.accounts.is_empty() {
                true => vec![tenant.name.clone()],
                false => tenant.accounts.clone(),
            },
            gpus: tenant.gpus as f64,
            price: tenant.price.value(),
            penalty: tenant.penalty.unwrap_or(tenant.price).value(),
            wait_penalty: tenant.wait_penalty.value(),
            cap: tenant.cap.map(Decimal::value),
        };
        Contract {
            target_s: self.wait_target.0.as_secs_f64(),
            objective: self.objective.value(),
            idle_price: self.idle_gpu_price.map(Decimal::value),
            tenants: self.tenants.iter().map(tenant).collect(),
        }
    }

    /// The first key whose value makes no sense.
    pub(super) fn faults(&self, slurm: &SlurmConfig) -> Result<(), Fault> {
        if !(1.0..=30.0 * 86_400.0).contains(&self.wait_target.0.as_secs_f64()) {
            return Err(Fault::new(
                &["slo", "wait_target"],
                format!("is {}", self.wait_target),
                "use \"1s\" to \"30d\"",
            ));
        }
        let objective = self.objective.value();
        if objective <= 0.0 || objective >= 1.0 {
            return Err(Fault::new(
                &["slo", "objective"],
                format!("is {objective}"),
                "use a share above 0 and below 1, such as 0.9",
            ));
        }
        let tenants = |message: String, remedy: &str| Err(Fault::new(&["slo", "tenants"], message, remedy));
        if !self.tenants.is_empty() && !slurm.is_asked() {
            return tenants(
                "are named, but Slurm is not asked".to_owned(),
                "set slurm.url or slurm.socket too",
            );
        }
        if self.tenants.len() > MOST_TENANTS {
            return tenants(
                format!("are {}", self.tenants.len()),
                "name at most 200; the others have no contract",
            );
        }
        let mut names = std::collections::BTreeSet::new();
        let mut accounts = std::collections::BTreeMap::new();
        for tenant in &self.tenants {
            if tenant.name.trim().is_empty() {
                return tenants("have one without a name".to_owned(), "give each tenant a `name`");
            }
            if !names.insert(tenant.name.as_str()) {
                return tenants(
                    format!("name {:?} twice", tenant.name),
                    "put all accounts of a tenant into one entry",
                );
            }
            for account in tenant
                .accounts
                .iter()
                .chain(tenant.accounts.is_empty().then_some(&tenant.name))
            {
                if let Some(other) = accounts.insert(account.as_str(), tenant.name.as_str()) {
                    return tenants(
                        format!("give account {account:?} to {other:?} and to {:?}", tenant.name),
                        "an account belongs to one tenant",
                    );
                }
            }
        }
        Ok(())
    }
}

/// Series and memory are per tenant.
const MOST_TENANTS: usize = 200;
