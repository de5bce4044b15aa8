//! Running `ip` and `tc`, whose messages become ours.

use anyhow::{Context, ensure};
use std::process::{Command, Stdio};

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    program: &'static str,
    arguments: Vec<String>,
}

impl Line {
    /// `words` are split at spaces; none of our names has one.
    pub(crate) fn new(program: &'static str, words: &str) -> Line {
        Line { program, arguments: words.split_whitespace().map(str::to_owned).collect() }
    }

    /// Runs to the end and gives what was printed.
    ///
    /// # Errors
    ///
    /// Where the program is not there or fails, with its own words.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let output = Command::new(self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run `{}`, part of iproute2", self.program))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{self}` failed: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.program, self.arguments.join(" "))
    }
}

/// Runs `ip` with `words`.
pub(crate) fn ip(words: &str) -> anyhow::Result<String> {
    Line::new("ip", words).run()
}

/// Runs `tc` with `words`.
pub(crate) fn tc(words: &str) -> anyhow::Result<String> {
    Line::new("tc", words).run()
}
