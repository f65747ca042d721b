//! Running the built programs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn podscope(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podscope"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program was built")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program of the workspace, built beside ours.
pub(crate) fn sibling(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_podscope")).with_file_name(name);
    assert!(
        path.is_file(),
        "{} is missing: build the workspace first (cargo build --workspace)",
        path.display()
    );
    path
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback")
        .port()
}

/// A program that is ended with the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(program: &Path, arguments: &[String]) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().expect("our own child");
        }
    }
}
