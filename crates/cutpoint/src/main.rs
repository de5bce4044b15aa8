//! The program `cutpoint`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cutpoint::cli::run(cutpoint::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(advice) = error.downcast_ref().and_then(cutpoint::error::Error::advice) {
                eprintln!("\nhint: {advice}");
            }
            ExitCode::from(1)
        }
    }
}
