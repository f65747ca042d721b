//! Texts that are committed beside the tests. `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

/// Compares with a file below the crate's folder.
#[track_caller]
pub(crate) fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is not what the code makes now; look at the difference and run again with UPDATE_GOLDEN=1\n{}",
        first_difference(&committed, text)
    );
}

fn first_difference(committed: &str, made: &str) -> String {
    let mut lines = committed.lines().zip(made.lines()).enumerate();
    match lines.find(|(_, (a, b))| a != b) {
        Some((at, (a, b))) => format!("line {}:\n- {a}\n+ {b}", at + 1),
        None => format!(
            "{} lines committed, {} made",
            committed.lines().count(),
            made.lines().count()
        ),
    }
}
