//! The collector of containers' counters, under cAdvisor's names, every five seconds.
//!
//! A container gets series once it has run for a while; how short-lived ones fared is told in one event each. So the number
//! of series follows what runs at the same time, not what runs in an hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, container};
use podscope_model::event::{Event, EventKind, EventSink, Severity};

use super::book::{Container, ContainerBook, EngineWatch};
use super::cgroup::{GroupId, Hierarchy, find_groups};
use super::engine::Engine;
use super::stats::{GroupReader, GroupStats, network};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "containers",
    job: Job::Containers,
    interval_ms: 5000,
    metrics: container::ALL,
    touches: &[
        "/sys/fs/cgroup",
        "/proc/PID/net/dev",
        "/proc/PID/loginuid",
        "/var/run/docker.sock",
    ],
};

/// Collections after which limits are read again.
const LIMITS_EVERY: u64 = 12;
/// Containers followed at the same time, with series or without.
const MOST_FOLLOWED: usize = 4096;
/// Events told in a minute; the others are counted.
const MOST_EVENTS: u32 = 600;
const SOURCE: &str = "containers";

/// A container that runs.
#[derive(Debug)]
struct Followed {
    group: GroupId,
    first_ms: i64,
    /// It ran before the agent looked for the first time.
    before_us: bool,
    first_pid: Option<u32>,
    stats: GroupStats,
    peak_memory: f64,
    container: Container,
    /// Its start was told: its end has to be, under the same key.
    told: bool,
    seen: u64,
}

impl Followed {
    fn event(&self, title: String) -> Event {
        let Container {
            name,
            image,
            user,
            interface,
            id,
            ..
        } = &self.container;
        Event::new(EventKind::Job, SOURCE, title, self.first_ms)
            .key(id.clone())
            .label("container", name)
            .label("container_id", id.get(..12).unwrap_or(id))
            .label("image", image)
            .label("user", user)
            .label("interface", interface)
            .label("runtime", self.group.runtime.as_str())
            .label("pod_uid", self.group.pod.as_deref().unwrap_or_default())
    }
}

/// See the module.
#[derive(Debug)]
pub struct ContainerCollector {
    book: ContainerBook,
    fs: Arc<dyn HostFs>,
    events: Arc<dyn EventSink>,
    hierarchy: Option<Hierarchy>,
    reader: GroupReader,
    followed: BTreeMap<String, Followed>,
    round: u64,
    started: u64,
    ended: u64,
    /// Start of the running minute, and the events told in it.
    minute: (i64, u32),
    events_left_out: u64,
    problems: Problems,
    buffer: Vec<u8>,
    /// Kept for as long as somebody collects.
    _engines: Option<EngineWatch>,
    /// An engine that answers at once, asked with every collection.
    own_engine: Vec<Box<dyn Engine>>,
}

impl ContainerCollector {
    pub fn new(book: ContainerBook, events: Arc<dyn EventSink>) -> Self {
        Self {
            fs: Arc::clone(book.fs()),
            book,
            events,
            hierarchy: None,
            reader: GroupReader::new(Hierarchy::V2),
            followed: BTreeMap::new(),
            round: 0,
            started: 0,
            ended: 0,
            minute: (0, 0),
            events_left_out: 0,
            problems: Problems::default(),
            buffer: Vec::new(),
            _engines: None,
            own_engine: Vec::new(),
        }
    }

    /// Asks an engine that answers at once, as a simulated one does, with every collection.
    #[must_use]
    pub fn asking_itself(mut self, engine: Box<dyn Engine>) -> Self {
        self.own_engine.push(engine);
        self
    }

    /// Lets the engines be asked for as long as this collects.
    #[must_use]
    pub fn asking(mut self, engines: EngineWatch) -> Self {
        self._engines = Some(engines);
        self
    }

    fn tell(&mut self, event: Event, now_ms: i64) {
        if !(0..60_000).contains(&(now_ms - self.minute.0)) {
            self.minute = (now_ms, 0);
        }
        if self.minute.1 >= MOST_EVENTS {
            self.events_left_out += 1;
            return;
        }
        self.minute.1 += 1;
        self.events.emit(event);
    }

    fn follow(&mut self, groups: Vec<GroupId>, now_ms: i64) {
        let series_after = i64::try_from(self.book.config().series_after.as_millis()).unwrap_or(i64::MAX);
        for group in groups {
            if let Some(known) = self.followed.get_mut(&group.path) {
                known.seen = self.round;
                continue;
            }
            self.started += u64::from(self.round > 1);
            let first_pid = self.reader.first_pid(&*self.fs, &group.path);
            let container = self.book.container(&group, first_pid);
            let followed = Followed {
                first_ms: now_ms,
                before_us: self.round == 1,
                first_pid,
                stats: GroupStats::default(),
                peak_memory: 0.0,
                container,
                told: false,
                seen: self.round,
                group,
            };
            self.followed.insert(followed.group.path.clone(), followed);
        }
        let round = self.round;
        let gone: Vec<String> = self
            .followed
            .iter()
            .filter(|(_, one)| one.seen != round)
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            let Some(one) = self.followed.remove(&path) else {
                continue;
            };
            for folder in self.reader.folders(&path) {
                self.fs.close_below(&folder);
            }
            if let Some(pid) = one.first_pid {
                self.fs.close_below(&format!("/proc/{pid}"));
            }
            self.ended += 1;
            if one.told || !one.before_us {
                let event = ended_event(&one, now_ms);
                self.tell(event, now_ms);
            }
        }
        // The long-lived are told while they run.
        let due: Vec<Event> = self
            .followed
            .values_mut()
            .filter(|one| !one.told && !one.before_us && now_ms - one.first_ms >= series_after)
            .map(|one| {
                one.told = true;
                let name = one.container.name.clone();
                one.event(format!("container {name} runs"))
                    .label("what", "container.started")
                    .still_open()
            })
            .collect();
        for event in due {
            self.tell(event, now_ms);
        }
    }

    fn write(&mut self, row: &mut Row, now_ms: i64) -> usize {
        let (series_after, most) = (self.book.config().series_after, self.book.config().most);
        let limits = self.round % LIMITS_EVERY == 1;
        let mut written = 0;
        for one in self.followed.values_mut() {
            let first = one.stats == GroupStats::default();
            match self
                .reader
                .read(&*self.fs, &one.group.path, limits || first, &one.stats)
            {
                Ok(stats) => one.stats = stats,
                // It ended between the two looks; the next one tells.
                Err(_) => continue,
            }
            one.peak_memory = one.peak_memory.max(one.stats.memory.unwrap_or(0.0));
            one.container = self.book.container(&one.group, one.first_pid);
            let age = Duration::from_millis(u64::try_from(now_ms - one.first_ms).unwrap_or(0));
            if !one.before_us && age < series_after {
                continue;
            }
            written += 1;
            if written > most {
                continue;
            }
            write_stats(one, row);
            if !one.container.host_network
                && let Some(pid) = one.first_pid
                && self
                    .fs
                    .read_hot(&format!("/proc/{pid}/net/dev"), &mut self.buffer)
                    .is_ok()
            {
                write_network(one, &String::from_utf8_lossy(&self.buffer), row);
            }
        }
        written.saturating_sub(most)
    }
}

fn ended_event(one: &Followed, now_ms: i64) -> Event {
    let seconds = (now_ms - one.first_ms) as f64 / 1000.0;
    let text = format!(
        "ran {seconds:.0} s, used {:.1} s of CPU, {:.0} MiB of memory at most",
        one.stats.cpu.unwrap_or(0.0),
        one.peak_memory / 1_048_576.0
    );
    let killed = one.stats.oom_kills.is_some_and(|kills| kills > 0.0);
    let severity = if killed { Severity::Warning } else { Severity::Info };
    let mut event = one
        .event(format!("container {} ended", one.container.name))
        .severity(severity)
        .label("what", "container.stopped")
        .text(text)
        .until(now_ms);
    if killed {
        event = event.label("oom_killed", "true");
    }
    event
}

type ContainerLabels<'a> = [(&'static str, &'a str); 5];

fn labels_of(container: &Container) -> ContainerLabels<'_> {
    [
        ("id", container.id.get(..12).unwrap_or(&container.id)),
        ("name", &container.name),
        ("image", &container.image),
        ("user", &container.user),
        ("interface", ""),
    ]
}

fn write_stats(one: &Followed, row: &mut Row) {
    let labels = labels_of(&one.container);
    let stats = &one.stats;
    for (def, value) in [
        (&container::CONTAINER_CPU_USAGE, stats.cpu),
        (&container::CONTAINER_CPU_USER, stats.cpu_user),
        (&container::CONTAINER_CPU_SYSTEM, stats.cpu_system),
        (&container::CONTAINER_CPU_THROTTLED, stats.throttled),
        (&container::CONTAINER_CPU_LIMIT, stats.cpu_limit),
        (&container::CONTAINER_MEMORY_USAGE, stats.memory),
        (&container::CONTAINER_MEMORY_WORKING_SET, stats.working_set),
        (&container::CONTAINER_MEMORY_RSS, stats.rss),
        (&container::CONTAINER_MEMORY_CACHE, stats.cache),
        (&container::CONTAINER_MEMORY_LIMIT, stats.memory_limit),
        (&container::CONTAINER_OOM_EVENTS, stats.oom_kills),
        (&container::CONTAINER_FS_READS, stats.read),
        (&container::CONTAINER_FS_WRITES, stats.written),
        (&container::CONTAINER_PROCESSES, stats.processes),
        (&container::CONTAINER_PROCESS_LIMIT, stats.process_limit),
    ] {
        if let Some(value) = value {
            row.set(def, &labels, value);
        }
    }
}

fn write_network(one: &Followed, text: &str, row: &mut Row) {
    for (device, received, sent) in network(text) {
        let mut labels = labels_of(&one.container);
        labels[4].1 = device;
        row.set(&container::CONTAINER_NETWORK_RECEIVE, &labels, received);
        row.set(&container::CONTAINER_NETWORK_TRANSMIT, &labels, sent);
    }
}

impl Collector for ContainerCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match Hierarchy::of(&*self.fs) {
            Some(hierarchy) => {
                if self.hierarchy != Some(hierarchy) {
                    self.hierarchy = Some(hierarchy);
                    self.reader = GroupReader::new(hierarchy);
                }
                Support::Present
            }
            None => Support::NotPresent("no control groups below /sys/fs/cgroup".to_owned()),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let Some(hierarchy) = self.hierarchy else {
            return Err(CollectError::read(
                "/sys/fs/cgroup",
                std::io::ErrorKind::NotFound.into(),
            ));
        };
        self.problems.clear();
        if !self.own_engine.is_empty() {
            self.book.refresh(&mut self.own_engine);
        }
        self.round += 1;
        let now = self.fs.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let (groups, beyond) = find_groups(&*self.fs, hierarchy, MOST_FOLLOWED);
        self.follow(groups, now_ms);
        let left_out = self.write(row, now_ms) + beyond;
        row.set(
            &container::CONTAINERS_RUNNING,
            &[],
            (self.followed.len() + beyond) as f64,
        );
        row.set(&container::CONTAINERS_LEFT_OUT, &[], left_out as f64);
        row.set(&container::CONTAINERS_STARTED, &[], self.started as f64);
        row.set(&container::CONTAINERS_ENDED, &[], self.ended as f64);
        row.set(
            &container::CONTAINER_EVENTS_LEFT_OUT,
            &[],
            self.events_left_out as f64,
        );
        for engine in self.book.engines() {
            let labels = [("engine", engine.place.as_str())];
            row.set(
                &container::CONTAINER_ENGINE_UP,
                &labels,
                f64::from(u8::from(engine.error.is_none())),
            );
            if let Some(error) = engine.error {
                self.problems.push(CollectError::Vendor {
                    what: engine.place,
                    reason: error,
                });
            }
        }
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
