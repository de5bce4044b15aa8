//! `testbed clean`: removing what crashed runs left behind, and nothing else.

use super::host::cgroup::{self, Hierarchy};
use super::host::{lock, netns, require_root};
use std::process::ExitCode;

/// Removes leftovers and says which.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    require_root()?;
    let _lock = lock()?;
    for name in remove_leftovers()? {
        println!("removed {name}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the namespaces and control groups of testbeds whose process is gone, with what still
/// runs in them, and gives their names. Call it under [`lock`].
pub(crate) fn remove_leftovers() -> anyhow::Result<Vec<String>> {
    let mut removed = Vec::new();
    for name in netns::leftovers()? {
        netns::remove(&name)?;
        removed.push(format!("namespace {name}"));
    }
    // Groups last: their processes were in the namespaces.
    if let Some(hierarchy) = Hierarchy::find()? {
        for folder in hierarchy.leftovers()? {
            cgroup::remove(&folder)?;
            removed.push(format!("control group {}", folder.display()));
        }
    }
    Ok(removed)
}
