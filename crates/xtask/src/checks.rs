//! House rules that no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::generate;

/// Which workspace crates each crate may use outside its tests (docs/ARCHITECTURE.md has the same table).
const MAY_USE: &[(&str, &[&str])] = &[
    ("podscope-model", &[]),
    ("podscope-promql", &["podscope-model"]),
    ("podscope-history", &["podscope-model"]),
    ("podscope-collect", &["podscope-model", "podscope-vms"]),
    ("podscope-incident", &["podscope-model"]),
    ("podscope-vms", &["podscope-model"]),
    ("podscope-fanout", &["podscope-model", "podscope-promql"]),
    (
        "podscope-agent",
        &[
            "podscope-model",
            "podscope-promql",
            "podscope-history",
            "podscope-collect",
            "podscope-incident",
            "podscope-fanout",
            "podscope-vms",
        ],
    ),
    (
        "podscope-sim",
        &[
            "podscope-model",
            "podscope-history",
            "podscope-collect",
            "podscope-agent",
        ],
    ),
    ("podscope-testkit", &["podscope-model"]),
    (
        "podscope-plugin",
        &[
            "podscope-model",
            "podscope-promql",
            "podscope-fanout",
            "podscope-incident",
            "podscope-vms",
        ],
    ),
];

/// Runs every check and reports all that failed.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    drifted_files(root, &mut faults)?;
    crate_manifests(root, &mut faults)?;
    raw_metric_names(root, &mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} house rule(s) broken:\n{}", faults.len(), faults.join("\n"))
}

/// What looks like a metric's name and is none: a file of /sys/class/infiniband, a state and a field of Slurm.
const NO_METRICS: &[&str] = &["node_guid", "node_fail", "node_count"];

fn drifted_files(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for (path, wanted) in generate::files(root) {
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            let shown = path
                .strip_prefix(root)
                .context("generated files lie in the repository")?
                .display()
                .to_string();
            faults.push(format!(
                "{shown}: differs from the catalog; run `cargo xtask generate`"
            ));
        }
    }
    Ok(())
}

fn crate_manifests(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let mut manifests = vec![root.join("Cargo.toml")];
    for entry in fs::read_dir(root.join("crates")).context("reading crates/")? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            manifests.push(manifest);
        }
    }
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for path in manifests {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("parsing {}", path.display()))?;
        let name = manifest["package"]["name"]
            .as_str()
            .context("a package has a name")?
            .to_owned();
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if lints != Some(true) {
            faults.push(format!("{}: lacks `[lints] workspace = true`", path.display()));
        }
        let folder = path
            .parent()
            .and_then(Path::file_name)
            .and_then(|folder| folder.to_str());
        if path.parent() != Some(root) && folder != Some(name.as_str()) {
            faults.push(format!(
                "{}: folder and crate name differ ({name})",
                path.display()
            ));
        }
        let Some(allowed) = rules.get(name.as_str()) else {
            continue;
        };
        let used = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in used.into_iter().flat_map(|table| table.keys()) {
            if dependency.starts_with("podscope-") && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not use {dependency} (docs/ARCHITECTURE.md)"));
            }
        }
    }
    Ok(())
}

/// Metric names as string literals outside the catalog. Tests may name what a dashboard or another exporter would.
fn raw_metric_names(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    // A literal that ends in `_` is a prefix that kernel keys are put behind; what comes of it is in the catalog.
    let literal = Regex::new(
        r#""((?:node|podscope|ds01)_[a-z0-9_]*[a-z0-9]|vast_[a-z]+_[A-Za-z0-9_]*[A-Za-z0-9]|DCGM_(?:FI|EXP)_[A-Z0-9_]+)""#,
    )?;
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files)?;
    for entry in fs::read_dir(root.join("crates"))? {
        rust_files(&entry?.path().join("src"), &mut files)?;
    }
    for path in files {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let test_file = path.file_name().is_some_and(|name| name == "tests.rs") || shown.contains("/tests/");
        if shown.contains("podscope-model/src/catalog/") || shown.contains("xtask/") || test_file {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {shown}"))?;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                break;
            }
            if line.trim_start().starts_with("//") {
                continue;
            }
            // `podscope_plugin_*` never become series of ours: Grafana serves them at its own /metrics/plugins.
            let is_metric = |name: &str| !name.starts_with("podscope_plugin_") && !NO_METRICS.contains(&name);
            let names = literal.captures_iter(line).filter_map(|found| found.get(1));
            for name in names.filter(|name| is_metric(name.as_str())) {
                faults.push(format!(
                    "{shown}:{}: raw metric name {}; use its catalog constant",
                    number + 1,
                    name.as_str()
                ));
            }
        }
    }
    Ok(())
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    Ok(())
}
