//! What others wrote down about who has which GPU: DS01's `gpu-state.json`, and dcgm-exporter's folder of job mappings.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::fs::HostFs;

/// A file that is longer is none of these.
const LONGEST: usize = 8 << 20;
/// Jobs told per GPU.
const MOST_JOBS: usize = 64;

/// One GPU or slice of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// As the file names it: `0`, `1.0`.
    pub(super) slot: String,
    /// UUID of the MIG instance, where it is one.
    pub(super) uuid: String,
    pub(super) containers: Vec<String>,
    pub(super) users: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    gpus: BTreeMap<String, Gpu>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gpu {
    uuid: Option<String>,
    containers: Vec<String>,
    users: serde_json::Value,
}

/// The slots of the file.
pub(super) fn slots(text: &[u8]) -> Result<Vec<Slot>, serde_json::Error> {
    let file: File = serde_json::from_slice(text)?;
    let slot = |(slot, gpu): (String, Gpu)| Slot {
        slot,
        uuid: gpu.uuid.unwrap_or_default(),
        containers: gpu.containers,
        // Versions differ: a map from user to count, or a list.
        users: match gpu.users {
            serde_json::Value::Object(map) => map.into_iter().map(|(user, _)| user).collect(),
            serde_json::Value::Array(list) => list
                .iter()
                .filter_map(|user| user.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        },
    };
    Ok(file.gpus.into_iter().map(slot).collect())
}

/// The state file, with what it said when it could last be read: while DS01 writes it, half of it is there.
#[derive(Debug, Default)]
pub(super) struct StateFile {
    last: Vec<Slot>,
    buffer: Vec<u8>,
}

impl StateFile {
    /// The slots; and what is wrong with the file now, if something is.
    pub(super) fn read(&mut self, fs: &dyn HostFs, path: &Path) -> (&[Slot], Option<String>) {
        let path = path.to_string_lossy();
        if let Err(error) = fs.read(&path, &mut self.buffer) {
            if error.kind() == std::io::ErrorKind::NotFound {
                self.last.clear();
            }
            return (&self.last, Some(error.to_string()));
        }
        if self.buffer.len() > LONGEST {
            return (&self.last, Some(format!("longer than {LONGEST} bytes")));
        }
        match slots(&self.buffer) {
            Ok(slots) => {
                self.last = slots;
                (&self.last, None)
            }
            Err(error) => (&self.last, Some(format!("{error}; what it said before is kept"))),
        }
    }
}

/// The jobs on each GPU or slice, by the file's name: `0`, `0.1`.
pub(super) fn mapped_jobs(fs: &dyn HostFs, folder: &Path) -> std::io::Result<Vec<(String, Vec<String>)>> {
    let folder = folder.to_string_lossy();
    let mut buffer = Vec::new();
    let mut jobs = Vec::new();
    for name in fs.list(&folder)? {
        let mut numbers = name.split('.').map(|part| part.parse::<u32>().is_ok());
        if numbers.clone().count() > 2 || !numbers.all(|is_number| is_number) {
            continue;
        }
        if fs.read(&format!("{folder}/{name}"), &mut buffer).is_err() {
            continue;
        }
        let text = String::from_utf8_lossy(&buffer);
        let list = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let list: Vec<String> = list.take(MOST_JOBS).map(str::to_owned).collect();
        if !list.is_empty() {
            jobs.push((name, list));
        }
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    const FILE: &str = r#"{"mig_enabled": true, "gpus": {
        "0": {"type": "physical_gpu", "containers": ["thesis"], "users": {"alice": 1}, "reserved_until": null},
        "1.0": {"type": "mig_instance", "physical_gpu": "1", "device_id": "0", "uuid": "MIG-a", "profile": "1g.10gb",
                "containers": [], "users": {}}}}"#;

    #[test]
    fn a_state_file_half_written_costs_nothing_that_was_known() {
        let fs = MemFs::new();
        let path = Path::new("/var/lib/ds01/gpu-state.json");
        let mut file = StateFile::default();
        assert!(file.read(&fs, path).1.is_some(), "not there");
        fs.write("/var/lib/ds01/gpu-state.json", FILE);
        let (slots, problem) = file.read(&fs, path);
        assert_eq!((slots.len(), problem), (2, None));
        assert_eq!(slots[0].containers, ["thesis"]);
        assert_eq!(
            (slots[0].users.as_slice(), slots[1].uuid.as_str()),
            (&["alice".to_owned()][..], "MIG-a")
        );
        for cut in [0, 1, FILE.len() / 2, FILE.len() - 1] {
            fs.write("/var/lib/ds01/gpu-state.json", &FILE.as_bytes()[..cut]);
            let (slots, problem) = file.read(&fs, path);
            assert!(slots.len() == 2 && problem.is_some(), "cut at {cut}");
        }
    }

    #[test]
    fn a_job_mapping_has_a_file_per_gpu_and_a_job_per_line() {
        let fs = MemFs::new();
        fs.write("/run/jobs/0", "4711\n\n4712\n");
        fs.write("/run/jobs/1.0", "4713");
        fs.write("/run/jobs/2", "");
        fs.write("/run/jobs/.hidden", "x");
        fs.write("/run/jobs/0.1.2", "x");
        let jobs = mapped_jobs(&fs, Path::new("/run/jobs")).expect("the folder is there");
        let wanted = [("0", vec!["4711", "4712"]), ("1.0", vec!["4713"])];
        let wanted = wanted.map(|(name, jobs)| {
            (
                name.to_owned(),
                jobs.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            )
        });
        assert_eq!(jobs, wanted);
        assert!(mapped_jobs(&fs, Path::new("/nowhere")).is_err());
    }
}
