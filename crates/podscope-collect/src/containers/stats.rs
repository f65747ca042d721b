//! The counters of one control group, of either version.

use crate::error::CollectError;
use crate::fs::HostFs;

use super::cgroup::{Hierarchy, ROOT};

/// A limit as good as none: version 1 has the largest multiple of a page for "unlimited".
const UNLIMITED: f64 = 1e18;
/// The kernel's user ticks in version 1's `cpuacct.stat`.
const TICKS: f64 = 100.0;

/// What a group used since it was made, and what it may; `None` where the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GroupStats {
    /// Seconds.
    pub(super) cpu: Option<f64>,
    pub(super) cpu_user: Option<f64>,
    pub(super) cpu_system: Option<f64>,
    /// Seconds in which it was held back by its limit.
    pub(super) throttled: Option<f64>,
    /// CPUs it may use.
    pub(super) cpu_limit: Option<f64>,
    /// Bytes.
    pub(super) memory: Option<f64>,
    pub(super) working_set: Option<f64>,
    pub(super) rss: Option<f64>,
    pub(super) cache: Option<f64>,
    pub(super) memory_limit: Option<f64>,
    pub(super) oom_kills: Option<f64>,
    pub(super) read: Option<f64>,
    pub(super) written: Option<f64>,
    pub(super) processes: Option<f64>,
    pub(super) process_limit: Option<f64>,
}

/// Reads groups; keeps its buffers.
#[derive(Debug)]
pub(super) struct GroupReader {
    hierarchy: Hierarchy,
    buffer: Vec<u8>,
    path: String,
}

impl GroupReader {
    pub(super) fn new(hierarchy: Hierarchy) -> Self {
        Self {
            hierarchy,
            buffer: Vec::new(),
            path: String::new(),
        }
    }

    /// The text of a file of the group; `None` where it is not there.
    fn text(&mut self, fs: &dyn HostFs, controller: &str, group: &str, file: &str) -> Option<&str> {
        self.path.clear();
        self.path.push_str(ROOT);
        if self.hierarchy == Hierarchy::V1 {
            self.path.push('/');
            self.path.push_str(controller);
        }
        for part in [group, "/", file] {
            self.path.push_str(part);
        }
        fs.read_hot(&self.path, &mut self.buffer).ok()?;
        std::str::from_utf8(&self.buffer).ok()
    }

    fn number(&mut self, fs: &dyn HostFs, controller: &str, group: &str, file: &str) -> Option<f64> {
        let value: f64 = self.text(fs, controller, group, file)?.trim().parse().ok()?;
        (value < UNLIMITED).then_some(value)
    }

    /// Reads a group. `limits`: what seldom changes, too; else it is taken over from `before`.
    ///
    /// # Errors
    ///
    /// When the group is gone.
    pub(super) fn read(
        &mut self,
        fs: &dyn HostFs,
        group: &str,
        limits: bool,
        before: &GroupStats,
    ) -> Result<GroupStats, CollectError> {
        let mut stats = GroupStats {
            cpu_limit: before.cpu_limit,
            memory_limit: before.memory_limit,
            process_limit: before.process_limit,
            ..GroupStats::default()
        };
        match self.hierarchy {
            Hierarchy::V2 => self.read_v2(fs, group, limits, &mut stats),
            Hierarchy::V1 => self.read_v1(fs, group, limits, &mut stats),
        }
        if stats.cpu.is_none() && stats.memory.is_none() {
            return Err(CollectError::read(
                &self.path,
                std::io::ErrorKind::NotFound.into(),
            ));
        }
        Ok(stats)
    }

    fn read_v2(&mut self, fs: &dyn HostFs, group: &str, limits: bool, stats: &mut GroupStats) {
        if let Some(text) = self.text(fs, "", group, "cpu.stat") {
            for (name, value) in pairs(text) {
                let seconds = Some(value / 1e6);
                match name {
                    "usage_usec" => stats.cpu = seconds,
                    "user_usec" => stats.cpu_user = seconds,
                    "system_usec" => stats.cpu_system = seconds,
                    "throttled_usec" => stats.throttled = seconds,
                    _ => {}
                }
            }
        }
        stats.memory = self.number(fs, "", group, "memory.current");
        let mut inactive = None;
        if let Some(text) = self.text(fs, "", group, "memory.stat") {
            for (name, value) in pairs(text) {
                match name {
                    "anon" => stats.rss = Some(value),
                    "file" => stats.cache = Some(value),
                    "inactive_file" => inactive = Some(value),
                    _ => {}
                }
            }
        }
        stats.working_set = working_set(stats.memory, inactive);
        if let Some(text) = self.text(fs, "", group, "memory.events") {
            stats.oom_kills = pairs(text)
                .find(|(name, _)| *name == "oom_kill")
                .map(|(_, value)| value);
        }
        if let Some(text) = self.text(fs, "", group, "io.stat") {
            let (mut read, mut written) = (0.0, 0.0);
            for word in text.split_ascii_whitespace() {
                if let Some(bytes) = word
                    .strip_prefix("rbytes=")
                    .and_then(|text| text.parse::<f64>().ok())
                {
                    read += bytes;
                }
                if let Some(bytes) = word
                    .strip_prefix("wbytes=")
                    .and_then(|text| text.parse::<f64>().ok())
                {
                    written += bytes;
                }
            }
            (stats.read, stats.written) = (Some(read), Some(written));
        }
        stats.processes = self.number(fs, "", group, "pids.current");
        if limits {
            // `max` is no number, and so no limit.
            stats.memory_limit = self.number(fs, "", group, "memory.max");
            stats.process_limit = self.number(fs, "", group, "pids.max");
            stats.cpu_limit = self.text(fs, "", group, "cpu.max").and_then(quota);
        }
    }

    fn read_v1(&mut self, fs: &dyn HostFs, group: &str, limits: bool, stats: &mut GroupStats) {
        stats.cpu = self
            .number(fs, "cpuacct", group, "cpuacct.usage")
            .map(|nanoseconds| nanoseconds / 1e9);
        if let Some(text) = self.text(fs, "cpuacct", group, "cpuacct.stat") {
            for (name, value) in pairs(text) {
                match name {
                    "user" => stats.cpu_user = Some(value / TICKS),
                    "system" => stats.cpu_system = Some(value / TICKS),
                    _ => {}
                }
            }
        }
        if let Some(text) = self.text(fs, "cpu", group, "cpu.stat") {
            let held = pairs(text).find(|(name, _)| *name == "throttled_time");
            stats.throttled = held.map(|(_, nanoseconds)| nanoseconds / 1e9);
        }
        stats.memory = self.number(fs, "memory", group, "memory.usage_in_bytes");
        let mut inactive = None;
        if let Some(text) = self.text(fs, "memory", group, "memory.stat") {
            for (name, value) in pairs(text) {
                match name {
                    "total_rss" => stats.rss = Some(value),
                    "total_cache" => stats.cache = Some(value),
                    "total_inactive_file" => inactive = Some(value),
                    _ => {}
                }
            }
        }
        stats.working_set = working_set(stats.memory, inactive);
        if let Some(text) = self.text(fs, "memory", group, "memory.oom_control") {
            stats.oom_kills = pairs(text)
                .find(|(name, _)| *name == "oom_kill")
                .map(|(_, value)| value);
        }
        if let Some(text) = self.text(fs, "blkio", group, "blkio.throttle.io_service_bytes") {
            let sum = |kind: &str| {
                let values = text.lines().filter_map(|line| {
                    let mut words = line.split_ascii_whitespace();
                    let (_, name, value) = (words.next()?, words.next()?, words.next()?);
                    (name == kind).then(|| value.parse::<f64>().ok())?
                });
                values.sum::<f64>()
            };
            (stats.read, stats.written) = (Some(sum("Read")), Some(sum("Write")));
        }
        stats.processes = self.number(fs, "pids", group, "pids.current");
        if limits {
            stats.memory_limit = self.number(fs, "memory", group, "memory.limit_in_bytes");
            stats.process_limit = self.number(fs, "pids", group, "pids.max");
            let quota = self
                .number(fs, "cpu", group, "cpu.cfs_quota_us")
                .filter(|quota| *quota > 0.0);
            let period = self
                .number(fs, "cpu", group, "cpu.cfs_period_us")
                .filter(|period| *period > 0.0);
            stats.cpu_limit = quota.zip(period).map(|(quota, period)| quota / period);
        }
    }

    /// A process of the group, where it has one.
    pub(super) fn first_pid(&mut self, fs: &dyn HostFs, group: &str) -> Option<u32> {
        let text = self.text(fs, "memory", group, "cgroup.procs")?;
        text.lines().find_map(|line| line.parse().ok())
    }

    /// The folders in which the group's files lie.
    pub(super) fn folders(&self, group: &str) -> Vec<String> {
        match self.hierarchy {
            Hierarchy::V2 => vec![format!("{ROOT}{group}")],
            Hierarchy::V1 => ["memory", "cpu", "cpuacct", "blkio", "pids"]
                .map(|controller| format!("{ROOT}/{controller}{group}"))
                .to_vec(),
        }
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, value.trim().parse().ok()?))
    })
}

/// What cannot be taken back without harm: all but the files nobody used of late.
fn working_set(memory: Option<f64>, inactive: Option<f64>) -> Option<f64> {
    Some((memory? - inactive.unwrap_or(0.0)).max(0.0))
}

/// CPUs from `200000 100000`; `max` is no limit.
fn quota(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse::<f64>().ok());
    let (quota, period) = (words.next()??, words.next()??);
    (period > 0.0).then(|| quota / period)
}

/// Bytes received and sent by a process's network, loopback left out, from `/proc/PID/net/dev`; per device.
pub(super) fn network(text: &str) -> Vec<(&str, f64, f64)> {
    text.lines()
        .filter_map(|line| {
            let (device, rest) = line.split_once(':')?;
            let mut fields = rest
                .split_ascii_whitespace()
                .map(|field| field.parse::<f64>().ok());
            let received = fields.next()??;
            let sent = fields.nth(7)??;
            Some((device.trim(), received, sent))
        })
        .filter(|(device, ..)| *device != "lo")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    #[test]
    fn version_2_is_read_whole() {
        let fs = MemFs::new();
        for (file, text) in [
            (
                "cpu.stat",
                "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 4\nthrottled_usec 250000\n",
            ),
            ("cpu.max", "200000 100000\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 600\nfile 400\ninactive_file 300\n"),
            ("memory.events", "low 0\noom 1\noom_kill 2\n"),
            (
                "io.stat",
                "259:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n259:4 rbytes=5 wbytes=7 rios=1 wios=1\n",
            ),
            ("pids.current", "12\n"),
            ("pids.max", "100\n"),
            ("cgroup.procs", "77\n78\n"),
        ] {
            fs.write(&format!("/sys/fs/cgroup/a.slice/x.scope/{file}"), text);
        }
        let mut reader = GroupReader::new(Hierarchy::V2);
        let stats = reader
            .read(&fs, "/a.slice/x.scope", true, &GroupStats::default())
            .expect("there");
        assert_eq!(
            (stats.cpu, stats.throttled, stats.cpu_limit),
            (Some(5.0), Some(0.25), Some(2.0))
        );
        assert_eq!(
            (stats.memory, stats.working_set, stats.memory_limit),
            (Some(1000.0), Some(700.0), None)
        );
        assert_eq!(
            (stats.oom_kills, stats.read, stats.written),
            (Some(2.0), Some(15.0), Some(27.0))
        );
        assert_eq!((stats.processes, stats.process_limit), (Some(12.0), Some(100.0)));
        assert_eq!(reader.first_pid(&fs, "/a.slice/x.scope"), Some(77));
        let again = reader
            .read(&fs, "/a.slice/x.scope", false, &stats)
            .expect("there");
        assert_eq!(again, stats, "limits are remembered");
        assert!(reader.read(&fs, "/a.slice/gone.scope", true, &stats).is_err());
    }

    #[test]
    fn version_1_is_read_whole() {
        let fs = MemFs::new();
        for (file, text) in [
            ("cpuacct/docker/x/cpuacct.usage", "5000000000\n"),
            ("cpuacct/docker/x/cpuacct.stat", "user 300\nsystem 200\n"),
            (
                "cpu/docker/x/cpu.stat",
                "nr_periods 0\nthrottled_time 250000000\n",
            ),
            ("cpu/docker/x/cpu.cfs_quota_us", "-1\n"),
            ("cpu/docker/x/cpu.cfs_period_us", "100000\n"),
            ("memory/docker/x/memory.usage_in_bytes", "1000\n"),
            ("memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "memory/docker/x/memory.stat",
                "total_rss 600\ntotal_cache 400\ntotal_inactive_file 300\n",
            ),
            (
                "memory/docker/x/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            ),
            ("memory/docker/x/cgroup.procs", "9\n"),
            (
                "blkio/docker/x/blkio.throttle.io_service_bytes",
                "259:0 Read 10\n259:0 Write 20\n259:0 Total 30\nTotal 30\n",
            ),
            ("pids/docker/x/pids.current", "12\n"),
            ("pids/docker/x/pids.max", "max\n"),
        ] {
            fs.write(&format!("/sys/fs/cgroup/{file}"), text);
        }
        let mut reader = GroupReader::new(Hierarchy::V1);
        let stats = reader
            .read(&fs, "/docker/x", true, &GroupStats::default())
            .expect("there");
        assert_eq!(
            (stats.cpu, stats.cpu_user, stats.throttled),
            (Some(5.0), Some(3.0), Some(0.25))
        );
        assert_eq!(
            (stats.working_set, stats.memory_limit, stats.cpu_limit),
            (Some(700.0), None, None)
        );
        assert_eq!(
            (stats.read, stats.written, stats.oom_kills),
            (Some(10.0), Some(20.0), Some(3.0))
        );
        assert_eq!((stats.processes, stats.process_limit), (Some(12.0), None));
        assert_eq!(reader.first_pid(&fs, "/docker/x"), Some(9));
    }

    #[test]
    fn a_network_is_told_by_device_and_loopback_is_none() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 200 3 0 0 0 0 0 0\n broken: x\n";
        assert_eq!(network(text), [("eth0", 100.0, 200.0)]);
    }
}
