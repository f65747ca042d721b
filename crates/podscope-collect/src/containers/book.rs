//! The containers there are, shared by all who want to know: what the engine says of them, what their groups say, and who
//! they belong to.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cgroup::{GroupId, group_of, group_of_process};
use super::config::ContainerConfig;
use super::engine::{Engine, EngineContainer};
use super::people::{Accounts, interface, user_of_labels};
use crate::fs::HostFs;
use crate::kernel::{Who, WhoIs};

/// Containers inspected in one look at most; the rest in the next.
const MOST_INSPECTIONS: usize = 64;
/// Processes remembered after their end, for errors that name them.
const MOST_REMEMBERED: usize = 4096;

/// A container as all collectors name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The engine's id, or `job_7`.
    pub id: String,
    /// The engine's name; without an engine the first 12 digits of the id.
    pub name: String,
    pub image: String,
    pub user: String,
    pub interface: String,
    pub host_network: bool,
}

/// How an engine answered the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    pub place: String,
    /// What went wrong; `None`: it answered.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct Book {
    engines: BTreeMap<String, EngineContainer>,
    status: Vec<EngineStatus>,
    inspected: BTreeMap<String, EngineContainer>,
    /// What the groups' owners were found to be, by id.
    known: BTreeMap<String, Container>,
    /// Process -> container and user, oldest first.
    processes: BTreeMap<u32, (u64, Who)>,
    clock: u64,
    accounts: Accounts,
    /// Somebody saw a container that the engine has not told of.
    wanted: bool,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
}

/// Clone it, the content is shared.
#[derive(Clone, Debug)]
pub struct ContainerBook {
    shared: Arc<Shared>,
    fs: Arc<dyn HostFs>,
    config: Arc<ContainerConfig>,
}

impl ContainerBook {
    pub fn new(fs: Arc<dyn HostFs>, config: ContainerConfig) -> Self {
        let book = Self {
            shared: Arc::default(),
            fs,
            config: Arc::new(config),
        };
        let accounts = Accounts::read(&*book.fs);
        book.lock().accounts = accounts;
        book
    }

    pub fn config(&self) -> &ContainerConfig {
        &self.config
    }

    pub(super) fn fs(&self) -> &Arc<dyn HostFs> {
        &self.fs
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the engines, and keeps what was known of one that does not answer. No lock is held while one is asked.
    pub fn refresh(&self, engines: &mut [Box<dyn Engine>]) {
        let mut listed = BTreeMap::new();
        let mut status = Vec::new();
        for engine in engines {
            let known = self.lock().inspected.clone();
            let result = engine.list().map(|list| {
                let mut inspections = 0;
                for mut container in list {
                    match known
                        .get(&container.id)
                        .filter(|known| known.running == container.running)
                    {
                        Some(known) => {
                            container.gpus = known.gpus.clone();
                            container.host_network = known.host_network;
                            container.pid = known.pid;
                        }
                        None if container.running && inspections < MOST_INSPECTIONS => {
                            inspections += 1;
                            // One that is gone meanwhile stays as the list had it.
                            if engine.inspect(&mut container).is_ok() {
                                self.lock()
                                    .inspected
                                    .insert(container.id.clone(), container.clone());
                            }
                        }
                        None => {}
                    }
                    listed.insert(container.id.clone(), container);
                }
            });
            status.push(EngineStatus {
                place: engine.place(),
                error: result.err().map(|error| error.to_string()),
            });
        }
        let accounts = Accounts::read(&*self.fs);
        let mut book = self.lock();
        if status.iter().any(|engine| engine.error.is_some()) {
            // Of an engine that is silent we go on believing what it said last.
            for (id, container) in std::mem::take(&mut book.engines) {
                listed.entry(id).or_insert(container);
            }
        }
        book.engines = listed;
        let Book {
            inspected, engines, ..
        } = &mut *book;
        inspected.retain(|id, _| engines.contains_key(id));
        book.status = status;
        book.accounts = accounts;
        book.wanted = false;
        // What was found without the engine may be known better now.
        book.known.clear();
    }

    /// The engines and how they answered the last time; empty while none was asked.
    pub fn engines(&self) -> Vec<EngineStatus> {
        self.lock().status.clone()
    }

    /// Every container the engines know, running or not, with its owner.
    pub fn all(&self) -> Vec<(EngineContainer, Container)> {
        let book = self.lock();
        let config = &self.config;
        book.engines
            .values()
            .map(|engine| (engine.clone(), described(engine, None, config)))
            .collect()
    }

    /// The container of a group; `first_pid` is a process of it, for containers whose labels name no user.
    pub fn container(&self, group: &GroupId, first_pid: Option<u32>) -> Container {
        let accounts = {
            let mut book = self.lock();
            if let Some(known) = book.known.get(&group.id) {
                return known.clone();
            }
            if !book.engines.contains_key(&group.id) && group.id.len() == 64 && !book.wanted {
                book.wanted = true;
                self.shared.changed.notify_all();
            }
            book.accounts.clone()
        };
        // The machine is read without the lock.
        let of_process = || {
            let by_path = group.uid.filter(|uid| *uid != 0).map(|uid| accounts.user(uid));
            let by_pid = || first_pid.map(|pid| accounts.owner_of_process(&*self.fs, pid));
            by_path.or_else(by_pid).unwrap_or_default()
        };
        let mut book = self.lock();
        let mut container = match book.engines.get(&group.id) {
            Some(engine) => described(engine, Some(group), &self.config),
            None => Container {
                id: group.id.clone(),
                name: group.id.get(..12).unwrap_or(&group.id).to_owned(),
                interface: interface(None, Some(group), &self.config),
                ..Container::default()
            },
        };
        if container.user.is_empty() {
            container.user = of_process();
        }
        if book.known.len() < MOST_REMEMBERED {
            book.known.insert(group.id.clone(), container.clone());
        }
        container
    }

    /// Container and user of a process, which may be in no container at all.
    pub fn of_process(&self, pid: u32) -> Who {
        let mut buffer = Vec::new();
        let path = format!("/proc/{pid}/cgroup");
        let group = match self.fs.read(&path, &mut buffer) {
            Ok(()) => group_of_process(&String::from_utf8_lossy(&buffer)),
            // The process is gone; somebody may have asked for it before.
            Err(_) => {
                return self
                    .lock()
                    .processes
                    .get(&pid)
                    .map(|(_, who)| who.clone())
                    .unwrap_or_default();
            }
        };
        let who = match group {
            Some(group) => {
                let container = self.container(&group, Some(pid));
                Who {
                    container: container.name,
                    user: container.user,
                }
            }
            None => {
                let accounts = self.lock().accounts.clone();
                Who {
                    container: String::new(),
                    user: accounts.owner_of_process(&*self.fs, pid),
                }
            }
        };
        let mut book = self.lock();
        book.clock += 1;
        let now = book.clock;
        book.processes.insert(pid, (now, who.clone()));
        if book.processes.len() > MOST_REMEMBERED {
            book.processes
                .retain(|_, (at, _)| *at + (MOST_REMEMBERED as u64) / 2 > now);
        }
        who
    }

    /// Users' groups, for users that are known.
    pub fn groups_of(&self, user: &str) -> Vec<String> {
        let book = self.lock();
        book.accounts
            .groups_of(user)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until it is time to ask the engines again; false when nobody wants to know any more.
    fn wait(&self, time: Duration) -> bool {
        let book = self.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(book, time, |book| !book.wanted && !book.stopping);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !book.stopping
    }
}

/// A container as its engine describes it. The owner may still be empty.
fn described(engine: &EngineContainer, group: Option<&GroupId>, config: &ContainerConfig) -> Container {
    Container {
        id: engine.id.clone(),
        name: engine.name.clone(),
        image: engine.image.clone(),
        user: user_of_labels(&engine.labels, config),
        interface: interface(Some(engine), group, config),
        host_network: engine.host_network,
    }
}

impl WhoIs for ContainerBook {
    fn of_pid(&self, pid: u32) -> Option<Who> {
        Some(self.of_process(pid)).filter(|who| *who != Who::default())
    }

    fn of_cgroup(&self, path: &str) -> Option<Who> {
        let container = self.container(&group_of(path)?, None);
        Some(Who {
            container: container.name,
            user: container.user,
        })
    }
}

/// A thread that asks the engines: a dead or slow one costs nobody else anything. It ends with this.
#[derive(Debug)]
pub struct EngineWatch {
    book: ContainerBook,
}

impl EngineWatch {
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(book: &ContainerBook, mut engines: Vec<Box<dyn Engine>>) -> std::io::Result<Self> {
        let own = book.clone();
        // Not joined: an engine that hangs is left to its deadline.
        std::thread::Builder::new()
            .name("engines".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                loop {
                    own.refresh(&mut engines);
                    // However many unknown containers there are, an engine is asked once a second at most.
                    let pause = Duration::from_secs(1);
                    std::thread::park_timeout(pause);
                    if !own.wait(own.config.engine_interval.saturating_sub(pause)) {
                        return;
                    }
                }
            })?;
        Ok(Self { book: book.clone() })
    }
}

impl Drop for EngineWatch {
    fn drop(&mut self) {
        self.book.lock().stopping = true;
        self.book.shared.changed.notify_all();
    }
}
