//! Who a container or process belongs to: its labels say it, else the user who logged in, else the user it runs as.

use std::collections::BTreeMap;

use super::cgroup::{GroupId, Runtime};
use super::config::ContainerConfig;
use super::engine::EngineContainer;
use crate::fs::HostFs;

/// What the kernel has for a process of nobody who logged in.
const NO_LOGIN: u32 = u32::MAX;

/// A container's owner, and how it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Empty where nobody can be named.
    pub user: String,
    pub interface: String,
}

/// The owner a container's labels name; empty where they name none.
pub fn user_of_labels(labels: &BTreeMap<String, String>, config: &ContainerConfig) -> String {
    let named = config
        .user_labels
        .iter()
        .filter_map(|name| labels.get(name))
        .find(|user| !user.is_empty());
    if let Some(user) = named {
        return user.clone();
    }
    let homes = config.path_labels.iter().filter_map(|name| labels.get(name));
    homes
        .filter_map(|path| user_of_path(path))
        .next()
        .unwrap_or_default()
}

/// `alice` of `/home/alice/project`.
fn user_of_path(path: &str) -> Option<String> {
    let mut parts = path
        .split('/')
        .skip_while(|part| !matches!(*part, "home" | "Users"));
    parts.next()?;
    parts.next().filter(|user| !user.is_empty()).map(str::to_owned)
}

/// How a container was started, as far as its labels and its group tell.
pub fn interface(
    container: Option<&EngineContainer>,
    group: Option<&GroupId>,
    config: &ContainerConfig,
) -> String {
    if let Some(container) = container {
        let labels = &container.labels;
        let mut named = config.interface_labels.iter().filter_map(|name| labels.get(name));
        if let Some(interface) = named.find(|interface| !interface.is_empty()) {
            return interface.clone();
        }
        let any = |prefix: &str| labels.keys().any(|name| name.starts_with(prefix));
        if any("devcontainer.") {
            return "devcontainer".to_owned();
        }
        if any("com.docker.compose.") {
            return "compose".to_owned();
        }
    }
    match group {
        Some(group) if group.runtime == Runtime::Slurm => "slurm",
        Some(group) if group.pod.is_some() => "kubernetes",
        _ => "other",
    }
    .to_owned()
}

/// The machine's accounts: names of users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<u32, (String, u32)>,
    groups: BTreeMap<u32, (String, Vec<String>)>,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`; a machine that keeps its users elsewhere has numbers for names.
    pub fn read(fs: &dyn HostFs) -> Self {
        let mut buffer = Vec::new();
        let mut text = |path: &str| match fs.read(path, &mut buffer) {
            Ok(()) => String::from_utf8_lossy(&buffer).into_owned(),
            Err(_) => String::new(),
        };
        let (passwd, group) = (text("/etc/passwd"), text("/etc/group"));
        let mut accounts = Self::default();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = fields[..]
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                accounts
                    .users
                    .entry(uid)
                    .or_insert_with(|| (name.to_owned(), gid));
            }
        }
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, members] = fields[..]
                && let Ok(gid) = gid.parse()
            {
                let members = members.split(',').filter(|name| !name.is_empty());
                accounts
                    .groups
                    .insert(gid, (name.to_owned(), members.map(str::to_owned).collect()));
            }
        }
        accounts
    }

    /// The name of a user, or the number.
    pub fn user(&self, uid: u32) -> String {
        self.users
            .get(&uid)
            .map_or_else(|| uid.to_string(), |(name, _)| name.clone())
    }

    /// The groups of a user, without the one that has the user's own name.
    pub fn groups_of(&self, user: &str) -> Vec<&str> {
        let primary = self
            .users
            .values()
            .find(|(name, _)| name == user)
            .map(|(_, gid)| *gid);
        self.groups
            .iter()
            .filter(|(gid, (_, members))| Some(**gid) == primary || members.iter().any(|name| name == user))
            .map(|(_, (name, _))| name.as_str())
            .filter(|name| *name != user)
            .collect()
    }

    /// The owner of a process: who logged in, else whom it runs as; empty for root, who owns everything and so nothing.
    pub fn owner_of_process(&self, fs: &dyn HostFs, pid: u32) -> String {
        let mut buffer = Vec::new();
        let mut read = |path: String| -> Option<String> {
            fs.read(&path, &mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer).into_owned())
        };
        let login = read(format!("/proc/{pid}/loginuid")).and_then(|text| text.trim().parse::<u32>().ok());
        let login = login.filter(|uid| *uid != NO_LOGIN);
        let uid = login.or_else(|| {
            let status = read(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        });
        uid.filter(|uid| *uid != 0)
            .map_or(String::new(), |uid| self.user(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn labels_name_the_user_in_their_order() {
        let config = ContainerConfig::default();
        for (pairs, user) in [
            (&[("ds01.user", "alice"), ("aime.mlc.USER", "bob")][..], "alice"),
            (&[("ds01.user", ""), ("aime.mlc.USER", "bob")], "bob"),
            (&[("devcontainer.local_folder", "/home/carol/work")], "carol"),
            (&[("com.docker.compose.project.working_dir", "/srv/app")], ""),
            (&[("ds01.user", "o\"dd\nname")], "o\"dd\nname"),
            (&[], ""),
        ] {
            assert_eq!(user_of_labels(&labels(pairs), &config), user, "{pairs:?}");
        }
    }

    #[test]
    fn what_started_a_container_is_told_by_label_else_by_its_kind() {
        let config = ContainerConfig::default();
        let container = |pairs: &[(&str, &str)]| EngineContainer {
            labels: labels(pairs),
            ..EngineContainer::default()
        };
        for (pairs, wanted) in [
            (
                &[("ds01.interface", "atomic"), ("devcontainer.id", "x")][..],
                "atomic",
            ),
            (&[("devcontainer.metadata", "x")], "devcontainer"),
            (&[("com.docker.compose.service", "web")], "compose"),
            (&[], "other"),
        ] {
            assert_eq!(interface(Some(&container(pairs)), None, &config), wanted);
        }
        let job = super::super::cgroup::group_of("/slurm/uid_1/job_7");
        assert_eq!(interface(None, job.as_ref(), &config), "slurm");
    }

    #[test]
    fn a_process_is_of_who_logged_in_else_of_whom_it_runs_as_and_never_of_root() {
        let fs = MemFs::new();
        fs.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:100::/:/\nbroken\n");
        fs.write(
            "/etc/group",
            "alice:x:1000:\nusers:x:100:\nstudents:x:2000:alice,bob\n",
        );
        let accounts = Accounts::read(&fs);
        fs.write("/proc/7/loginuid", "1000");
        fs.write("/proc/7/status", "Name:\tx\nUid:\t0\t0\t0\t0\n");
        fs.write("/proc/8/loginuid", "4294967295");
        fs.write("/proc/8/status", "Name:\tx\nUid:\t1001\t1001\t1001\t1001\n");
        fs.write("/proc/9/status", "Uid:\t0\t0\t0\t0\n");
        fs.write("/proc/10/status", "Uid:\t4711\t0\t0\t0\n");
        let owner = |pid| accounts.owner_of_process(&fs, pid);
        assert_eq!([7, 8, 9, 10, 11].map(owner), ["alice", "bob", "", "4711", ""]);
        assert_eq!(accounts.groups_of("alice"), ["students"]);
        assert_eq!(accounts.groups_of("bob"), ["users", "students"]);
    }
}
