//! The collector of DS01's series: who has which GPU, how many containers there are, what happened in the last day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, ds01};
use podscope_model::event::{Event, EventKind, EventSink};

use super::allocation::{Allocation, Target, target, target_of, targets};
use super::book::ContainerBook;
use super::gpu_processes::PATIENCE;
use super::state_file::{StateFile, mapped_jobs};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::gpu::{GpuPlace, GpuProcesses};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "ds01",
    job: Job::Ds01,
    interval_ms: 5000,
    metrics: ds01::ALL,
    touches: &[
        "/var/run/docker.sock",
        "/proc/PID/cgroup",
        "/etc/passwd",
        "/etc/group",
        "gpu-state.json",
    ],
};

/// Allocations with series at the same time.
const MOST: usize = 512;
/// An allocation is believed when it was seen so often in a row: what comes and goes within seconds makes no series.
const SEEN: u32 = 3;
/// A day in quarters of an hour.
const QUARTERS: usize = 96;
const QUARTER_MS: i64 = 900_000;
const UNKNOWN: &str = "unknown";
const SOURCE: &str = "ds01";

/// How often something happened in each quarter of an hour of the last day.
#[derive(Debug)]
struct Day {
    counts: [u32; QUARTERS],
    /// The quarter counted in last, since 1970.
    quarter: i64,
}

impl Day {
    fn new(now_ms: i64) -> Self {
        Self {
            counts: [0; QUARTERS],
            quarter: now_ms.div_euclid(QUARTER_MS),
        }
    }

    fn go_to(&mut self, now_ms: i64) {
        let now = now_ms.div_euclid(QUARTER_MS);
        let passed = usize::try_from(now - self.quarter).unwrap_or(0).min(QUARTERS);
        for step in 1..=passed {
            let at = (self.quarter + step as i64).rem_euclid(QUARTERS as i64);
            self.counts[at as usize] = 0;
        }
        self.quarter = self.quarter.max(now);
    }

    fn add(&mut self, now_ms: i64, count: u32) {
        self.go_to(now_ms);
        self.counts[self.quarter.rem_euclid(QUARTERS as i64) as usize] += count;
    }

    fn sum(&mut self, now_ms: i64) -> u64 {
        self.go_to(now_ms);
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }
}

/// An allocation that is held, or seen for the first times.
#[derive(Debug)]
struct Held {
    since_ms: i64,
    seen: u32,
    round: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Ds01Collector {
    book: ContainerBook,
    fs: Arc<dyn HostFs>,
    gpus: GpuProcesses,
    events: Arc<dyn EventSink>,
    state: StateFile,
    held: BTreeMap<Allocation, Held>,
    running: Option<BTreeSet<String>>,
    days: BTreeMap<&'static str, Day>,
    round: u64,
    problems: Problems,
}

impl Ds01Collector {
    pub fn new(book: ContainerBook, gpus: GpuProcesses, events: Arc<dyn EventSink>) -> Self {
        Self {
            fs: Arc::clone(book.fs()),
            book,
            gpus,
            events,
            state: StateFile::default(),
            held: BTreeMap::new(),
            running: None,
            days: BTreeMap::new(),
            round: 0,
            problems: Problems::default(),
        }
    }

    fn count(&mut self, what: &'static str, now_ms: i64, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.days
            .entry(what)
            .or_insert_with(|| Day::new(now_ms))
            .add(now_ms, count);
    }

    /// Everything any source says somebody has, once for each container.
    fn allocations(&mut self, places: &[GpuPlace]) -> BTreeSet<Allocation> {
        let mut list: BTreeMap<(Target, String, String), Allocation> = BTreeMap::new();
        let mut add = |(gpu, instance): Target, allocation: Allocation| {
            let key = (
                (gpu, instance),
                allocation.container.clone(),
                allocation.job.clone(),
            );
            list.entry(key).or_insert(Allocation {
                gpu,
                instance,
                ..allocation
            });
        };
        let all = self.book.all();
        for (engine, container) in all.iter().filter(|(engine, _)| engine.running) {
            for place in targets(&engine.gpus, places) {
                add(
                    place,
                    of_container(&container.name, &container.user, &container.interface),
                );
            }
        }
        for process in self.gpus.table().processes {
            let who = self.book.of_process(process.pid);
            // A process outside of containers has its GPU too: under its user's name alone.
            let known = all.iter().find(|(_, container)| container.name == who.container);
            let interface = match known {
                Some((_, container)) => container.interface.as_str(),
                None if who.container.starts_with("job_") => "slurm",
                None => "other",
            };
            add(
                target_of(&process),
                of_container(&who.container, &who.user, interface),
            );
        }
        if let Some(path) = self.book.config().state_file.clone() {
            let (slots, problem) = self.state.read(&*self.fs, &path);
            for slot in slots {
                let mut found = target(&slot.uuid, places);
                if found.is_empty() {
                    found = target(&slot.slot, places);
                }
                for place in found {
                    for (at, name) in slot.containers.iter().enumerate() {
                        let known = all.iter().find(|(_, container)| container.name == *name);
                        let user = slot.users.get(at).or_else(|| slot.users.first());
                        let mut allocation = match known {
                            Some((_, container)) => of_container(name, &container.user, &container.interface),
                            None => of_container(name, "", "other"),
                        };
                        if allocation.user == UNKNOWN
                            && let Some(user) = user
                        {
                            allocation.user.clone_from(user);
                        }
                        add(place, allocation);
                    }
                }
            }
            if let Some(reason) = problem {
                self.problems.push(CollectError::Vendor {
                    what: path.display().to_string(),
                    reason,
                });
            }
        }
        if let Some(folder) = &self.book.config().job_mapping_dir {
            match mapped_jobs(&*self.fs, folder) {
                Ok(jobs) => {
                    for (slot, jobs) in jobs {
                        for place in target(&slot, places) {
                            for job in &jobs {
                                let mut allocation = of_container("", "", "slurm");
                                allocation.job.clone_from(job);
                                add(place, allocation);
                            }
                        }
                    }
                }
                Err(error) => self
                    .problems
                    .push(CollectError::read(&folder.display().to_string(), error)),
            }
        }
        list.into_values().collect()
    }

    /// Takes over what is held now, and tells what was given and taken.
    fn hold(&mut self, now: BTreeSet<Allocation>, now_ms: i64) {
        let first = self.round == 1;
        let mut given = 0;
        for allocation in now {
            let held = self.held.entry(allocation).or_insert(Held {
                since_ms: now_ms,
                // What was held before the agent looked is believed at once.
                seen: if first { SEEN } else { 0 },
                round: 0,
            });
            held.round = self.round;
            held.seen = held.seen.saturating_add(1);
            given += usize::from(held.seen == SEEN && !first);
        }
        self.count("gpu.allocated", now_ms, given);
        let round = self.round;
        let mut taken = 0;
        let mut gone = Vec::new();
        self.held.retain(|allocation, held| {
            if held.round == round {
                return true;
            }
            if held.seen >= SEEN {
                taken += 1;
                gone.push((allocation.clone(), held.since_ms));
            }
            false
        });
        self.count("gpu.released", now_ms, taken);
        for (allocation, since_ms) in gone.into_iter().take(MOST) {
            let who = if allocation.container.is_empty() {
                &allocation.user
            } else {
                &allocation.container
            };
            let hours = (now_ms - since_ms) as f64 / 3_600_000.0;
            let event = Event::new(
                EventKind::Job,
                SOURCE,
                format!("GPU {} released by {who} after {hours:.1} h", allocation.slot()),
                since_ms,
            )
            .key(format!(
                "{}/{}/{}",
                allocation.slot(),
                allocation.container,
                allocation.job
            ))
            .label("what", "gpu.released")
            .label("gpu", &allocation.gpu.to_string())
            .label(
                "GPU_I_ID",
                &allocation.instance.map_or(String::new(), |id| id.to_string()),
            )
            .label("container", &allocation.container)
            .label("user", &allocation.user)
            .label("interface", &allocation.interface)
            .until(now_ms);
            self.events.emit(event);
        }
    }

    /// Writes the allocations; answers each user's, in MIG instances.
    fn write_allocations(&self, row: &mut Row) -> BTreeMap<String, f64> {
        let equivalents = f64::from(self.book.config().mig_equivalents);
        let mut users: BTreeMap<String, BTreeSet<Target>> = BTreeMap::new();
        let believed = self.held.iter().filter(|(_, held)| held.seen >= SEEN);
        let mut left_out = 0.0;
        for (at, (allocation, _)) in believed.enumerate() {
            let target = (allocation.gpu, allocation.instance);
            users.entry(allocation.user.clone()).or_default().insert(target);
            if at >= MOST {
                left_out += 1.0;
                continue;
            }
            let (slot, gpu) = (allocation.slot(), allocation.gpu.to_string());
            let instance = allocation.instance.map_or(String::new(), |id| id.to_string());
            let labels = [
                ("gpu_slot", slot.as_str()),
                ("container", allocation.container.as_str()),
                ("user", allocation.user.as_str()),
                ("interface", allocation.interface.as_str()),
                ("gpu", gpu.as_str()),
                ("GPU_I_ID", instance.as_str()),
                ("hpc_job", allocation.job.as_str()),
            ];
            row.set(&ds01::GPU_ALLOCATED, &labels, 1.0);
        }
        row.set(&ds01::ALLOCATIONS_LEFT_OUT, &[], left_out);
        let sum = |targets: BTreeSet<Target>| {
            targets
                .iter()
                .map(|(_, slice)| if slice.is_some() { 1.0 } else { equivalents })
                .sum()
        };
        users
            .into_iter()
            .map(|(user, targets)| (user, sum(targets)))
            .collect()
    }
}

fn of_container(container: &str, user: &str, interface: &str) -> Allocation {
    Allocation {
        container: container.to_owned(),
        user: if user.is_empty() { UNKNOWN } else { user }.to_owned(),
        interface: interface.to_owned(),
        ..Allocation::default()
    }
}

impl Collector for Ds01Collector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        let config = self.book.config();
        let asked = self.book.engines().iter().any(|engine| engine.error.is_none());
        let files = config.state_file.is_some() || config.job_mapping_dir.is_some();
        if asked || files || self.gpus.were_read(PATIENCE) {
            return Support::Present;
        }
        Support::NotPresent("neither a container engine nor a GPU nor a state file".to_owned())
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        self.round += 1;
        let now = self.fs.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let places = self.gpus.table().gpus;
        let allocations = self.allocations(&places);
        self.hold(allocations, now_ms);
        let allocated = self.write_allocations(row);

        let mut containers: BTreeMap<(&str, String), f64> = BTreeMap::new();
        let mut users: BTreeMap<String, f64> = BTreeMap::new();
        let mut running = BTreeSet::new();
        for (engine, container) in self.book.all() {
            let status = if engine.running { "running" } else { "stopped" };
            *containers.entry((status, container.interface)).or_default() += 1.0;
            if engine.running {
                running.insert(engine.id);
                if !container.user.is_empty() {
                    *users.entry(container.user).or_default() += 1.0;
                }
            }
        }
        for ((status, interface), count) in &containers {
            let labels = [("status", *status), ("interface", interface.as_str())];
            row.set(&ds01::CONTAINERS, &labels, *count);
        }
        for (user, count) in &users {
            row.set(&ds01::USER_CONTAINERS, &[("user", user)], *count);
        }
        for (user, count) in &allocated {
            row.set(&ds01::USER_MIG_ALLOCATED, &[("user", user)], *count);
        }
        let people: BTreeSet<&String> = users.keys().chain(allocated.keys()).collect();
        for user in people {
            for group in self.book.groups_of(user) {
                row.set(&ds01::USER_GROUP_INFO, &[("user", user), ("group", &group)], 1.0);
            }
        }
        if let Some(before) = &self.running {
            let (started, stopped) = (
                running.difference(before).count(),
                before.difference(&running).count(),
            );
            self.count("container.started", now_ms, started);
            self.count("container.stopped", now_ms, stopped);
        } else {
            // None is known to have happened: that is 0, and from now on it counts.
            for what in ["container.started", "container.stopped"] {
                self.count(what, now_ms, 0);
            }
        }
        self.running = Some(running);
        for (what, day) in &mut self.days {
            row.set(&ds01::EVENTS_24H, &[("event_type", what)], day.sum(now_ms) as f64);
        }
        let folder = self
            .book
            .config()
            .state_file
            .as_ref()
            .and_then(|path| path.parent());
        if let Some(folder) = folder
            && let Ok(stat) = self.fs.statvfs(&folder.to_string_lossy())
        {
            let bytes = |blocks: u64| blocks as f64 * stat.block_size as f64;
            for (kind, value) in [
                ("total", bytes(stat.blocks)),
                ("free", bytes(stat.blocks_available)),
                ("used", bytes(stat.blocks.saturating_sub(stat.blocks_free))),
            ] {
                row.set(&ds01::STATE_DISK, &[("type", kind)], value);
            }
        }
        let info = [("version", env!("CARGO_PKG_VERSION")), ("type", "podscope")];
        row.set(&ds01::EXPORTER_INFO, &info, 1.0);
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_forgets_what_is_older_than_it() {
        let start = 1_700_000_000_000;
        let mut day = Day::new(start);
        day.add(start, 5);
        day.add(start + 3_600_000, 2);
        assert_eq!(day.sum(start + 7_200_000), 7);
        assert_eq!(day.sum(start + 24 * 3_600_000), 2, "the first hour is over");
        assert_eq!(day.sum(start + 26 * 3_600_000), 0);
        day.add(start + 26 * 3_600_000, 1);
        assert_eq!(day.sum(start + 1_000 * 3_600_000), 0, "a long sleep");
    }
}
