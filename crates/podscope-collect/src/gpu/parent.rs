//! The agent's side: starts the child, asks it, and waits no longer than a deadline.
//!
//! A child that does not answer is most often stuck in the driver, in uninterruptible sleep, where it cannot be killed;
//! and killing processes that talk to a GPU in trouble has frozen GPUs (NVIDIA/dcgm-exporter#84). So it is left alone,
//! for as long as it takes: its rows are stale, and when it answers at last, collection goes on. Only a child that hangs
//! outside the driver is killed, once; there is never more than one child, and a new one is started with growing pauses.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use podscope_model::batch::Row;
use serde::{Deserialize, Serialize};

use super::protocol::{Request, Response, VERSION, read_message, write_message};
use super::rows::{GpuRows, Inventory, RowOptions};
use super::{DESCRIPTOR, GpuProcesses, NvmlFailure, Snapshot};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};

/// A child that hangs outside the driver is killed after so many deadlines.
const DEADLINES_BEFORE_KILL: u32 = 6;

/// The GPU collector's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GpuConfig {
    /// Whether GPUs are collected at all.
    pub enabled: bool,
    /// Milliseconds between two collections.
    pub interval_ms: u64,
    /// Milliseconds the driver may take to answer; after that the GPU rows are stale until it does.
    pub deadline_ms: u64,
    /// Milliseconds before a child that ended is started again; doubled with each failure up to a minute.
    pub restart_pause_ms: u64,
    /// Milliseconds between two looks for a driver where there was none: each costs a process that starts and ends.
    pub absent_pause_ms: u64,
    /// Milliseconds between two readings of the processes on the GPUs.
    pub processes_ms: u64,
}

impl Default for GpuConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_ms: 1000,
            deadline_ms: 5000,
            restart_pause_ms: 1000,
            absent_pause_ms: 300_000,
            processes_ms: 15_000,
        }
    }
}

/// The longest pause before a new child.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A child that was started: the way to it, and the hold on it.
pub struct Child {
    /// Requests go here; closing it asks the child to end.
    pub stdin: Box<dyn Write + Send>,
    /// Answers come from here.
    pub stdout: Box<dyn Read + Send>,
    /// The process, where it is one.
    pub process: Option<std::process::Child>,
}

impl fmt::Debug for Child {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Child")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// How a child is started.
pub trait Launcher: Send {
    /// # Errors
    ///
    /// When no process could be started.
    fn launch(&mut self) -> io::Result<Child>;
}

/// Starts a program that calls [`super::child_main`].
#[derive(Clone, Debug)]
pub struct ExeLauncher {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

impl ExeLauncher {
    /// The running program itself, with the subcommand `nvml-child`.
    ///
    /// # Errors
    ///
    /// When the program does not know its own file.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            arguments: vec!["nvml-child".to_owned()],
        })
    }
}

impl Launcher for ExeLauncher {
    fn launch(&mut self) -> io::Result<Child> {
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What the driver's library complains about belongs into the agent's log.
            .stderr(Stdio::inherit())
            .spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        Ok(Child {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            process: Some(process),
        })
    }
}

/// A child that runs, and what it still owes.
struct Running {
    stdin: Box<dyn Write + Send>,
    answers: Receiver<io::Result<Response>>,
    process: Option<std::process::Child>,
    next_id: u64,
    /// The request without answer, and since when it waits.
    pending: Option<(u64, Instant)>,
    killed: bool,
}

impl Running {
    fn new(child: Child) -> io::Result<Self> {
        let (sender, answers) = channel();
        let mut stdout = BufReader::new(child.stdout);
        std::thread::Builder::new()
            .name("nvml answers".to_owned())
            .spawn(move || {
                loop {
                    let message = match read_message::<Response>(&mut stdout) {
                        Ok(Some(message)) => Ok(message),
                        Ok(None) => return,
                        Err(error) => Err(error),
                    };
                    let last = message.is_err();
                    if sender.send(message).is_err() || last {
                        return;
                    }
                }
            })?;
        Ok(Self {
            stdin: child.stdin,
            answers,
            process: child.process,
            next_id: 1,
            pending: None,
            killed: false,
        })
    }

    /// Whether the process is in uninterruptible sleep: in the driver, where a signal does not reach it.
    fn is_in_driver(&self) -> bool {
        let Some(process) = &self.process else { return true };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
        // The name in parentheses may hold anything.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('D'))
    }

    /// Kills a child that hangs elsewhere than in the driver. One kill is all that is tried.
    fn kill_once(&mut self) {
        if self.killed || self.is_in_driver() {
            return;
        }
        self.killed = true;
        if let Some(process) = &mut self.process
            && let Err(error) = process.kill()
        {
            tracing::warn!(%error, "the child process for NVML hangs and cannot be killed");
        }
    }

    /// Closes the child's standard input, on which it ends, and reaps it if it is quick; one that is stuck in the driver
    /// is not waited for.
    fn end(self) {
        let Self {
            stdin,
            answers,
            process,
            ..
        } = self;
        drop(stdin);
        // The stream ends with the child.
        let ended = matches!(
            answers.recv_timeout(Duration::from_millis(500)),
            Err(RecvTimeoutError::Disconnected)
        );
        if let Some(mut process) = process
            && ended
            && let Err(error) = process.wait()
        {
            tracing::warn!(%error, "the child process for NVML was not reaped");
        }
    }

    /// Whether the process has ended and been reaped; a child that is no process has, once its stream ended.
    fn has_ended(&mut self) -> bool {
        match &mut self.process {
            Some(process) => !matches!(process.try_wait(), Ok(None)),
            None => true,
        }
    }
}

enum State {
    Running(Running),
    /// Given up at that time, and not ended yet.
    Ending(Running, Instant),
    /// None runs; the next may be started at that time.
    Down {
        since_failures: u32,
        start_at: Instant,
    },
}

/// Reads the GPUs through a child process.
pub struct GpuCollector {
    launcher: Box<dyn Launcher>,
    deadline: Duration,
    first_pause: Duration,
    absent_pause: Duration,
    /// Where there is no driver: why, and when to look again. No child runs meanwhile.
    absent: Option<(String, Instant)>,
    processes_every: Duration,
    processes_asked: Option<Instant>,
    state: State,
    failures: u32,
    rows: GpuRows,
    problems: Problems,
}

impl fmt::Debug for GpuCollector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("GpuCollector")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why there is no snapshot.
enum Miss {
    NotPresent(String),
    Error(CollectError),
}

impl GpuCollector {
    /// `host_name` is the value of the label `Hostname`.
    pub fn new(launcher: impl Launcher + 'static, config: &GpuConfig, host_name: &str) -> Self {
        Self::with_options(launcher, config, host_name, RowOptions::default())
    }

    /// As [`GpuCollector::new`], with what the operator may choose about the rows.
    pub fn with_options(
        launcher: impl Launcher + 'static,
        config: &GpuConfig,
        host_name: &str,
        options: RowOptions,
    ) -> Self {
        Self {
            launcher: Box::new(launcher),
            deadline: Duration::from_millis(config.deadline_ms),
            first_pause: Duration::from_millis(config.restart_pause_ms),
            absent_pause: Duration::from_millis(config.absent_pause_ms),
            absent: None,
            processes_every: Duration::from_millis(config.processes_ms),
            processes_asked: None,
            state: State::Down {
                since_failures: 0,
                start_at: Instant::now(),
            },
            failures: 0,
            rows: GpuRows::new(host_name, options),
            problems: Problems::default(),
        }
    }

    /// The GPUs it sees, for the node's inventory.
    pub fn inventory(&self) -> Inventory {
        self.rows.inventory()
    }

    /// The processes on the GPUs, read every quarter of a minute.
    pub fn processes(&self) -> GpuProcesses {
        self.rows.processes()
    }

    /// The process id of the running child, if it is a process.
    pub fn child_id(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) | State::Ending(running, _) => {
                running.process.as_ref().map(std::process::Child::id)
            }
            State::Down { .. } => None,
        }
    }

    /// How long to wait after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        self.first_pause
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(LONGEST_PAUSE)
    }

    /// Gives the child up: it will be replaced once it has ended and the pause is over.
    fn give_up(&mut self) {
        self.failures += 1;
        let down = State::Down {
            since_failures: self.failures,
            start_at: Instant::now() + self.pause(self.failures),
        };
        if let State::Running(mut running) = std::mem::replace(&mut self.state, down) {
            // On this the child ends.
            running.stdin = Box::new(io::sink());
            running.pending = None;
            self.state = State::Ending(running, Instant::now());
        }
    }

    /// Makes sure that a child runs.
    fn start(&mut self) -> Result<(), CollectError> {
        if let State::Ending(running, since) = &mut self.state {
            if !running.has_ended() {
                if since.elapsed() > self.deadline * DEADLINES_BEFORE_KILL {
                    running.kill_once();
                }
                return Err(vendor(
                    "the former child has not ended yet, it may be stuck in the driver",
                ));
            }
            self.state = State::Down {
                since_failures: self.failures,
                start_at: Instant::now() + self.pause(self.failures),
            };
        }
        if let State::Down {
            since_failures,
            start_at,
        } = &self.state
        {
            let wait = start_at.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                return Err(vendor(&format!(
                    "its process ended {since_failures} times in a row; it is started again in {wait:.1?}"
                )));
            }
            let started = self.launcher.launch().and_then(Running::new);
            match started {
                Ok(running) => self.state = State::Running(running),
                Err(source) => {
                    self.give_up();
                    return Err(CollectError::Read {
                        path: "the child process for NVML".to_owned(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// There is no driver: lets the child end, and remembers that for a while.
    fn retire(&mut self, reason: &str) {
        self.absent = Some((reason.to_owned(), Instant::now() + self.absent_pause));
        let down = State::Down {
            since_failures: 0,
            start_at: Instant::now(),
        };
        if let State::Running(running) = std::mem::replace(&mut self.state, down) {
            running.end();
        }
    }

    /// Asks the child, or goes on waiting for what it owes.
    fn ask(&mut self) -> Result<Snapshot, Miss> {
        if let Some((reason, until)) = &self.absent {
            if Instant::now() < *until {
                return Err(Miss::NotPresent(reason.clone()));
            }
            self.absent = None;
        }
        self.start().map_err(Miss::Error)?;
        let State::Running(running) = &mut self.state else {
            return Err(Miss::Error(vendor("no child process")));
        };
        if running.pending.is_none() {
            let processes = self
                .processes_asked
                .is_none_or(|asked| asked.elapsed() >= self.processes_every);
            if processes {
                self.processes_asked = Some(Instant::now());
            }
            let request = Request {
                version: VERSION,
                id: running.next_id,
                processes,
            };
            if let Err(source) = write_message(&mut running.stdin, &request) {
                self.give_up();
                return Err(Miss::Error(CollectError::Read {
                    path: "the child process for NVML".to_owned(),
                    source,
                }));
            }
            running.pending = Some((running.next_id, Instant::now()));
            running.next_id += 1;
        }
        let (id, since) = running.pending.unwrap_or((0, Instant::now()));
        // A child that is late is looked at, not waited for: each further collection would wait a whole deadline.
        let wait = self.deadline.saturating_sub(since.elapsed());
        match running.answers.recv_timeout(wait) {
            Ok(Ok(response)) if response.id == id && response.version == VERSION => {
                running.pending = None;
                let was_late = since.elapsed() > self.deadline + self.deadline;
                match response.result {
                    // What it read before it hung is not of this second: ask anew.
                    Ok(_) if was_late => self.ask(),
                    Ok(snapshot) => {
                        self.failures = 0;
                        Ok(snapshot)
                    }
                    Err(NvmlFailure::NotPresent(reason)) => {
                        self.retire(&reason);
                        Err(Miss::NotPresent(reason))
                    }
                    Err(failure) => Err(Miss::Error(vendor(&failure.to_string()))),
                }
            }
            Ok(Ok(response)) => {
                let (theirs, ours) = (response.version, VERSION);
                self.give_up();
                Err(Miss::Error(vendor(&format!(
                    "its child answered in version {theirs}, wanted is {ours}: if the binary was replaced, restart the agent"
                ))))
            }
            Ok(Err(source)) => {
                self.give_up();
                Err(Miss::Error(CollectError::Read {
                    path: "the answer of the child process for NVML".to_owned(),
                    source,
                }))
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.give_up();
                Err(Miss::Error(vendor(
                    "its child process ended; a new one will be started",
                )))
            }
            Err(RecvTimeoutError::Timeout) => {
                let waited = since.elapsed();
                if waited > self.deadline * DEADLINES_BEFORE_KILL {
                    running.kill_once();
                }
                Err(Miss::Error(CollectError::Deadline {
                    what: "the NVIDIA driver".to_owned(),
                    after: waited,
                }))
            }
        }
    }
}

fn vendor(reason: &str) -> CollectError {
    CollectError::Vendor {
        what: "NVML".to_owned(),
        reason: reason.to_owned(),
    }
}

impl Collector for GpuCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    /// Present unless the child says that there is no NVML: a driver that hangs or a child that crashes is a failure, and
    /// [`Collector::collect`] tells it.
    fn detect(&mut self) -> Support {
        match self.ask() {
            Ok(snapshot) => {
                self.rows.absorb(&snapshot);
                Support::Present
            }
            Err(Miss::Error(_)) => Support::Present,
            Err(Miss::NotPresent(reason)) => Support::NotPresent(reason),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        match self.ask() {
            Ok(snapshot) => self.rows.write(&snapshot, row, &mut self.problems),
            Err(Miss::Error(error)) => return Err(error),
            Err(Miss::NotPresent(reason)) => return Err(vendor(&reason)),
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

impl Drop for GpuCollector {
    /// See [`Running::end`].
    fn drop(&mut self) {
        let down = State::Down {
            since_failures: 0,
            start_at: Instant::now(),
        };
        if let State::Running(running) | State::Ending(running, _) = std::mem::replace(&mut self.state, down)
        {
            running.end();
        }
    }
}
