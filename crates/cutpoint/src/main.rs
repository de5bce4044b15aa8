//! The program `cutpoint`.

use clap::Parser;
use std::process::ExitCode;

/// Some builds of ONNX Runtime record how they are used, unless this is set before their library
/// is loaded.
#[cfg(unix)]
const DISABLE_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// How many heaps the C library's allocator keeps, on Linux. By default each thread has one, and the
/// tensors that threads pass on leave free memory behind in each. Large tensors are few, so threads
/// do not wait for the only heap.
#[cfg(unix)]
const HEAPS: &str = "MALLOC_ARENA_MAX";

fn main() -> ExitCode {
    #[cfg(unix)]
    restart_with_settings();
    match cutpoint::cli::run(cutpoint::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            if let Some(misuse) = error.downcast_ref::<clap::Error>() {
                let _ = misuse.print();
                return ExitCode::from(2);
            }
            eprintln!("error: {error:#}");
            if let Some(advice) = error.downcast_ref().and_then(cutpoint::error::Error::advice) {
                eprintln!("\nhint: {advice}");
            }
            ExitCode::from(1)
        }
    }
}

/// Starts the program over, in the same process, with telemetry turned off and one heap, unless the
/// user has chosen another number; a program cannot change its own environment without risk. Goes on
/// as it is where that fails.
#[cfg(unix)]
fn restart_with_settings() {
    use std::os::unix::process::CommandExt;
    if std::env::var_os(DISABLE_TELEMETRY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    if std::env::var_os(HEAPS).is_none() {
        command.env(HEAPS, "1");
    }
    let error = command.args(arguments).env(DISABLE_TELEMETRY, "1").exec();
    eprintln!("warning: cannot turn off the telemetry of ONNX Runtime: {error}");
}
