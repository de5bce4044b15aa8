//! Names that tell whose a namespace or a control group is, and whether the owner still lives.
//!
//! A name is `cutpoint-PID-START-WHAT`. The start time of the process tells it from a later one
//! that got the same id.

use anyhow::Context;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const PREFIX: &str = "cutpoint";

/// A process that makes things which outlive it if it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: u32,
    /// Clock ticks since the machine started.
    start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn this_process() -> anyhow::Result<Owner> {
        let pid = std::process::id();
        let start = start_of(pid).context("cannot read this process's start from /proc")?;
        Ok(Owner { pid, start })
    }

    /// The name of this owner's `what`, which has letters and digits only.
    pub(crate) fn name(self, what: &str) -> String {
        format!("{PREFIX}-{}-{}-{what}", self.pid, self.start)
    }

    /// The owner of something called `name`; `None` if the name is not one of ours.
    pub(crate) fn of(name: &str) -> Option<Owner> {
        let mut parts = name.split('-');
        let prefix = parts.next()?;
        let pid = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        let what = parts.next()?;
        let ours = prefix == PREFIX && !what.is_empty() && parts.next().is_none();
        let owner = Owner { pid, start };
        (ours && owner.name(what) == name).then_some(owner)
    }

    /// Whether the process that this names still runs.
    pub(crate) fn is_alive(self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

/// Names in `folder` whose owners no longer run; none if there is no such folder.
pub(crate) fn leftovers_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let place = || format!("cannot list {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(place),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.with_context(place)?.file_name();
        // Ours are plain text.
        let Some(name) = name.to_str() else { continue };
        if Owner::of(name).is_some_and(|owner| !owner.is_alive()) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn start_of(pid: u32) -> Option<u64> {
    start_in_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field of a `/proc/PID/stat`. The second, a name in parentheses, may hold anything.
fn start_in_stat(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_from_a_name() {
        let owner = Owner { pid: 12, start: 345 };
        assert_eq!(owner.name("device"), "cutpoint-12-345-device");
        assert_eq!(Owner::of("cutpoint-12-345-device"), Some(owner));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        for name in [
            "device",
            "cutpoint",
            "cutpoint-12-345",
            "cutpoint-12-345-",
            "cutpoint-x-345-device",
            "cutpoint-12-345-device-2",
            "cutpoint-012-345-device",
            "cutpoint-+12-345-device",
            "cutpoint-99999999999-1-device",
            "other-12-345-device",
        ] {
            assert_eq!(Owner::of(name), None, "{name}");
        }
    }

    #[test]
    fn the_start_is_found_behind_any_program_name() {
        let stat = "7 (a) R 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        assert_eq!(start_in_stat(stat), Some(98_765));
        assert_eq!(start_in_stat("7 (a) S 1"), None);
    }

    #[test]
    fn only_what_dead_owners_left_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let living = Owner::this_process().unwrap();
        let dead = Owner { start: living.start - 1, ..living };
        for name in [living.name("device"), dead.name("device"), "other".to_owned()] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(leftovers_in(folder.path()).unwrap(), [dead.name("device")]);
        assert!(leftovers_in(&folder.path().join("absent")).unwrap().is_empty());
    }

    #[test]
    fn a_process_is_told_from_an_earlier_one_with_its_id() {
        let owner = Owner::this_process().unwrap();
        assert!(owner.is_alive());
        assert!(!Owner { start: owner.start - 1, ..owner }.is_alive());
    }
}
