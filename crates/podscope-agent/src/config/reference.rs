//! The configuration reference, made from the declarations: the commented file of `config --default`, and
//! `docs/agent-config.md`.

use std::fmt::Write;

use super::{Config, Key, SECTIONS, Section};

/// The file with every key at its default; keys that are not set stand in comments with an example.
pub fn default_toml() -> String {
    let mut out =
        String::from("# podscope-agent: every key is optional, and what stands here is the default.\n");
    for section in SECTIONS {
        out.push('\n');
        if !section.name.is_empty() {
            comment(&mut out, section.doc);
            line(&mut out, format_args!("[{}]\n", section.name));
        }
        for (at, key) in section.keys.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            comment(&mut out, key.doc);
            match (default_of(&section, key), key.example) {
                (Some(value), _) => line(&mut out, format_args!("{} = {value}", key.name)),
                (None, Some(example)) => line(&mut out, format_args!("# {} = {example}", key.name)),
                (None, None) => line(&mut out, format_args!("# {} =", key.name)),
            }
        }
    }
    out
}

/// `docs/agent-config.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# The agent's configuration\n\n\
         Made from the declarations in `crates/podscope-agent/src/config`; to change it, change those and run\n\
         `UPDATE_GOLDEN=1 cargo test -p podscope-agent`.\n\n\
         `podscope-agent --config FILE` reads one TOML file, and every key in it is optional.\n\
         `podscope-agent config --default` prints a commented file to start from, `podscope-agent config --check FILE`\n\
         names the line, the key and the remedy of a mistake. `SIGHUP` or `POST /-/reload` reads the file again and says\n\
         which changes need a restart.\n",
    );
    for section in SECTIONS {
        if section.name.is_empty() {
            out.push_str("\n## Top level\n");
        } else {
            line(&mut out, format_args!("\n## `[{}]`\n", section.name));
            line(&mut out, format_args!("{}", joined(section.doc)));
        }
        for key in section.keys {
            line(&mut out, format_args!("\n### `{}`\n", key.name));
            line(&mut out, format_args!("{}\n", joined(key.doc)));
            match (default_of(&section, key), key.example) {
                (Some(value), _) => line(&mut out, format_args!("Default: `{value}`")),
                (None, Some(example)) => {
                    line(
                        &mut out,
                        format_args!("Default: not set. Example: `{} = {example}`", key.name),
                    );
                }
                (None, None) => out.push_str("Default: not set.\n"),
            }
        }
    }
    out
}

/// The default as TOML, or `None` where it is "not set".
fn default_of(section: &Section, key: &Key) -> Option<String> {
    let whole = toml::Value::try_from(Config::default()).ok()?;
    let table = if section.name.is_empty() {
        Some(&whole)
    } else {
        whole.get(section.name)
    };
    match table?.get(key.name)? {
        toml::Value::Table(table) if table.is_empty() => None,
        value => Some(value.to_string()),
    }
}

fn comment(out: &mut String, doc: &[&str]) {
    for text in doc {
        line(out, format_args!("#{text}"));
    }
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|text| text.trim()).collect::<Vec<_>>().join("\n")
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    if writeln!(out, "{text}").is_err() {
        out.push('\n');
    }
}
