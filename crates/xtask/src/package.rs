//! The plugin folder as Grafana loads it: the built frontend with both manifests, and the backend executable beside the
//! app's manifest, where the nested datasource's `executable` points.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Grafana appends `_<os>_<arch>` to the manifest's `executable`, with Go's names for both.
fn executable_name() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("gpx_podscope_{}_{arch}", std::env::consts::OS)
}

pub(crate) fn package(root: &Path, backend: &Path, out: &Path) -> Result<()> {
    let built = root.join("frontend/dist");
    if !built.join("module.js").is_file() {
        bail!(
            "{} has no module.js: build the frontend first (npm --prefix frontend run build)",
            built.display()
        );
    }
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("removing {}", out.display()))?;
    }
    copy_folder(&built, out)?;
    let target = out.join(executable_name());
    fs::copy(backend, &target)
        .with_context(|| format!("copying {} to {}", backend.display(), target.display()))?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("copying to {}", target.display()))?;
        }
    }
    Ok(())
}
