//! One gentle round of questions: what changed among jobs and nodes, slurmctld's statistics, and from time to time partitions,
//! shares and slurmdbd. Nothing is asked twice at the same time, and nothing but GET is ever sent.
//!
//! Versions are found by what `/openapi/v3` lists. `update_time` lets slurmctld answer "nothing has changed" instead of
//! packing all jobs under its lock.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{
    Diag, Envelope, Partition, Share, Snapshot, read_associations, read_diag, read_partition, read_shares,
};
use super::error::SlurmError;
use super::job::{self, Job, Names};
use super::node::{self, Node};
use super::split::{BadBytes, Splitter};

/// The head of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub retry_after: Option<Duration>,
}

/// A way to slurmrestd.
pub trait SlurmApi: Send {
    /// Where it is, for errors.
    fn place(&self) -> String;

    /// The user whose token is sent, for errors.
    fn user(&self) -> String {
        "slurm".to_owned()
    }

    /// Asks `GET target` and hands the body over as it arrives.
    ///
    /// # Errors
    /// When there is no whole answer, or as `body` says; whatever status an answer has is no error.
    fn get(
        &mut self,
        target: &str,
        body: &mut dyn FnMut(Head, &[u8]) -> Result<(), SlurmError>,
    ) -> Result<Head, SlurmError>;
}

/// What a poller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollOptions {
    /// `v0.0.38`; empty: what it offers.
    pub version: String,
    /// Ask slurmdbd for jobs of the past.
    pub accounting: bool,
    /// More jobs are not taken.
    pub most_jobs: usize,
}

impl Default for PollOptions {
    fn default() -> Self {
        Self {
            version: String::new(),
            accounting: true,
            most_jobs: 100_000,
        }
    }
}

/// Newest shapes first; those after 42 keep its shapes as far as they were seen.
const VERSIONS: [&str; 8] = [
    "v0.0.42", "v0.0.41", "v0.0.40", "v0.0.39", "v0.0.38", "v0.0.43", "v0.0.44", "v0.0.45",
];
/// Rounds after which partitions and shares are asked again.
const SELDOM: u64 = 10;
/// slurmctld forgets ended jobs after 300 s (MinJobAge): a longer pause is filled from slurmdbd.
const PAUSE_S: i64 = 240;
/// slurmdbd is asked at least so often.
const PAST_EVERY_S: i64 = 900;
/// Seconds of the past that are asked for at the start.
const PAST_S: i64 = 3600;
/// The longest body that is no list: shares, statistics.
const LONGEST_BODY: usize = 16 << 20;
/// Bytes of an error's body.
const LONGEST_ERROR: usize = 8 << 10;
/// Errors of single records that are kept.
const SHOWN: usize = 200;

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offered {
    version: String,
    accounting: bool,
    shares: bool,
    associations: bool,
}

impl Offered {
    fn number(&self) -> u32 {
        let digits = self.version.rsplit('.').next().unwrap_or_default();
        digits.parse().unwrap_or(0)
    }

    /// Later versions end the path of a list with a slash.
    fn list(&self, name: &str) -> String {
        let slash = if self.number() >= 40 { "/" } else { "" };
        format!("/slurm/{}/{name}{slash}", self.version)
    }
}

/// See the module.
pub struct Poller {
    api: Box<dyn SlurmApi>,
    options: PollOptions,
    offered: Option<Offered>,
    round: u64,
    jobs: Arc<[Job]>,
    jobs_at: i64,
    nodes: Arc<[Node]>,
    nodes_at: i64,
    partitions: Arc<[Partition]>,
    shares: Arc<[Share]>,
    cluster: Box<str>,
    last_s: Option<i64>,
    past_s: Option<i64>,
    unchanged: [u64; 2],
    problems: Vec<SlurmError>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Poller")
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}

/// What a list brought.
struct Listed {
    unchanged: bool,
    last_update: Option<i64>,
    unread: u64,
    unread_error: Option<String>,
}

impl Poller {
    pub fn new(api: Box<dyn SlurmApi>, options: PollOptions) -> Self {
        Self {
            api,
            options,
            offered: None,
            round: 0,
            jobs: Arc::default(),
            jobs_at: 0,
            nodes: Arc::default(),
            nodes_at: 0,
            partitions: Arc::default(),
            shares: Arc::default(),
            cluster: Box::default(),
            last_s: None,
            past_s: None,
            unchanged: [0; 2],
            problems: Vec::new(),
        }
    }

    /// Answers that said that nothing had changed: of jobs, of nodes.
    pub fn unchanged(&self) -> [u64; 2] {
        self.unchanged
    }

    /// What went wrong beside the jobs and nodes of the last round.
    pub fn take_problems(&mut self) -> Vec<SlurmError> {
        std::mem::take(&mut self.problems)
    }

    /// Asks once around.
    ///
    /// # Errors
    /// When jobs, nodes or statistics could not be had whole; what was known before stays.
    pub fn poll(&mut self, now_s: i64) -> Result<Snapshot, SlurmError> {
        self.problems.clear();
        let offered = match &self.offered {
            Some(offered) => offered.clone(),
            None => {
                let offered = self.discover()?;
                self.offered = Some(offered.clone());
                offered
            }
        };
        let polled = self.ask_all(&offered, now_s);
        if matches!(&polled, Err(SlurmError::Status { .. })) {
            // Perhaps it was upgraded.
            self.offered = None;
        }
        polled
    }

    fn ask_all(&mut self, offered: &Offered, now_s: i64) -> Result<Snapshot, SlurmError> {
        let diag = self.diag(offered)?;
        // Versions before 0.0.40 do not say when their lists changed: slurmctld's own clock, before they are asked, does.
        let before = diag.now_s.unwrap_or(0);
        let mut unread = (0, None);
        self.ask_jobs(offered, before, &mut unread)?;
        self.ask_nodes(offered, before, &mut unread)?;
        if self.round.is_multiple_of(SELDOM) {
            if let Err(problem) = self.ask_partitions(offered) {
                self.problems.push(problem);
            }
            if let Err(problem) = self.ask_shares(offered) {
                self.problems.push(problem);
            }
        }
        let past = match self.ask_past(offered, now_s) {
            Ok(past) => past,
            Err(problem) => {
                self.problems.push(problem);
                Vec::new()
            }
        };
        self.round += 1;
        self.last_s = Some(now_s);
        Ok(Snapshot {
            cluster: self.cluster.clone(),
            api: offered.version.as_str().into(),
            jobs: Arc::clone(&self.jobs),
            nodes: Arc::clone(&self.nodes),
            partitions: Arc::clone(&self.partitions),
            diag: Some(diag),
            shares: Arc::clone(&self.shares),
            past,
            unread: unread.0,
            unread_error: unread.1,
        })
    }

    /// Which version it offers, by the paths in its own description.
    fn discover(&mut self) -> Result<Offered, SlurmError> {
        let target = "/openapi/v3";
        let mut scan = PathScan::default();
        let mut begin = Vec::new();
        let mut said = Vec::new();
        let head = self.api.get(target, &mut |head, chunk| {
            if head.status == 200 {
                if begin.len() < SHOWN {
                    begin.extend_from_slice(chunk.get(..SHOWN).unwrap_or(chunk));
                }
                scan.push(chunk);
            } else {
                keep(&mut said, chunk, LONGEST_ERROR);
            }
            Ok(())
        })?;
        if head.status != 200 {
            return Err(self.status_error(head, target, &said));
        }
        if begin.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(SlurmError::NotJson {
                place: self.api.place(),
                target: target.to_owned(),
                begin: shown(&begin),
            });
        }
        let ours = |version: &&str| self.options.version.is_empty() || **version == self.options.version;
        let found = VERSIONS.iter().copied().filter(ours).find(|version| {
            scan.found
                .iter()
                .any(|path| *path == format!("/slurm/{version}/jobs"))
        });
        let Some(version) = found else {
            let mut offered: Vec<&str> = scan
                .found
                .iter()
                .filter_map(|path| path.strip_prefix("/slurm/")?.strip_suffix("/jobs"))
                .collect();
            if offered.is_empty() {
                offered.push("none at all");
            }
            return Err(SlurmError::NoVersion {
                place: self.api.place(),
                offered: offered.join(", "),
            });
        };
        let has = |path: String| scan.found.contains(&path);
        Ok(Offered {
            version: version.to_owned(),
            accounting: self.options.accounting && has(format!("/slurmdb/{version}/jobs")),
            shares: has(format!("/slurm/{version}/shares")),
            associations: has(format!("/slurmdb/{version}/associations")),
        })
    }

    fn diag(&mut self, offered: &Offered) -> Result<Diag, SlurmError> {
        let target = offered.list("diag");
        let body = self.body(&target)?;
        read_diag(&body).map_err(|source| self.json(&target, source))
    }

    fn ask_jobs(
        &mut self,
        offered: &Offered,
        before: i64,
        unread: &mut (u64, Option<String>),
    ) -> Result<(), SlurmError> {
        let most = self.options.most_jobs;
        let (mut jobs, mut names, mut cluster) = (Vec::new(), Names::default(), None);
        let mut more = 0_u64;
        let target = offered.list("jobs");
        let listed = self.changed(&target, self.jobs_at, "jobs", &mut |item| {
            let job = job::read(item, &mut names)?;
            if cluster.is_none() {
                cluster = Some(cluster_of(item));
            }
            if jobs.len() < most {
                jobs.push(job);
            } else {
                more += 1;
            }
            Ok(())
        })?;
        if listed.unchanged {
            self.unchanged[0] += 1;
            return Ok(());
        }
        if more > 0 {
            self.problems.push(SlurmError::Odd {
                place: self.api.place(),
                target,
                what: format!("{more} jobs more than the {most} of `slurm.max_jobs`; these are left out"),
            });
        }
        unread.0 += listed.unread + more;
        unread.1 = unread.1.take().or(listed.unread_error);
        self.jobs = jobs.into();
        self.jobs_at = listed.last_update.unwrap_or(before);
        if let Some(cluster) = cluster.filter(|cluster| !cluster.is_empty()) {
            self.cluster = cluster.into();
        }
        Ok(())
    }

    fn ask_nodes(
        &mut self,
        offered: &Offered,
        before: i64,
        unread: &mut (u64, Option<String>),
    ) -> Result<(), SlurmError> {
        let mut nodes = Vec::new();
        let target = offered.list("nodes");
        let listed = self.changed(&target, self.nodes_at, "nodes", &mut |item| {
            let node = node::read(item)?;
            if nodes.len() < super::hostlist::MOST_NODES {
                nodes.push(node);
            }
            Ok(())
        })?;
        if listed.unchanged {
            self.unchanged[1] += 1;
            return Ok(());
        }
        unread.0 += listed.unread;
        unread.1 = unread.1.take().or(listed.unread_error);
        self.nodes = nodes.into();
        self.nodes_at = listed.last_update.unwrap_or(before);
        Ok(())
    }

    fn ask_partitions(&mut self, offered: &Offered) -> Result<(), SlurmError> {
        let mut partitions = Vec::new();
        self.list(&offered.list("partitions"), "partitions", &mut |item| {
            partitions.push(read_partition(item)?);
            Ok(())
        })?;
        self.partitions = partitions.into();
        Ok(())
    }

    fn ask_shares(&mut self, offered: &Offered) -> Result<(), SlurmError> {
        let mut names = Names::default();
        if offered.shares {
            let target = format!("/slurm/{}/shares", offered.version);
            let body = self.body(&target)?;
            let shares = read_shares(&body, &mut names).map_err(|source| self.json(&target, source))?;
            self.shares = shares.into();
        } else if offered.accounting && offered.associations {
            let target = format!("/slurmdb/{}/associations", offered.version);
            let body = self.body(&target)?;
            let shares = read_associations(&body, &mut names).map_err(|source| self.json(&target, source))?;
            self.shares = shares.into();
        }
        Ok(())
    }

    fn ask_past(&mut self, offered: &Offered, now_s: i64) -> Result<Vec<Job>, SlurmError> {
        let paused = self.last_s.is_none_or(|last| now_s - last > PAUSE_S);
        let due = self.past_s.is_none_or(|past| now_s - past >= PAST_EVERY_S);
        if !offered.accounting || !(paused || due) {
            return Ok(Vec::new());
        }
        let since = match self.past_s {
            Some(past) => past.max(now_s - PAST_S) - 60,
            None => now_s - PAST_S,
        };
        let slash = if offered.number() >= 40 { "/" } else { "" };
        let target = format!(
            "/slurmdb/{}/jobs{slash}?start_time=uts{since}&skip_steps=true",
            offered.version
        );
        let (mut past, mut names) = (Vec::new(), Names::default());
        let most = self.options.most_jobs;
        self.list(&target, "jobs", &mut |item| {
            let job = job::read_past(item, &mut names)?;
            if past.len() < most {
                past.push(job);
            }
            Ok(())
        })?;
        self.past_s = Some(now_s);
        Ok(past)
    }

    /// Asks for what changed of a list. 22.05 answers that now and then with an error without a number ("error 0") while
    /// nodes or jobs change; then the whole list is asked for.
    fn changed(
        &mut self,
        target: &str,
        at: i64,
        list: &'static str,
        read: &mut dyn FnMut(&[u8]) -> Result<(), serde_json::Error>,
    ) -> Result<Listed, SlurmError> {
        match self.list(&with_update_time(target, at), list, read) {
            Err(SlurmError::Busy {
                status: 500, said, ..
            }) if at != 0 && said.contains("(error 0)") => self.list(target, list, read),
            listed => listed,
        }
    }

    /// Asks for a list and reads it item by item. An item that cannot be read is left out and counted.
    fn list(
        &mut self,
        target: &str,
        list: &'static str,
        read: &mut dyn FnMut(&[u8]) -> Result<(), serde_json::Error>,
    ) -> Result<Listed, SlurmError> {
        let mut splitter = Splitter::new(list);
        let (mut unread, mut unread_error) = (0_u64, None);
        let mut bad = None;
        let mut said = Vec::new();
        let head = self.api.get(target, &mut |head, chunk| {
            if head.status != 200 {
                keep(&mut said, chunk, LONGEST_ERROR);
                return Ok(());
            }
            if bad.is_some() {
                return Ok(());
            }
            let pushed = splitter.push(chunk, &mut |item| {
                if let Err(error) = read(item) {
                    unread += 1;
                    unread_error.get_or_insert_with(|| format!("a record of {target}: {error}"));
                }
                Ok(())
            })?;
            bad = pushed.err();
            Ok(())
        })?;
        let nothing = Listed {
            unchanged: true,
            last_update: None,
            unread: 0,
            unread_error: None,
        };
        if head.status == 304 {
            return Ok(nothing);
        }
        if head.status != 200 {
            if no_change(&said) {
                return Ok(nothing);
            }
            return Err(self.status_error(head, target, &said));
        }
        let rest = match bad {
            Some(bad) => Err(bad),
            None => splitter.finish(),
        };
        let rest = rest.map_err(|bad| self.bad_bytes(bad, target))?;
        let envelope: Envelope<'_> =
            serde_json::from_slice(&rest).map_err(|source| self.json(target, source))?;
        if let Some(error) = envelope.errors.first() {
            if error.is_no_change() {
                return Ok(nothing);
            }
            return Err(self.said(target, error.said()));
        }
        Ok(Listed {
            unchanged: false,
            last_update: envelope.last_update.time(),
            unread,
            unread_error,
        })
    }

    /// Asks for something that is no list.
    fn body(&mut self, target: &str) -> Result<Vec<u8>, SlurmError> {
        let mut body = Vec::new();
        let mut whole = true;
        let head = self.api.get(target, &mut |head, chunk| {
            let most = if head.status == 200 {
                LONGEST_BODY
            } else {
                LONGEST_ERROR
            };
            whole &= keep(&mut body, chunk, most);
            Ok(())
        })?;
        if head.status != 200 {
            return Err(self.status_error(head, target, &body));
        }
        if !whole {
            return Err(self.bad_bytes(BadBytes::TooLong(LONGEST_BODY), target));
        }
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {}
            None => return Err(self.bad_bytes(BadBytes::Cut(0), target)),
            Some(_) => return Err(self.bad_bytes(BadBytes::NotJson(shown(&body)), target)),
        }
        let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(|source| {
            if source.is_eof() {
                self.bad_bytes(BadBytes::Cut(body.len() as u64), target)
            } else {
                self.json(target, source)
            }
        })?;
        if let Some(error) = envelope.errors.first() {
            return Err(self.said(target, error.said()));
        }
        Ok(body)
    }

    fn json(&self, target: &str, source: serde_json::Error) -> SlurmError {
        SlurmError::Json {
            place: self.api.place(),
            target: target.to_owned(),
            source,
        }
    }

    fn bad_bytes(&self, bad: BadBytes, target: &str) -> SlurmError {
        let (place, target) = (self.api.place(), target.to_owned());
        match bad {
            BadBytes::NotJson(begin) => SlurmError::NotJson { place, target, begin },
            BadBytes::Cut(bytes) => SlurmError::Cut { place, target, bytes },
            BadBytes::TooLong(most) => SlurmError::Odd {
                place,
                target,
                what: format!("a part longer than {most} bytes"),
            },
            BadBytes::NotObjects => SlurmError::Odd {
                place,
                target,
                what: "a list of something else than objects".to_owned(),
            },
        }
    }

    fn said(&self, target: &str, said: String) -> SlurmError {
        if is_authentication(&said) {
            return self.refused(said);
        }
        SlurmError::Said {
            place: self.api.place(),
            target: target.to_owned(),
            said,
        }
    }

    fn refused(&self, said: String) -> SlurmError {
        SlurmError::Refused {
            place: self.api.place(),
            user: self.api.user(),
            said,
        }
    }

    /// What a status other than 200 means.
    fn status_error(&self, head: Head, target: &str, body: &[u8]) -> SlurmError {
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(body).ok();
        let said = envelope
            .and_then(|envelope| envelope.errors.first().map(|error| error.said()))
            .unwrap_or_else(|| shown(body));
        let (place, target) = (self.api.place(), target.to_owned());
        match head.status {
            401 | 403 | 407 | 511 => self.refused(format!("status {}: {said}", head.status)),
            500 if is_authentication(&said) => self.refused(format!("status 500: {said}")),
            // 22.05's answer to a token it does not accept.
            500 if said.contains("(error -1)") => SlurmError::Unspecified {
                place,
                target,
                user: self.api.user(),
                said,
            },
            408 | 425 | 429 | 500..=599 => SlurmError::Busy {
                place,
                target,
                status: head.status,
                said,
                retry_after: head.retry_after,
            },
            status => SlurmError::Status {
                place,
                target,
                status,
                said,
            },
        }
    }
}

fn with_update_time(target: &str, at: i64) -> String {
    match at {
        0 => target.to_owned(),
        at => format!("{target}?update_time={at}"),
    }
}

fn cluster_of(item: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Cluster<'a> {
        #[serde(borrow, default)]
        cluster: super::value::Text<'a>,
    }
    serde_json::from_slice::<Cluster<'_>>(item)
        .map(|found| job::short(found.cluster.get()).to_owned())
        .unwrap_or_default()
}

/// Slurm's words for credentials it does not like.
fn is_authentication(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    [
        "authentication",
        "credential",
        "error 1007",
        "unauthorized",
        "access/permission denied",
    ]
    .iter()
    .any(|word| said.contains(word))
}

fn no_change(body: &[u8]) -> bool {
    let envelope: Option<Envelope<'_>> = serde_json::from_slice(body).ok();
    envelope.is_some_and(|envelope| envelope.errors.iter().any(|error| error.is_no_change()))
}

/// Keeps up to `most` bytes; answers whether all of them fitted.
fn keep(kept: &mut Vec<u8>, chunk: &[u8], most: usize) -> bool {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    chunk.len() <= room
}

/// The beginning of a body, in one line.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..4 * SHOWN).unwrap_or(body));
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    match text.chars().take(SHOWN).collect::<String>() {
        text if text.is_empty() => "nothing said".to_owned(),
        text => text,
    }
}

/// Finds the paths of slurmrestd in its description, which is megabytes long, without keeping it.
#[derive(Debug, Default)]
struct PathScan {
    /// The string that is being read; absent between strings and in those that are no path.
    word: Option<Vec<u8>>,
    in_string: bool,
    escaped: bool,
    found: Vec<String>,
}

impl PathScan {
    fn push(&mut self, chunk: &[u8]) {
        for byte in chunk {
            if !self.in_string {
                if *byte == b'"' {
                    self.in_string = true;
                    self.word = Some(Vec::new());
                }
                continue;
            }
            match byte {
                b'\\' if !self.escaped => self.escaped = true,
                b'"' if !self.escaped => {
                    self.in_string = false;
                    self.end();
                }
                byte => {
                    self.escaped = false;
                    if let Some(word) = &mut self.word {
                        word.push(*byte);
                        if (word.len() == 1 && *byte != b'/') || word.len() > 64 {
                            self.word = None;
                        }
                    }
                }
            }
        }
    }

    fn end(&mut self) {
        let Some(word) = self.word.take().and_then(|word| String::from_utf8(word).ok()) else {
            return;
        };
        let path = word.trim_end_matches('/');
        let wanted = path.starts_with("/slurm/v") || path.starts_with("/slurmdb/v");
        if wanted && self.found.len() < 1000 && !self.found.iter().any(|known| known == path) {
            self.found.push(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
