//! The agent's program; see [`podscope_agent::cli`].

fn main() -> std::process::ExitCode {
    podscope_agent::cli::main(
        std::env::args_os(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
}
