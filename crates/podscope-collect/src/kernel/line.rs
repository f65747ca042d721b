//! What a line of the kernel's log says, where it says something about a node's health.
//!
//! The forms are those of the driver and of mainline kernels 5.15 to 6.12; tested on lines as they were published in bug
//! reports and in gpud's tests (leptonai/gpud, Apache-2.0).

use std::sync::LazyLock;

use podscope_model::event::Severity;
use regex::Regex;

/// Kinds of findings, as the label `what` of events and `kind` of the counter have them.
pub const KINDS: [&str; 15] = [
    "xid",
    "sxid",
    "gpu_fallen_off_bus",
    "nvme_timeout",
    "nvme_controller_down",
    "oom_kill",
    "soft_lockup",
    "hung_task",
    "read_only_remount",
    "io_error",
    "nfs_not_responding",
    "nfs_ok",
    "peermem_error",
    "nic_power",
    "nic_temperature",
];

/// Something a line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// The number of an XID or SXid error.
    pub number: Option<u64>,
    /// The device: a PCI address, a disk, a mount, a server.
    pub device: String,
    pub pid: Option<u32>,
    pub process: String,
    /// The control group, of an out-of-memory kill.
    pub cgroup: String,
    /// Whatever else the line has that can be a label.
    pub details: Vec<(&'static str, String)>,
}

impl Finding {
    fn of(kind: &'static str) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    fn on(kind: &'static str, device: &str) -> Self {
        Self {
            device: device.to_owned(),
            ..Self::of(kind)
        }
    }

    /// How bad it is; an XID's severity is its class's.
    pub fn severity(&self) -> Severity {
        match self.kind {
            "gpu_fallen_off_bus" | "read_only_remount" => Severity::Critical,
            "nfs_ok" => Severity::Info,
            "sxid" => match self.detail("fatality") {
                Some("Fatal") => Severity::Critical,
                _ => Severity::Warning,
            },
            "nic_temperature" | "nic_power" | "nvme_timeout" | "peermem_error" => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// A detail by its name.
    pub fn detail(&self, name: &str) -> Option<&str> {
        let found = self.details.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

macro_rules! pattern {
    ($text:literal) => {{
        // A pattern that does not compile matches nothing, and fails the tests below.
        static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
        PATTERN.as_ref()
    }};
}

/// What the line says; `None` for the great majority.
pub fn finding(text: &str) -> Option<Finding> {
    if text.contains("NVRM") {
        return nvidia(text);
    }
    if text.contains("SXid") {
        return sxid(text);
    }
    oom(text)
        .or_else(|| storage(text))
        .or_else(|| processor(text))
        .or_else(|| network(text))
}

fn nvidia(text: &str) -> Option<Finding> {
    let xid = pattern!(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\)[^:]*: (\d+)(?:, (.*))?$")?;
    if let Some(found) = xid.captures(text) {
        let mut finding = Finding::on("xid", &found[1]);
        finding.number = found[2].parse().ok();
        let rest = found.get(3).map_or("", |rest| rest.as_str());
        xid_details(rest, &mut finding);
        return Some(finding);
    }
    if text.contains("fallen off the bus") {
        let address = pattern!(r"([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?:\.[0-9])?")?;
        let device = address
            .captures(text)
            .map_or(String::new(), |found| found[1].to_owned());
        return Some(Finding::on("gpu_fallen_off_bus", &device));
    }
    None
}

/// `pid=922932, name=acctg, RLW_SRC_TRACK Nonfatal XC1 i0 Link 03 (0x040868e2 0x00000008 …)`.
fn xid_details(rest: &str, finding: &mut Finding) {
    if let Some(pattern) = pattern!(r"pid='?(\d+)'?")
        && let Some(found) = pattern.captures(rest)
    {
        finding.pid = found[1].parse().ok().filter(|pid| *pid != 0);
    }
    if let Some(pattern) = pattern!(r"name='?([^,']+)'?")
        && let Some(found) = pattern.captures(rest)
        && &found[1] != "<unknown>"
    {
        found[1].clone_into(&mut finding.process);
    }
    if let Some(pattern) = pattern!(
        r"([A-Z][A-Z0-9_]+) (Fatal|Nonfatal) XC\d+ i\d+ Link (-?\d+) \((0x[0-9a-fA-F]+)(?: (0x[0-9a-fA-F]+))?"
    ) && let Some(found) = pattern.captures(rest)
    {
        let names = ["unit", "fatality", "link", "intr_info", "error_status"];
        for (at, name) in names.into_iter().enumerate() {
            if let Some(value) = found.get(at + 1) {
                finding.details.push((name, value.as_str().to_owned()));
            }
        }
    }
    if let Some(pattern) =
        pattern!(r"recovery action changed from 0x[0-9a-fA-F]+ \(([^)]*)\) to (0x[0-9a-fA-F]+) \(([^)]*)\)")
        && let Some(found) = pattern.captures(rest)
    {
        finding.details.push(("recovery_action", found[3].to_owned()));
        finding.details.push(("recovery_code", found[2].to_owned()));
    }
}

/// `nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress …`.
fn sxid(text: &str) -> Option<Finding> {
    let pattern =
        pattern!(r"SXid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)(?:, (Non-fatal|Fatal))?(?:, Link (\d+))?")?;
    let found = pattern.captures(text)?;
    let mut finding = Finding::on("sxid", &found[1]);
    finding.number = found[2].parse().ok();
    for (at, name) in [(3, "fatality"), (4, "link")] {
        if let Some(value) = found.get(at) {
            finding.details.push((name, value.as_str().to_owned()));
        }
    }
    Some(finding)
}

/// `oom-kill:constraint=…,task_memcg=/…,task=python,pid=1,uid=1000` and `Killed process 1 (python) total-vm:…`.
fn oom(text: &str) -> Option<Finding> {
    if let Some(rest) = text.strip_prefix("oom-kill:") {
        let mut finding = Finding::of("oom_kill");
        for pair in rest.split(',') {
            match pair.split_once('=') {
                Some(("task_memcg", value)) => value.clone_into(&mut finding.cgroup),
                Some(("task", value)) => value.clone_into(&mut finding.process),
                Some(("pid", value)) => finding.pid = value.parse().ok(),
                Some(("uid", value)) => finding.details.push(("uid", value.to_owned())),
                _ => {}
            }
        }
        return Some(finding);
    }
    let found =
        pattern!(r"(?:Out of memory|out of memory).*Killed process (\d+) \((.*)\)")?.captures(text)?;
    let mut finding = Finding::of("oom_kill");
    finding.pid = found[1].parse().ok();
    found[2].clone_into(&mut finding.process);
    Some(finding)
}

fn storage(text: &str) -> Option<Finding> {
    if let Some(found) = pattern!(r"^nvme (nvme\d+): I/O .*timeout")?.captures(text) {
        return Some(Finding::on("nvme_timeout", &found[1]));
    }
    if let Some(found) = pattern!(
        r"^nvme (nvme\d+): (?:controller is down|Device not ready|Removing after probe failure|.*removing)"
    )?
    .captures(text)
    {
        return Some(Finding::on("nvme_controller_down", &found[1]));
    }
    if let Some(found) =
        pattern!(r"^\S+ \(([^)]+)\).*(?:[Rr]emounting filesystem read-only|shut ?down|forced readonly)")?
            .captures(text)
    {
        return Some(Finding::on("read_only_remount", &found[1]));
    }
    if let Some(found) =
        pattern!(r"(?:Buffer I/O error on dev|I/O error, dev|critical \w+ error, dev) ([^ ,]+)")?
            .captures(text)
    {
        return Some(Finding::on("io_error", &found[1]));
    }
    let found = pattern!(r"^nfs: server (\S+) (not responding|OK)")?.captures(text)?;
    let kind = if &found[2] == "OK" {
        "nfs_ok"
    } else {
        "nfs_not_responding"
    };
    Some(Finding::on(kind, &found[1]))
}

fn processor(text: &str) -> Option<Finding> {
    if let Some(found) =
        pattern!(r"BUG: soft lockup - CPU#(\d+) stuck for (\d+)s! \[(.*):(\d+)\]")?.captures(text)
    {
        let mut finding = Finding::on("soft_lockup", &format!("cpu{}", &found[1]));
        found[3].clone_into(&mut finding.process);
        finding.pid = found[4].parse().ok();
        finding.details.push(("seconds", found[2].to_owned()));
        return Some(finding);
    }
    let found = pattern!(r"INFO: task (.+):(\d+) blocked for more than (\d+) seconds")?.captures(text)?;
    let mut finding = Finding::of("hung_task");
    found[1].clone_into(&mut finding.process);
    finding.pid = found[2].parse().ok();
    finding.details.push(("seconds", found[3].to_owned()));
    Some(finding)
}

fn network(text: &str) -> Option<Finding> {
    if text.contains("nvidia-peermem") || text.contains("nvidia_peermem") {
        let bad = text.contains("invalid context") || text.to_ascii_lowercase().contains("error");
        return bad.then(|| Finding::of("peermem_error"));
    }
    let device = pattern!(r"^mlx5_core ([0-9a-fA-F:]+\.[0-9])")?.captures(text)?;
    if text.contains("insufficient power") || text.contains("Insufficient power") {
        return Some(Finding::on("nic_power", &device[1]));
    }
    let hot = text.contains("High temperature");
    hot.then(|| Finding::on("nic_temperature", &device[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Finding {
        let finding = finding(text).unwrap_or_else(|| panic!("nothing found in {text:?}"));
        assert!(KINDS.contains(&finding.kind), "{}", finding.kind);
        finding
    }

    #[test]
    fn an_xid_has_its_number_device_process_and_what_follows() {
        let one =
            found("NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.");
        assert_eq!(
            (one.kind, one.number, one.device.as_str()),
            ("xid", Some(79), "0000:3b:00")
        );
        assert_eq!((one.pid, one.process.as_str()), (Some(1234), "python3"));
        let old = found("NVRM: Xid (PCI:0000:01:00): 31, Ch 00000010, engmask 00000101, intr 10000000");
        assert_eq!((old.number, old.pid, old.process.as_str()), (Some(31), None, ""));
        let unknown = found(
            "NVRM: Xid (PCI:0000:4f:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception",
        );
        assert_eq!(
            (unknown.number, unknown.pid, unknown.process.as_str()),
            (Some(13), None, "")
        );
        let short = found("NVRM: Xid (0000:03:00): 45");
        assert_eq!((short.number, short.device.as_str()), (Some(45), "0000:03:00"));
        let space = found("NVRM: Xid (PCI:0000:3b:00): 43, pid=7, name=ray::IDLE worker, Ch 00000008");
        assert_eq!(space.process, "ray::IDLE worker");
    }

    #[test]
    fn nvlink_5_lines_are_taken_apart() {
        let one = found(
            "NVRM: Xid (PCI:0018:01:00): 145, pid=922932, name=acctg, RLW_SRC_TRACK Nonfatal XC1 i0 Link 03 (0x040868e2 0x00000008 0x00000000)",
        );
        assert_eq!((one.number, one.pid), (Some(145), Some(922_932)));
        for (name, value) in [
            ("unit", "RLW_SRC_TRACK"),
            ("fatality", "Nonfatal"),
            ("link", "03"),
            ("intr_info", "0x040868e2"),
            ("error_status", "0x00000008"),
        ] {
            assert_eq!(one.detail(name), Some(value), "{name}");
        }
        let action = found(
            "NVRM: Xid (PCI:0018:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
        );
        assert_eq!(action.detail("recovery_action"), Some("Drain and Reset"));
    }

    #[test]
    fn the_other_kinds_are_told_apart() {
        for (text, kind, device) in [
            (
                "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
                "sxid",
                "0000:05:00.0",
            ),
            (
                "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.",
                "gpu_fallen_off_bus",
                "0000:3b:00",
            ),
            (
                "nvme nvme0: I/O 123 QID 4 timeout, aborting",
                "nvme_timeout",
                "nvme0",
            ),
            (
                "nvme nvme3: I/O tag 12 (100c) opcode 0x2 (I/O Cmd) QID 3 timeout, reset controller",
                "nvme_timeout",
                "nvme3",
            ),
            (
                "nvme nvme1: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10",
                "nvme_controller_down",
                "nvme1",
            ),
            (
                "EXT4-fs (nvme0n1p2): Remounting filesystem read-only",
                "read_only_remount",
                "nvme0n1p2",
            ),
            (
                "XFS (dm-3): Log I/O Error (0x2) detected at xlog_ioend_work+0x64. Shutting down filesystem: shutdown",
                "read_only_remount",
                "dm-3",
            ),
            (
                "Buffer I/O error on dev sda1, logical block 123, async page read",
                "io_error",
                "sda1",
            ),
            (
                "I/O error, dev nvme0n1, sector 2048 op 0x0:(READ) flags 0x0",
                "io_error",
                "nvme0n1",
            ),
            (
                "nfs: server storage-1 not responding, still trying",
                "nfs_not_responding",
                "storage-1",
            ),
            ("nfs: server storage-1 OK", "nfs_ok", "storage-1"),
            (
                "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:1234]",
                "soft_lockup",
                "cpu3",
            ),
            (
                "INFO: task python3:5678 blocked for more than 120 seconds.",
                "hung_task",
                "",
            ),
            (
                "mlx5_core 0000:5e:00.0: mlx5_pcie_event:299:(pid 268): Detected insufficient power on the PCIe slot (27W).",
                "nic_power",
                "0000:5e:00.0",
            ),
            (
                "mlx5_core 0000:5e:00.0: temp_warn:184:(pid 0): High temperature on sensors with bit set 0 1",
                "nic_temperature",
                "0000:5e:00.0",
            ),
            (
                "nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping further processing",
                "peermem_error",
                "",
            ),
        ] {
            let one = found(text);
            assert_eq!((one.kind, one.device.as_str()), (kind, device), "{text}");
        }
        let lockup = found("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:1234]");
        assert_eq!((lockup.pid, lockup.process.as_str()), (Some(1234), "kworker/3:1"));
        assert_eq!(
            found("nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30 LTSSM Fault Up")
                .severity(),
            Severity::Critical
        );
    }

    #[test]
    fn an_out_of_memory_kill_names_its_control_group() {
        let one = found(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=docker-aa.scope,mems_allowed=0,oom_memcg=/system.slice/docker-aa.scope,task_memcg=/system.slice/docker-aa.scope,task=python,pid=4321,uid=1000",
        );
        assert_eq!(
            (one.kind, one.pid, one.process.as_str()),
            ("oom_kill", Some(4321), "python")
        );
        assert_eq!(one.cgroup, "/system.slice/docker-aa.scope");
        let two =
            found("Memory cgroup out of memory: Killed process 4321 (python) total-vm:1kB, anon-rss:1kB");
        assert_eq!((two.pid, two.process.as_str()), (Some(4321), "python"));
        let three = found("Out of memory: Killed process 99 (a (b) c) total-vm:1kB");
        assert_eq!(three.process, "a (b) c");
    }

    #[test]
    fn ordinary_lines_say_nothing() {
        for text in [
            "",
            "usb 1-1: new high-speed USB device number 2",
            "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.124.06",
            "EXT4-fs (sda1): mounted filesystem with ordered data mode",
            "nvme nvme0: 8/0/0 default/read/poll queues",
            "mlx5_core 0000:5e:00.0: firmware version: 28.39.1002",
            "nvidia-peermem: loaded",
            "audit: type=1400 apparmor=\"ALLOWED\"",
        ] {
            assert_eq!(finding(text), None, "{text}");
        }
    }
}
