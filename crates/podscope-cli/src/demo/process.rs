//! A process known by its id and start time, so that a reused id is never mistaken for it.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    started: u64,
}

/// State letter and start time of a process.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name stands in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

impl Process {
    /// The process with this id, which must be running.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    pub(crate) fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it still runs; a zombie does not.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && state != 'Z')
    }

    fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended since; that is what is wanted.
            let _gone = kill_process(pid, signal);
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, and kills it when it has not after 10 s.
    pub(crate) async fn end(self) {
        self.terminate();
        let begin = Instant::now();
        while self.is_alive() {
            if begin.elapsed() > Duration::from_secs(10) {
                self.signal(Signal::KILL);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if begin.elapsed() > Duration::from_secs(15) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_its_own_and_ends_another() {
        assert!(Process::own().is_some_and(Process::is_alive));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep exists");
        let process = Process::of(child.id()).expect("it runs");
        assert!(process.is_alive());
        process.end().await;
        assert!(!process.is_alive());
        child.wait().expect("our child");
        let reused = Process {
            pid: std::process::id(),
            started: 1,
        };
        assert!(!reused.is_alive(), "another start time is another process");
    }
}
