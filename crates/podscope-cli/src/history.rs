//! `podscope history`: looking through an agent's history, and cutting out what is damaged.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryAction {
    /// Verifies every checksum of a history that no agent has open, and reports; fails where something is damaged. Changes
    /// nothing.
    Check {
        /// The agent's data folder.
        dir: PathBuf,
    },
    /// Cuts what is damaged out of a history that no agent has open, and keeps the cut pieces beside it.
    Repair {
        /// The agent's data folder.
        dir: PathBuf,
    },
}

/// Answers whether all is well.
pub(crate) fn run(action: &HistoryAction, out: &mut impl Write) -> anyhow::Result<bool> {
    match action {
        HistoryAction::Check { dir } => {
            let report = podscope_history::check(dir)?;
            writeln!(out, "{report}")?;
            if !report.is_sound() {
                writeln!(
                    out,
                    "`podscope history repair` cuts out what is damaged and keeps it aside"
                )?;
            }
            Ok(report.is_sound())
        }
        HistoryAction::Repair { dir } => {
            let report = podscope_history::repair(dir)?;
            writeln!(out, "{report}")?;
            Ok(true)
        }
    }
}
