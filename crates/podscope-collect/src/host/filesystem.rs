//! Mounted file systems: their size and what is free.
//!
//! `statfs` on a network mount hangs as long as its server does, and so may one on a broken disk. All mounts are asked on
//! another thread; one that does not answer in time is marked with `device_error="mountpoint timeout"` and left alone
//! until its pending call returns, while the others are asked on a new thread. Threads in waiting are bounded by the
//! number of hanging mounts.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};
use rustc_hash::FxHashSet;

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::config::{HostConfig, Pattern};
use crate::error::{CollectError, Problems};
use crate::fs::{HostFs, VfsStat};
use crate::text::{Line, Text};

static DESCRIPTOR: Descriptor = Descriptor {
    name: "filesystem",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::filesystem::ALL,
    touches: &["/proc/1/mountinfo", "/proc/self/mountinfo", "statfs"],
};

/// The mounts of the first process; a kernel that hides processes of others leaves only our own view.
const MOUNTS: [&str; 2] = ["/proc/1/mountinfo", "/proc/self/mountinfo"];

#[derive(Debug)]
pub(crate) struct FileSystem {
    reader: Reader,
    problems: Problems,
    mount_point_exclude: Pattern,
    type_exclude: Pattern,
    timeout: Duration,
    mounts: Vec<MountPoint>,
    hanging: Arc<Mutex<FxHashSet<String>>>,
    asker: Option<Asker>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct MountPoint {
    device: String,
    path: String,
    fs_type: String,
    major: String,
    minor: String,
    read_only: bool,
}

type Answer = std::io::Result<VfsStat>;

/// The thread that asks, and the way to it. Dropping it lets the thread end, once its call returns.
#[derive(Debug)]
struct Asker {
    questions: Sender<String>,
    answers: Receiver<Answer>,
}

impl Asker {
    fn start(fs: Arc<dyn HostFs>, hanging: Arc<Mutex<FxHashSet<String>>>) -> std::io::Result<Self> {
        let (questions, asked) = channel::<String>();
        let (answer, answers) = channel();
        std::thread::Builder::new()
            .name("statfs".to_owned())
            .spawn(move || {
                for path in asked {
                    let awaited = answer.send(fs.statvfs(&path)).is_ok();
                    // Whether or not it was marked: the mark may have been set while the answer was on its way.
                    hanging
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&path);
                    if !awaited {
                        return;
                    }
                }
            })?;
        Ok(Self { questions, answers })
    }
}

impl FileSystem {
    pub(crate) fn new(fs: Arc<dyn HostFs>, config: &HostConfig) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
            mount_point_exclude: config.filesystem_mount_point_exclude.clone(),
            type_exclude: config.filesystem_type_exclude.clone(),
            timeout: Duration::from_millis(config.filesystem_timeout_ms),
            mounts: Vec::new(),
            hanging: Arc::default(),
            asker: None,
        }
    }

    /// Asks for one mount; `None` when it does not answer.
    fn ask(&mut self, path: &str) -> Option<Answer> {
        if self
            .hanging
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(path)
        {
            return None;
        }
        if self.asker.is_none() {
            match Asker::start(Arc::clone(&self.reader.fs), Arc::clone(&self.hanging)) {
                Ok(asker) => self.asker = Some(asker),
                Err(error) => return Some(Err(error)),
            }
        }
        let asker = self.asker.as_ref()?;
        let sent = asker.questions.send(path.to_owned()).is_ok();
        match asker.answers.recv_timeout(self.timeout) {
            Ok(answer) if sent => Some(answer),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                self.asker = None;
                Some(Err(std::io::Error::other("the thread that asks has ended")))
            }
            Err(RecvTimeoutError::Timeout) => {
                let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
                // An answer that comes after this look takes the mark away again.
                if let Ok(answer) = asker.answers.try_recv() {
                    return Some(answer);
                }
                hanging.insert(path.to_owned());
                self.asker = None;
                None
            }
        }
    }
}

impl Collector for FileSystem {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if MOUNTS.iter().any(|path| self.reader.fs.exists(path)) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {}", MOUNTS[0]))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        self.mounts.clear();
        let path = if self.reader.fs.exists(MOUNTS[0]) {
            MOUNTS[0]
        } else {
            MOUNTS[1]
        };
        read_mounts(self.reader.cold(path)?, &mut self.mounts, &mut self.problems);
        let (mount_points, types) = (&self.mount_point_exclude, &self.type_exclude);
        self.mounts
            .retain(|mount| !mount_points.matches(&mount.path) && !types.matches(&mount.fs_type));
        let mounts = std::mem::take(&mut self.mounts);
        for mount in &mounts {
            let answer = self.ask(&mount.path);
            write(mount, answer, row);
        }
        self.mounts = mounts;
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

fn write(mount: &MountPoint, answer: Option<Answer>, row: &mut Row) {
    let error = match &answer {
        None => "mountpoint timeout".to_owned(),
        Some(Err(error)) => go_text(error),
        Some(Ok(_)) => String::new(),
    };
    let labels = [
        ("device", mount.device.as_str()),
        ("mountpoint", mount.path.as_str()),
        ("fstype", mount.fs_type.as_str()),
        ("device_error", error.as_str()),
    ];
    row.set(
        &host::NODE_FILESYSTEM_DEVICE_ERROR,
        &labels,
        f64::from(u8::from(!error.is_empty())),
    );
    row.set(
        &host::NODE_FILESYSTEM_READONLY,
        &labels,
        f64::from(u8::from(mount.read_only)),
    );
    let Some(Ok(stat)) = answer else { return };
    let block = stat.block_size as f64;
    row.set(
        &host::NODE_FILESYSTEM_SIZE_BYTES,
        &labels,
        stat.blocks as f64 * block,
    );
    row.set(
        &host::NODE_FILESYSTEM_FREE_BYTES,
        &labels,
        stat.blocks_free as f64 * block,
    );
    row.set(
        &host::NODE_FILESYSTEM_AVAIL_BYTES,
        &labels,
        stat.blocks_available as f64 * block,
    );
    row.set(&host::NODE_FILESYSTEM_FILES, &labels, stat.files as f64);
    row.set(&host::NODE_FILESYSTEM_FILES_FREE, &labels, stat.files_free as f64);
    let labels = [
        ("device", mount.device.as_str()),
        ("major", mount.major.as_str()),
        ("minor", mount.minor.as_str()),
        ("mountpoint", mount.path.as_str()),
    ];
    row.set(&host::NODE_FILESYSTEM_MOUNT_INFO, &labels, 1.0);
}

/// The error as Go writes it, for equal labels: lower case, without the number.
fn go_text(error: &std::io::Error) -> String {
    /// Linux's ESTALE, which Go names otherwise than the C library.
    const ESTALE: i32 = 116;
    if error.raw_os_error() == Some(ESTALE) {
        return "stale NFS file handle".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.to_ascii_lowercase()
}

fn read_mounts(text: Text<'_>, mounts: &mut Vec<MountPoint>, problems: &mut Problems) {
    for line in text.lines() {
        match line.and_then(mount_point) {
            // Mounted twice at one place: the kernel answers for the uppermost, of which there is one row.
            Ok(mount)
                if mounts
                    .iter()
                    .any(|one| one.path == mount.path && one.device == mount.device) => {}
            Ok(mount) => mounts.push(mount),
            Err(problem) => problems.push(problem),
        }
    }
}

/// One line of mountinfo (proc_pid_mountinfo(5)):
/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn mount_point(line: Line<'_>) -> Result<MountPoint, CollectError> {
    let malformed = || line.expected("a mount as in proc_pid_mountinfo(5)");
    let (mount, file_system) = line.text.split_once(" - ").ok_or_else(malformed)?;
    let mut fields = mount.split_ascii_whitespace();
    let (major, minor) = fields
        .nth(2)
        .and_then(|pair| pair.split_once(':'))
        .ok_or_else(malformed)?;
    line.count(Some(major), "a device number")?;
    line.count(Some(minor), "a device number")?;
    let path = fields.nth(1).ok_or_else(malformed)?;
    let options = fields.next().ok_or_else(malformed)?;
    let mut fields = file_system.split_ascii_whitespace();
    let (fs_type, device) = fields.next().zip(fields.next()).ok_or_else(malformed)?;
    let super_options = fields.next().unwrap_or("");
    let has = |options: &str, wanted: &str| options.split(',').any(|option| option == wanted);
    Ok(MountPoint {
        device: device.to_owned(),
        // Blank and tab are written in octal.
        path: path.replace("\\040", " ").replace("\\011", "\t"),
        fs_type: fs_type.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only: has(options, "ro") || has(super_options, "ro") || has(super_options, "emergency_ro"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{MemFs, Mount};
    use std::time::Instant;

    const MOUNTINFO: &str = "\
        27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        28 27 0:40 / /mnt/my\\040share rw - nfs4 server:/export rw,addr=1.2.3.4\n\
        29 27 0:41 / /data ro,nosuid shared:3 - xfs /dev/vdb rw\n\
        30 27 0:22 / /proc rw - proc proc rw\n";

    fn machine() -> (Arc<MemFs>, FileSystem) {
        let fs = Arc::new(MemFs::new());
        fs.write("/proc/1/mountinfo", MOUNTINFO);
        let stat = VfsStat {
            block_size: 4096,
            blocks: 100,
            blocks_free: 50,
            blocks_available: 40,
            files: 9,
            files_free: 8,
        };
        for path in ["/", "/mnt/my share", "/data"] {
            fs.set_mount(path, Mount::Answers(stat));
        }
        let config = HostConfig {
            filesystem_timeout_ms: 50,
            ..HostConfig::default()
        };
        let collector = FileSystem::new(Arc::clone(&fs) as Arc<dyn HostFs>, &config);
        (fs, collector)
    }

    fn collect(collector: &mut FileSystem) -> Vec<String> {
        let mut row = Row::new();
        collector.collect(&mut row).expect("there are mounts");
        row.samples()
            .map(|(column, value)| format!("{} {value}", column.labels))
            .collect()
    }

    fn errors(samples: &[String]) -> Vec<&String> {
        samples
            .iter()
            .filter(|sample| sample.starts_with("node_filesystem_device_error") && sample.ends_with(" 1"))
            .collect()
    }

    #[test]
    fn a_hanging_mount_is_marked_once_and_costs_the_others_nothing() {
        let (fs, mut collector) = machine();
        fs.set_mount("/mnt/my share", Mount::Hangs);
        let samples = collect(&mut collector);
        assert_eq!(
            errors(&samples),
            [
                r#"node_filesystem_device_error{device="server:/export",device_error="mountpoint timeout",fstype="nfs4",mountpoint="/mnt/my share"} 1"#
            ]
        );
        assert_eq!(
            samples
                .iter()
                .filter(|sample| sample.starts_with("node_filesystem_size_bytes"))
                .count(),
            2
        );
        // A second collection does not wait for it again, nor start a second call.
        let collected = collect(&mut collector);
        assert_eq!(errors(&collected).len(), 1);
        assert_eq!(collector.hanging.lock().expect("not poisoned").len(), 1);

        fs.set_mount("/mnt/my share", Mount::Answers(VfsStat::default()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while !collector.hanging.lock().expect("not poisoned").is_empty() {
            assert!(
                Instant::now() < deadline,
                "the mount answered and is still marked"
            );
            std::thread::yield_now();
        }
        assert!(errors(&collect(&mut collector)).is_empty());
    }

    #[test]
    fn an_error_is_told_in_the_words_of_node_exporter() {
        let (fs, mut collector) = machine();
        fs.set_mount("/data", Mount::Fails(13));
        fs.set_mount("/", Mount::Fails(116));
        let samples = collect(&mut collector);
        let errors = errors(&samples);
        assert!(
            errors[0].contains(r#"device_error="stale NFS file handle""#),
            "{errors:?}"
        );
        assert!(
            errors[1].contains(r#"device_error="permission denied""#),
            "{errors:?}"
        );
    }

    #[test]
    fn read_only_comes_from_the_mount_or_from_the_file_system() {
        let (fs, mut collector) = machine();
        fs.write(
            "/proc/1/mountinfo",
            MOUNTINFO.replace("ext4 /dev/vda rw", "ext4 /dev/vda rw,emergency_ro"),
        );
        let read_only = |samples: &[String]| {
            samples
                .iter()
                .filter(|sample| sample.starts_with("node_filesystem_readonly") && sample.ends_with(" 1"))
                .count()
        };
        assert_eq!(read_only(&collect(&mut collector)), 2);
    }

    #[test]
    fn a_malformed_line_does_not_cost_the_others() {
        let (fs, mut collector) = machine();
        fs.write("/proc/1/mountinfo", format!("oops\n{MOUNTINFO}"));
        assert!(!collect(&mut collector).is_empty());
        let problems = collector.take_problems();
        assert!(
            problems[0]
                .to_string()
                .starts_with("/proc/1/mountinfo:1: a mount as in"),
            "{problems:?}"
        );
    }
}
