//! `podscope stress` and `podscope sim`, where what they need is not there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::command::{free_port, podscope, text};

#[test]
fn without_pytorch_and_cupy_it_says_how_to_get_one_and_exits_with_3() {
    let output = podscope(&["stress", "gpu", "--python", "/nonexistent/python3"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.contains("there is no /nonexistent/python3") && said.contains("pip install torch"),
        "{said}"
    );
    // A Python that has neither.
    let folder = tempfile::tempdir().expect("a folder");
    let python = folder.path().join("python3");
    let script =
        "#!/bin/sh\necho 'none no PyTorch (No module named torch); no CuPy (No module named cupy)'\nexit 3\n";
    std::fs::write(&python, script).expect("a writable folder");
    std::fs::set_permissions(&python, Permissions::from_mode(0o755)).expect("our own file");
    let output = podscope(&["stress", "gpu", "--python", &python.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.contains("No module named torch") && said.contains("--python"),
        "{said}"
    );
}

#[test]
fn with_a_library_it_says_which_and_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let python = folder.path().join("python3");
    let script = "#!/bin/sh\necho torch\necho \"$3 $4 $5\"\n";
    std::fs::write(&python, script).expect("a writable folder");
    std::fs::set_permissions(&python, Permissions::from_mode(0o755)).expect("our own file");
    let python = python.to_string_lossy();
    let arguments = [
        "stress",
        "gpu",
        "--gpu",
        "2",
        "--seconds",
        "5",
        "--memory",
        "1.5",
        "--python",
        &python,
    ];
    let output = podscope(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "GPU 2 for 5 s; Ctrl-C stops it\nwith torch: 2 5 1.5\n"
    );
}

#[test]
fn without_simulated_nodes_it_says_how_to_start_them() {
    let control = format!("http://127.0.0.1:{}", free_port());
    for action in [&["fault", "gpu-waste"][..], &["faults"], &["heal"]] {
        let arguments = [&["sim"], action, &["--control", &control]].concat();
        let output = podscope(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(
            said.contains(&control) && said.contains("podscope demo"),
            "{said}"
        );
    }
}
