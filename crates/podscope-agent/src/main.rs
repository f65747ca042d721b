//! The agent's program; see [`podscope_agent::cli`].

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// glibc's variable: how many heaps its threads share.
const ARENAS: &str = "MALLOC_ARENA_MAX";

fn main() -> ExitCode {
    run_with_few_heaps();
    podscope_agent::cli::main(
        std::env::args_os(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
}

/// glibc gives nearly every thread a heap of its own and returns little of it: some 5 MB for two dozen threads that hardly
/// allocate. The limit can only be set before the program starts, so it starts itself again, once, in the same process.
fn run_with_few_heaps() {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let one_shot = std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == "config" || first == "nvml-child");
    if one_shot || std::env::var_os(ARENAS).is_some() {
        return;
    }
    if let Ok(own) = std::env::current_exe() {
        // Comes back only when it failed, and then the agent takes a little more memory.
        drop(
            Command::new(own)
                .arg0(name)
                .args(arguments)
                .env(ARENAS, "2")
                .exec(),
        );
    }
}
