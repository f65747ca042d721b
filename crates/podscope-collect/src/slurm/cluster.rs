//! What Slurm says of itself: partitions, its statistics (`diag`), the shares of its accounts.

use std::sync::Arc;

use serde::Deserialize;

use super::job::{Job, Names, short};
use super::node::Node;
use super::value::{Num, Text, Words};

/// A partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partition {
    pub name: Box<str>,
    /// Hostlist.
    pub nodes: Box<str>,
    /// It takes jobs.
    pub up: bool,
}

/// Requests to slurmctld of one user or one type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rpc {
    pub name: Box<str>,
    pub count: f64,
    /// Microseconds.
    pub total_time: f64,
}

/// slurmctld's statistics; absent is what this version does not tell. Cycles in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diag {
    pub now_s: Option<i64>,
    pub threads: Option<f64>,
    pub agent_queue: Option<f64>,
    pub dbd_queue: Option<f64>,
    pub cycle_last: Option<f64>,
    pub cycle_mean: Option<f64>,
    pub cycles_per_minute: Option<f64>,
    pub backfill_last: Option<f64>,
    pub backfill_mean: Option<f64>,
    pub backfill_depth_mean: Option<f64>,
    pub backfilled: Option<f64>,
    pub last_backfilled: Option<f64>,
    pub rpc_users: Vec<Rpc>,
    pub rpc_types: Vec<Rpc>,
}

/// The share of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    pub account: Arc<str>,
    /// What it is to get, of its siblings and all above it.
    pub target: Option<f64>,
    /// Its part of the decayed usage.
    pub used: Option<f64>,
    pub factor: Option<f64>,
    /// Target by effective usage.
    pub level: Option<f64>,
}

/// What one round of questions brought.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Slurm's name of the cluster, and what answers: `v0.0.38`.
    pub cluster: Box<str>,
    pub api: Box<str>,
    pub jobs: Arc<[Job]>,
    pub nodes: Arc<[Node]>,
    pub partitions: Arc<[Partition]>,
    pub diag: Option<Diag>,
    pub shares: Arc<[Share]>,
    /// Jobs of the past, of slurmdbd; empty when it was not asked.
    pub past: Vec<Job>,
    /// Records that could not be read, with the first of the errors.
    pub unread: u64,
    pub unread_error: Option<String>,
}

/// What stands beside the lists of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) errors: Vec<RawError<'a>>,
    pub(crate) last_update: Num,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawError<'a> {
    #[serde(borrow)]
    pub(crate) description: Text<'a>,
    pub(crate) error_number: Num,
    #[serde(borrow)]
    pub(crate) error: Text<'a>,
    #[serde(borrow)]
    pub(crate) source: Text<'a>,
}

impl RawError<'_> {
    /// Slurm's number for "nothing has changed since `update_time`".
    const NO_CHANGE: f64 = 1900.0;

    pub(crate) fn is_no_change(&self) -> bool {
        self.error_number.0 == Some(Self::NO_CHANGE)
    }

    pub(crate) fn said(&self) -> String {
        let parts = [self.error.get(), self.description.get(), self.source.get()];
        let mut said = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let part: String = part.chars().take(200).collect();
            if !said.contains(&part) {
                said.push(part);
            }
        }
        let number = self.error_number.0.unwrap_or(0.0);
        format!("{} (error {number})", said.join(", "))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPartition<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    /// 0.0.38: a hostlist; later `{"configured": "...", "total": 2}`.
    #[serde(borrow)]
    nodes: RawNodes<'a>,
    #[serde(borrow)]
    state: Words<'a>,
    #[serde(borrow)]
    partition: RawState<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawNodes<'a> {
    List(#[serde(borrow)] std::borrow::Cow<'a, str>),
    Object {
        #[serde(default)]
        configured: String,
    },
    Other(serde::de::IgnoredAny),
}

impl Default for RawNodes<'_> {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawState<'a> {
    #[serde(borrow)]
    state: Words<'a>,
}

/// Reads one element of `partitions`.
pub(crate) fn read_partition(item: &[u8]) -> Result<Partition, serde_json::Error> {
    let raw: RawPartition<'_> = serde_json::from_slice(item)?;
    let nodes = match &raw.nodes {
        RawNodes::List(list) => list.as_ref(),
        RawNodes::Object { configured } => configured,
        RawNodes::Other(_) => "",
    };
    let mut words = raw.state.0.iter().chain(&raw.partition.state.0);
    Ok(Partition {
        name: short(raw.name.get()).into(),
        nodes: short(nodes).into(),
        up: words.clone().next().is_none() || words.any(|word| word.eq_ignore_ascii_case("up")),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawDiag<'a> {
    #[serde(borrow)]
    statistics: RawStatistics<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawStatistics<'a> {
    req_time: Num,
    server_thread_count: Num,
    agent_queue_size: Num,
    dbd_agent_queue_size: Num,
    schedule_cycle_last: Num,
    schedule_cycle_mean: Num,
    schedule_cycle_per_minute: Num,
    bf_cycle_last: Num,
    bf_cycle_mean: Num,
    bf_depth_mean: Num,
    bf_backfilled_jobs: Num,
    bf_last_backfilled_jobs: Num,
    #[serde(borrow)]
    rpcs_by_message_type: Vec<RawRpc<'a>>,
    #[serde(borrow)]
    rpcs_by_user: Vec<RawRpc<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRpc<'a> {
    #[serde(borrow)]
    message_type: Text<'a>,
    #[serde(borrow)]
    user: Text<'a>,
    user_id: Num,
    count: Num,
    total_time: Num,
}

/// Reads the answer to `diag`.
pub(crate) fn read_diag(body: &[u8]) -> Result<Diag, serde_json::Error> {
    let raw: RawDiag<'_> = serde_json::from_slice(body)?;
    let raw = raw.statistics;
    let rpc = |rpc: &RawRpc<'_>| {
        let name = match (rpc.message_type.get(), rpc.user.get()) {
            ("", "") => rpc.user_id.count().map(|id| id.to_string()).unwrap_or_default(),
            ("", user) => user.to_owned(),
            (kind, _) => kind.to_owned(),
        };
        Rpc {
            name: short(&name).into(),
            count: rpc.count.count().unwrap_or(0) as f64,
            total_time: rpc.total_time.count().unwrap_or(0) as f64,
        }
    };
    Ok(Diag {
        now_s: raw.req_time.time(),
        threads: raw.server_thread_count.finite(),
        agent_queue: raw.agent_queue_size.finite(),
        dbd_queue: raw.dbd_agent_queue_size.finite(),
        cycle_last: raw.schedule_cycle_last.finite(),
        cycle_mean: raw.schedule_cycle_mean.finite(),
        cycles_per_minute: raw.schedule_cycle_per_minute.finite(),
        backfill_last: raw.bf_cycle_last.finite(),
        backfill_mean: raw.bf_cycle_mean.finite(),
        backfill_depth_mean: raw.bf_depth_mean.finite(),
        backfilled: raw.bf_backfilled_jobs.finite(),
        last_backfilled: raw.bf_last_backfilled_jobs.finite(),
        rpc_users: raw.rpcs_by_user.iter().map(rpc).collect(),
        rpc_types: raw.rpcs_by_message_type.iter().map(rpc).collect(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawShares<'a> {
    #[serde(borrow)]
    shares: RawShareList<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawShareList<'a> {
    #[serde(borrow)]
    shares: Vec<RawShare<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawShare<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Words<'a>,
    shares_normalized: Num,
    effective_usage: Num,
    fairshare: RawFairshare,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawFairshare {
    factor: Num,
    level: Num,
}

/// Reads the answer to `shares`: the accounts' lines of it, not the users'.
pub(crate) fn read_shares(body: &[u8], names: &mut Names) -> Result<Vec<Share>, serde_json::Error> {
    let raw: RawShares<'_> = serde_json::from_slice(body)?;
    let accounts = raw.shares.shares.iter().filter(|share| {
        let is_user = share.kind.0.iter().any(|word| word.eq_ignore_ascii_case("user"));
        !is_user && !matches!(share.name.get(), "" | "root")
    });
    Ok(accounts
        .map(|share| Share {
            account: names.get(share.name.get()),
            target: share.shares_normalized.finite(),
            used: share.effective_usage.finite(),
            factor: share.fairshare.factor.finite(),
            level: share.fairshare.level.finite(),
        })
        .collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAssociations<'a> {
    #[serde(borrow)]
    associations: Vec<RawAssociation<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAssociation<'a> {
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    user: Text<'a>,
    #[serde(borrow)]
    parent_account: Text<'a>,
    shares_raw: Num,
}

/// Reads slurmdbd's `associations` (before 0.0.40 there are no `shares`): raw shares, normalised among siblings and multiplied
/// down the tree of accounts.
pub(crate) fn read_associations(body: &[u8], names: &mut Names) -> Result<Vec<Share>, serde_json::Error> {
    use std::collections::BTreeMap;
    let raw: RawAssociations<'_> = serde_json::from_slice(body)?;
    let mut accounts: BTreeMap<&str, (&str, f64)> = BTreeMap::new();
    for one in raw.associations.iter().filter(|one| one.user.get().is_empty()) {
        let shares = one.shares_raw.count().unwrap_or(1) as f64;
        accounts.insert(one.account.get(), (one.parent_account.get(), shares));
    }
    let mut siblings: BTreeMap<&str, f64> = BTreeMap::new();
    for (account, (parent, shares)) in &accounts {
        if *account != "root" {
            *siblings.entry(*parent).or_default() += *shares;
        }
    }
    let mut shares = Vec::new();
    for account in accounts
        .keys()
        .filter(|account| !matches!(**account, "" | "root"))
    {
        let (mut target, mut at) = (1.0, *account);
        // No tree is deeper; a loop in it must not hang us.
        for _ in 0..32 {
            let Some((parent, own)) = accounts.get(at).filter(|_| at != "root") else {
                break;
            };
            let all = siblings.get(parent).copied().unwrap_or(0.0);
            target *= if all > 0.0 { own / all } else { 0.0 };
            at = parent;
        }
        shares.push(Share {
            account: names.get(account),
            target: Some(target),
            ..Share::default()
        });
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_all_versions_say_the_same() {
        let old =
            read_partition(br#"{"name": "gpu", "nodes": "n[1-2]", "state": "UP", "min nodes per job": 1}"#);
        let new = read_partition(
            br#"{"name": "gpu", "nodes": {"configured": "n[1-2]", "total": 2}, "partition": {"state": ["UP"]}}"#,
        );
        let old = old.expect("a partition");
        assert_eq!(old, new.expect("a partition"));
        assert_eq!((&*old.nodes, old.up), ("n[1-2]", true));
        let down = read_partition(br#"{"name": "gpu", "nodes": null, "partition": {"state": ["DOWN"]}}"#);
        assert!(!down.expect("a partition").up);
    }

    #[test]
    fn shares_are_those_of_accounts() {
        let body = br#"{"shares": {"shares": [
            {"name": "root", "type": ["ASSOCIATION"], "shares_normalized": {"set": true, "infinite": false, "number": 1.0}},
            {"name": "alpha", "type": ["ASSOCIATION"], "shares_normalized": {"set": true, "infinite": false, "number": 0.75},
             "effective_usage": {"set": true, "infinite": false, "number": 0.5}, "fairshare":
             {"factor": {"set": true, "infinite": false, "number": 0.6}, "level": {"set": true, "infinite": false, "number": 1.5}}},
            {"name": "ann", "type": ["USER"], "shares_normalized": {"set": true, "infinite": false, "number": 0.1}}],
            "total_shares": 3}}"#;
        let shares = read_shares(body, &mut Names::default()).expect("shares");
        assert_eq!(shares.len(), 1);
        let share = &shares[0];
        assert_eq!(&*share.account, "alpha");
        assert_eq!(
            (share.target, share.used, share.factor, share.level),
            (Some(0.75), Some(0.5), Some(0.6), Some(1.5))
        );
    }

    #[test]
    fn raw_shares_are_normalised_among_siblings_and_down_the_tree() {
        let body = br#"{"associations": [
            {"account": "root", "parent_account": "", "shares_raw": 1, "user": ""},
            {"account": "root", "parent_account": "", "shares_raw": 1, "user": "root"},
            {"account": "a", "parent_account": "root", "shares_raw": 30, "user": ""},
            {"account": "b", "parent_account": "root", "shares_raw": 10, "user": ""},
            {"account": "b1", "parent_account": "b", "shares_raw": 1, "user": ""},
            {"account": "b2", "parent_account": "b", "shares_raw": 3, "user": ""},
            {"account": "a", "parent_account": "", "shares_raw": 1, "user": "ann"}]}"#;
        let shares = read_associations(body, &mut Names::default()).expect("shares");
        let target = |name: &str| {
            let found = shares.iter().find(|share| &*share.account == name);
            found.and_then(|share| share.target).expect(name)
        };
        assert_eq!((target("a"), target("b")), (0.75, 0.25));
        assert_eq!((target("b1"), target("b2")), (0.0625, 0.1875));
    }
}
