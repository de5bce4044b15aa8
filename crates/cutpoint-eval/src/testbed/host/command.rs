//! Running `ip`, `tc` and other programs of the system, whose messages become ours.

use anyhow::{Context, ensure};
use std::process::{Command, Stdio};

/// Runs a command line to its end and returns what it printed. Words are split at spaces; none of
/// our names has one.
///
/// # Errors
///
/// Where the program is missing or fails, with its own words.
pub(crate) fn run(line: &str) -> anyhow::Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command line")?;
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{program}`; install iproute2 and util-linux"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{line}` failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
