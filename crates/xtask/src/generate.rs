//! Files made from the metric catalog.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use podscope_model::catalog::{self, Job, MetricDef};

/// Every generated file with its content.
pub(crate) fn files(root: &Path) -> Vec<(PathBuf, String)> {
    vec![
        (root.join("docs/metrics.md"), metrics_markdown()),
        (
            root.join("frontend/src/generated/catalog.ts"),
            catalog_typescript(),
        ),
    ]
}

/// Writes them.
pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, content) in files(root) {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn metrics_markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\nGenerated from the catalog by `cargo xtask generate`. `instance`, `job` and node labels come on top of the labels\n\
         listed here. A metric whose source is missing is absent, never 0.\n",
    );
    for job in Job::ALL {
        let mut list: Vec<&MetricDef> = catalog::all().filter(|def| def.job == job).collect();
        list.sort_by_key(|def| def.name);
        if list.is_empty() {
            continue;
        }
        out.push_str(&format!(
            "\n## `job=\"{}\"`\n\n| metric | kind | unit | labels | meaning | source |\n| --- | --- | --- | --- | --- | --- |\n",
            job.as_str()
        ));
        for def in list {
            let labels: Vec<String> = def.labels.iter().map(|label| format!("`{label}`")).collect();
            out.push_str(&format!(
                "| `{}` | {} | {} | {} | {} | {} |\n",
                def.name,
                def.kind.as_str(),
                unit_word(def),
                labels.join(", "),
                def.help.replace('|', "\\|"),
                def.origin.replace('|', "\\|")
            ));
        }
    }
    out
}

fn unit_word(def: &MetricDef) -> String {
    serde_json::to_value(def.unit)
        .ok()
        .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

fn catalog_typescript() -> String {
    let mut list: Vec<&MetricDef> = catalog::all().collect();
    list.sort_by_key(|def| def.name);
    let mut out = String::from(
        "// Generated from the metric catalog by `cargo xtask generate`; do not edit.\n\n\
         export interface CatalogEntry {\n  kind: string;\n  /** Grafana's id of the unit. */\n  unit: string;\n  help: string;\n}\n\n\
         export const CATALOG: Readonly<Record<string, CatalogEntry>> = {\n",
    );
    for def in list {
        out.push_str(&format!(
            "  {}: {{ kind: {}, unit: {}, help: {} }},\n",
            def.name,
            serde_json::json!(def.kind.as_str()),
            serde_json::json!(def.unit.grafana()),
            serde_json::json!(def.help)
        ));
    }
    out.push_str("};\n");
    out
}
