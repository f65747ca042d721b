//! Where the history lies when the configuration does not say.

use std::path::PathBuf;

use crate::config::Config;

/// A folder, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) why: &'static str,
}

/// No folder could be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no folder for the history: neither $XDG_STATE_HOME nor $HOME is set; set `data_dir` in the configuration"
)]
pub struct NoDataDir;

/// `environment` looks a variable up; the process's own in the binary.
///
/// # Errors
/// [`NoDataDir`].
pub(crate) fn choose(
    configured: Option<PathBuf>,
    root: bool,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<DataDir, NoDataDir> {
    if let Some(path) = configured {
        return Ok(DataDir {
            path,
            why: "from the configuration",
        });
    }
    if root {
        return Ok(DataDir {
            path: PathBuf::from("/var/lib/podscope"),
            why: "the default for root",
        });
    }
    let set = |name: &str| {
        environment(name)
            .filter(|value| value.starts_with('/'))
            .map(PathBuf::from)
    };
    if let Some(state) = set("XDG_STATE_HOME") {
        return Ok(DataDir {
            path: state.join("podscope"),
            why: "from $XDG_STATE_HOME, since this is not root",
        });
    }
    let home = set("HOME").ok_or(NoDataDir)?;
    Ok(DataDir {
        path: home.join(".local/state/podscope"),
        why: "in the home folder, since this is not root",
    })
}

/// The folder of this process.
///
/// # Errors
/// [`NoDataDir`].
pub(crate) fn of_config(config: &Config) -> Result<DataDir, NoDataDir> {
    let root = rustix::process::geteuid().is_root();
    choose(config.data_dir.clone(), root, |name| std::env::var(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_goes_first_then_root_then_the_users_folders() {
        let environment = |name: &str| Some(format!("/{}", name.to_lowercase()));
        let path = |configured: Option<&str>, root| {
            choose(configured.map(PathBuf::from), root, environment)
                .expect("a folder")
                .path
        };
        assert_eq!(path(Some("/x"), true), PathBuf::from("/x"));
        assert_eq!(path(None, true), PathBuf::from("/var/lib/podscope"));
        assert_eq!(path(None, false), PathBuf::from("/xdg_state_home/podscope"));
        let only_home = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        let chosen = choose(None, false, only_home).expect("a folder");
        assert_eq!(chosen.path, PathBuf::from("/home/u/.local/state/podscope"));
        assert_eq!(choose(None, false, |_| None), Err(NoDataDir));
    }
}
