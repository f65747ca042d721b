//! `gpx_podscope`: the executable Grafana starts. See [`podscope_plugin`].

use std::process::ExitCode;

use podscope_plugin::host;

fn main() -> ExitCode {
    match host::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the log layer stands, and for people who start the executable by hand.
            eprintln!("gpx_podscope: {error}");
            ExitCode::FAILURE
        }
    }
}
