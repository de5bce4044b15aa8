//! Becoming a command in a namespace, a control group and on chosen cores.
//!
//! The program calls itself with these flags, joins what they say, and is then replaced by the
//! command, so that the command and all it starts are inside from their first instruction.

use super::cores::Cores;
use super::priority::before_others;
use anyhow::{Context, anyhow};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where a command is to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The namespace to enter.
    #[arg(long)]
    pub(crate) netns: Option<String>,
    /// The folder of the control group to join.
    #[arg(long)]
    pub(crate) cgroup: Option<PathBuf>,
    /// The cores to stay on, separated by commas.
    #[arg(long)]
    pub(crate) cores: Option<Cores>,
    /// Whether to run before other programs, where that is allowed.
    #[arg(long)]
    pub(crate) first: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

impl Args {
    /// The command line, after the program's name, that leads to these arguments.
    pub(crate) fn to_words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["testbed".into(), "enter".into()];
        if let Some(netns) = &self.netns {
            words.extend(["--netns".into(), netns.into()]);
        }
        if let Some(cgroup) = &self.cgroup {
            words.extend(["--cgroup".into(), cgroup.into()]);
        }
        if let Some(cores) = &self.cores {
            words.extend(["--cores".into(), cores.to_string().into()]);
        }
        if self.first {
            words.push("--first".into());
        }
        words.push("--".into());
        words.extend(self.command.iter().cloned());
        words
    }
}

/// Joins and becomes the command; returns only where that fails.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // If the testbed is killed, nothing that it started may go on.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(netns) = &args.netns {
        enter_netns(netns)?;
    }
    if let Some(cgroup) = &args.cgroup {
        join_cgroup(cgroup)?;
    }
    if let Some(cores) = &args.cores {
        cores.pin_this_thread()?;
    }
    let command =
        if args.first { before_others(args.command.clone()) } else { args.command.clone() };
    let (program, arguments) =
        command.split_first().ok_or_else(|| anyhow!("no command was given"))?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Moves this thread, and what it starts from now on, into the namespace `name`.
pub(crate) fn enter_netns(name: &str) -> anyhow::Result<()> {
    let path = Path::new("/run/netns").join(name);
    let netns = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("cannot enter namespace {name}"))
}

fn join_cgroup(folder: &Path) -> anyhow::Result<()> {
    let procs = folder.join("cgroup.procs");
    // Zero is the process that writes.
    fs::write(&procs, "0").with_context(|| format!("cannot write to {}", procs.display()))
}
