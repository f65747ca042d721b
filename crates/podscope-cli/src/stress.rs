//! `podscope stress gpu`: keeps a GPU busy for a while with a PyTorch or CuPy that is installed, to see it on the
//! dashboards. Nothing is ever installed.

use std::io::Write;
use std::process::{ExitCode, Stdio};

use anyhow::Context;
use clap::Subcommand;
use tokio::process::Command;

/// The exit code where neither library is there.
pub(crate) const NO_LIBRARY: u8 = 3;

#[derive(Debug, Subcommand)]
pub(crate) enum StressAction {
    /// Multiplies matrices on a GPU.
    Gpu {
        /// The GPU's index.
        #[arg(long, default_value_t = 0)]
        gpu: u32,
        /// How long.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// GiB of GPU memory to hold meanwhile.
        #[arg(long, default_value_t = 1.0, value_name = "GIB")]
        memory: f64,
        /// The Python to use.
        #[arg(long, default_value = "python3")]
        python: String,
    },
}

/// Says on its first line which library it found, or `none` with the reason; then works.
const PROGRAM: &str = r#"
import sys, time
gpu, seconds, gib = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
library, why = None, []
try:
    import torch
    if torch.cuda.is_available(): library = "torch"
    else: why.append("PyTorch is installed and sees no GPU")
except Exception as error: why.append(f"no PyTorch ({error})")
if library is None:
    try:
        import cupy
        if cupy.cuda.runtime.getDeviceCount() > 0: library = "cupy"
        else: why.append("CuPy is installed and sees no GPU")
    except Exception as error: why.append(f"no CuPy ({error})")
print(library or "none " + "; ".join(why), flush=True)
if library is None: sys.exit(3)
until, n, rounds = time.time() + seconds, 4096, 0
if library == "torch":
    torch.cuda.set_device(gpu)
    held = torch.empty(int(gib * 2**30), dtype=torch.uint8, device="cuda")
    a = torch.randn(n, n, device="cuda", dtype=torch.float16)
    while time.time() < until:
        for _ in range(20): b = a @ a
        torch.cuda.synchronize(); rounds += 20
else:
    cupy.cuda.Device(gpu).use()
    held = cupy.empty(int(gib * 2**30), dtype=cupy.uint8)
    a = cupy.random.rand(n, n).astype(cupy.float16)
    while time.time() < until:
        for _ in range(20): b = a @ a
        cupy.cuda.Stream.null.synchronize(); rounds += 20
print(f"{rounds} products of {n} x {n} matrices, {2 * n**3 * rounds / seconds / 1e12:.1f} TFLOP/s", flush=True)
"#;

/// How to get one of the libraries.
const REMEDY: &str = "install one of them yourself, for instance in a virtual environment:
  python3 -m venv stress && stress/bin/pip install torch     (or: cupy-cuda12x)
  podscope stress gpu --python stress/bin/python3";

/// Answers whether the GPU was kept busy. Exits with [`NO_LIBRARY`] where there is nothing to do it with.
pub(crate) async fn run(
    action: StressAction,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    let StressAction::Gpu {
        gpu,
        seconds,
        memory,
        python,
    } = action;
    let started = Command::new(&python)
        .args([
            "-c",
            PROGRAM,
            &gpu.to_string(),
            &seconds.to_string(),
            &memory.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return missing(err, &format!("there is no {python}"));
        }
        Err(error) => return Err(error).with_context(|| format!("starting {python}")),
    };
    writeln!(out, "GPU {gpu} for {seconds} s; Ctrl-C stops it")?;
    out.flush()?;
    let output = child
        .wait_with_output()
        .await
        .with_context(|| format!("waiting for {python}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (first, rest) = said.split_once('\n').unwrap_or((&said, ""));
    if let Some(why) = first.strip_prefix("none") {
        return missing(err, why.trim());
    }
    writeln!(out, "with {first}: {}", rest.trim())?;
    Ok(output.status.success())
}

fn missing(err: &mut impl Write, why: &str) -> anyhow::Result<bool> {
    writeln!(
        err,
        "podscope: neither PyTorch nor CuPy can be used: {why}\n{REMEDY}"
    )?;
    Err(anyhow::Error::new(NoLibrary))
}

/// Says that the exit code is [`NO_LIBRARY`]; what is to be said has been said.
#[derive(Debug, thiserror::Error)]
#[error("neither PyTorch nor CuPy")]
pub(crate) struct NoLibrary;

impl NoLibrary {
    /// The exit code of an error, where it is this one.
    pub(crate) fn exit_code(error: &anyhow::Error) -> Option<ExitCode> {
        error.is::<Self>().then(|| ExitCode::from(NO_LIBRARY))
    }
}
