//! Which container, pod or job a control group belongs to, by its path; and where those groups lie.

use crate::fs::HostFs;

/// What made the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    Slurm,
}

impl Runtime {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Slurm => "slurm",
        }
    }
}

/// A container or job, as its group's path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupId {
    pub runtime: Runtime,
    /// 64 hexadecimal digits, or `job_7` for a Slurm job.
    pub id: String,
    /// The Kubernetes pod's uid, where it is of one.
    pub pod: Option<String>,
    /// The user id in the path of a Slurm job.
    pub uid: Option<u32>,
    /// The part of the path that is the container's own group.
    pub path: String,
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Prefixes of systemd scopes, by runtime.
const SCOPES: [(&str, Runtime); 5] = [
    ("docker-", Runtime::Docker),
    ("cri-containerd-", Runtime::Containerd),
    ("containerd-", Runtime::Containerd),
    ("crio-", Runtime::CriO),
    ("libpod-", Runtime::Podman),
];

/// What the path of a control group says; `None` for groups of no container.
pub fn group_of(path: &str) -> Option<GroupId> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let pod = parts.iter().find_map(|part| pod_uid(part));
    for (at, part) in parts.iter().enumerate() {
        let found = container(part, at.checked_sub(1).map(|before| parts[before]), pod.is_some());
        if let Some((runtime, id)) = found {
            return Some(GroupId {
                runtime,
                id: id.to_owned(),
                pod,
                uid: None,
                path: format!("/{}", parts[..=at].join("/")),
            });
        }
        if let Some(number) = part.strip_prefix("job_")
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && parts[..at].iter().any(|before| before.starts_with("slurm"))
        {
            let uid = parts[..at]
                .iter()
                .find_map(|before| before.strip_prefix("uid_")?.parse().ok());
            return Some(GroupId {
                runtime: Runtime::Slurm,
                id: (*part).to_owned(),
                pod: None,
                uid,
                path: format!("/{}", parts[..=at].join("/")),
            });
        }
    }
    None
}

fn container<'a>(part: &'a str, before: Option<&str>, in_pod: bool) -> Option<(Runtime, &'a str)> {
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in SCOPES {
        if let Some(id) = scope.strip_prefix(prefix)
            && is_id(id)
        {
            return Some((runtime, id));
        }
    }
    // containerd without systemd writes `slice:cri-containerd:id`.
    if let Some((head, id)) = part.rsplit_once(':')
        && is_id(id)
    {
        let runtime = if head.ends_with("docker") {
            Runtime::Docker
        } else {
            Runtime::Containerd
        };
        return Some((runtime, id));
    }
    if !is_id(part) {
        return None;
    }
    match before {
        Some("docker") => Some((Runtime::Docker, part)),
        Some(before) if before.starts_with("libpod") => Some((Runtime::Podman, part)),
        _ if in_pod => Some((Runtime::Containerd, part)),
        _ => None,
    }
}

/// `kubepods-burstable-pod1234_5678.slice` and `pod1234-5678`.
fn pod_uid(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.strip_prefix("kubepods") {
        Some(rest) => rest.rsplit_once("-pod")?.1,
        None => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    (uid.len() == 36 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')).then_some(uid)
}

/// The group of a process, from `/proc/PID/cgroup`: version 2's line, else that of version 1's memory controller.
pub fn group_of_process(text: &str) -> Option<GroupId> {
    let mut lines = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let found: Vec<(&str, &str, &str)> = lines.by_ref().collect();
    let unified = found
        .iter()
        .find(|(number, names, _)| *number == "0" && names.is_empty());
    let memory = found
        .iter()
        .find(|(_, names, _)| names.split(',').any(|name| name == "memory"));
    [unified, memory]
        .into_iter()
        .flatten()
        .find_map(|(_, _, path)| group_of(path))
        .or_else(|| found.iter().find_map(|(_, _, path)| group_of(path)))
}

/// Where the groups lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree for all controllers.
    V2,
    /// A tree per controller.
    V1,
}

pub const ROOT: &str = "/sys/fs/cgroup";

impl Hierarchy {
    /// Which of the two the machine has.
    pub fn of(fs: &dyn HostFs) -> Option<Self> {
        if fs.exists("/sys/fs/cgroup/cgroup.controllers") {
            return Some(Self::V2);
        }
        fs.exists("/sys/fs/cgroup/memory").then_some(Self::V1)
    }

    /// The folder below which groups are looked for.
    pub fn root(self) -> &'static str {
        match self {
            Self::V2 => ROOT,
            Self::V1 => "/sys/fs/cgroup/memory",
        }
    }
}

/// How deep groups of containers lie at most: nested pods, and a user's own slices.
const DEEPEST: usize = 8;

/// The groups of all containers and jobs there are, at most `most`; and how many there were beyond.
pub fn find_groups(fs: &dyn HostFs, hierarchy: Hierarchy, most: usize) -> (Vec<GroupId>, usize) {
    let (mut found, mut beyond) = (Vec::new(), 0);
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(names) = fs.list(&format!("{}{folder}", hierarchy.root())) else {
            continue;
        };
        for name in names {
            let path = format!("{folder}/{name}");
            if let Some(group) = group_of(&path) {
                if found.len() < most {
                    found.push(group);
                } else {
                    beyond += 1;
                }
            } else if depth < DEEPEST && may_hold_groups(&name) {
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort_by(|a: &GroupId, b: &GroupId| a.path.cmp(&b.path));
    (found, beyond)
}

/// Whether the name is of a folder that may hold groups of containers: a group's other entries are files.
fn may_hold_groups(name: &str) -> bool {
    name.ends_with(".slice")
        || name == "slurmstepd.scope"
        || [
            "docker", "kubepods", "pod", "libpod", "machine", "slurm", "uid_", "user@",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_runtimes_paths_are_known() {
        for (path, runtime, pod) in [
            (format!("/system.slice/docker-{ID}.scope"), Runtime::Docker, false),
            (format!("/docker/{ID}"), Runtime::Docker, false),
            (format!("/docker/{ID}/init.scope"), Runtime::Docker, false),
            (
                format!("/ds01.slice/ds01-students.slice/docker-{ID}.scope"),
                Runtime::Docker,
                false,
            ),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                Runtime::Podman,
                false,
            ),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
                Runtime::Podman,
                false,
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-{ID}.scope"
                ),
                Runtime::Containerd,
                true,
            ),
            (
                format!("/kubepods/besteffort/pod12345678-1234-1234-1234-123456789abc/{ID}"),
                Runtime::Containerd,
                true,
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice/crio-{ID}.scope"
                ),
                Runtime::CriO,
                true,
            ),
            (
                format!("/system.slice/containerd.service/kubepods-x:cri-containerd:{ID}"),
                Runtime::Containerd,
                false,
            ),
        ] {
            let group = group_of(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((group.runtime, group.id.as_str()), (runtime, ID), "{path}");
            assert_eq!(group.pod.is_some(), pod, "{path}");
            assert!(path.starts_with(&group.path), "{path}");
        }
    }

    #[test]
    fn slurm_jobs_are_known_in_both_versions() {
        let one = group_of("/slurm/uid_1001/job_77/step_0/task_3").expect("a job");
        assert_eq!(
            (one.runtime, one.id.as_str(), one.uid),
            (Runtime::Slurm, "job_77", Some(1001))
        );
        assert_eq!(one.path, "/slurm/uid_1001/job_77");
        let two = group_of("/system.slice/slurmstepd.scope/job_78/step_batch").expect("a job");
        assert_eq!((two.id.as_str(), two.uid), ("job_78", None));
    }

    #[test]
    fn other_groups_are_of_no_container() {
        for path in [
            "",
            "/",
            "/system.slice/ssh.service",
            "/user.slice/user-1000.slice/session-3.scope",
            "/docker/nonsense",
            "/machine.slice/libpod-conmon-0123.scope",
            "/my/job_7",
        ] {
            assert_eq!(group_of(path), None, "{path}");
        }
        assert_eq!(
            group_of(&format!("/system.slice/crio-conmon-{ID}.scope")),
            None,
            "a monitor"
        );
        assert_eq!(group_of(&format!("/somewhere/{ID}")), None, "any hash");
    }

    #[test]
    fn a_process_is_found_by_either_versions_file() {
        let two = group_of_process(&format!("0::/system.slice/docker-{ID}.scope\n")).expect("version 2");
        assert_eq!(two.id, ID);
        let one =
            format!("12:devices:/docker/{ID}\n11:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
        assert_eq!(
            group_of_process(&one).expect("version 1").runtime,
            Runtime::Docker
        );
        assert_eq!(group_of_process("0::/init.scope\nnonsense"), None);
    }

    #[test]
    fn the_tree_is_walked_and_what_is_too_much_is_counted() {
        let fs = MemFs::new();
        fs.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        for at in 0..5 {
            let id = ID.replacen('0', &at.to_string(), 1);
            fs.write(
                &format!("/sys/fs/cgroup/system.slice/docker-{id}.scope/cpu.stat"),
                "",
            );
        }
        fs.write("/sys/fs/cgroup/system.slice/ssh.service/cpu.stat", "");
        fs.write(
            &format!("/sys/fs/cgroup/a.slice/b.slice/docker-{ID}.scope/cpu.stat"),
            "",
        );
        assert_eq!(Hierarchy::of(&fs), Some(Hierarchy::V2));
        assert_eq!(find_groups(&fs, Hierarchy::V2, 100).0.len(), 5 + 1);
        let (some, beyond) = find_groups(&fs, Hierarchy::V2, 4);
        assert_eq!((some.len(), beyond), (4, 2));
    }
}
