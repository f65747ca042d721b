//! The child's side: reads NVML when asked, and ends when nobody asks any more.

use std::io::{BufReader, Read, Write};

use super::protocol::{Request, Response, VERSION, read_message, write_message};
use super::{Known, Nvml, NvmlFailure, take_snapshot};

/// Answers requests from `stdin` on `stdout` until `stdin` ends, which it does when the agent is gone, however it went.
///
/// # Errors
///
/// When a request is not one, or the answer cannot be written.
pub fn child_main(mut nvml: impl Nvml, stdin: impl Read, mut stdout: impl Write) -> std::io::Result<()> {
    let mut stdin = BufReader::new(stdin);
    let mut known = Known::default();
    while let Some(request) = read_message::<Request>(&mut stdin)? {
        let result = if request.version == VERSION {
            take_snapshot(&mut nvml, &mut known, request.processes)
        } else {
            Err(NvmlFailure::Failed(format!(
                "the agent speaks version {} and its child {VERSION}: the binary was replaced, restart the agent",
                request.version
            )))
        };
        write_message(
            &mut stdout,
            &Response {
                version: VERSION,
                id: request.id,
                result,
            },
        )?;
    }
    Ok(())
}
