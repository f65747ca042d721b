//! Golden files: expected output that is committed and reviewed. `UPDATE_GOLDEN=1 cargo test` rewrites them.

use std::path::Path;

/// Compares `actual` with the file at `path` (relative to the crate under test, as the test is run by cargo).
///
/// # Panics
/// When they differ, showing the first different line, or when the file does not exist.
#[track_caller]
#[expect(clippy::panic, reason = "a failed comparison fails the test")]
pub fn golden(path: impl AsRef<Path>, actual: &str) {
    let path = path.as_ref();
    let shown = path.display();
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(path, actual));
        if let Err(error) = written {
            panic!("golden file {shown} cannot be written: {error}");
        }
        return;
    }
    let expected = match std::fs::read_to_string(path) {
        Ok(expected) => expected,
        Err(error) => {
            panic!("golden file {shown} cannot be read ({error}); run the test with UPDATE_GOLDEN=1")
        }
    };
    if let Some(difference) = first_difference(&expected, actual) {
        panic!(
            "golden file {shown} differs; if the change is meant, run the test with UPDATE_GOLDEN=1\n{difference}"
        );
    }
}

/// The first line in which two texts differ.
fn first_difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let mut lines = (expected.lines(), actual.lines());
    for number in 1.. {
        match (lines.0.next(), lines.1.next()) {
            (None, None) => break,
            (expected, actual) if expected == actual => {}
            (expected, actual) => {
                let show =
                    |line: Option<&str>| line.map_or("(end of text)".to_owned(), |line| format!("{line:?}"));
                return Some(format!(
                    "line {number}: expected {}\nline {number}: actual   {}",
                    show(expected),
                    show(actual)
                ));
            }
        }
    }
    Some("only the line ends differ".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_line_that_differs() {
        let text = first_difference("a\nb\nc\n", "a\nx\nc\n").expect("differs");
        assert_eq!(text, "line 2: expected \"b\"\nline 2: actual   \"x\"");
        assert!(
            first_difference("a\n", "a")
                .expect("differs")
                .contains("line ends")
        );
        assert_eq!(first_difference("a", "a"), None);
    }

    #[test]
    fn an_equal_file_passes() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("x.golden");
        std::fs::write(&path, "same\n").expect("written");
        golden(&path, "same\n");
    }
}
