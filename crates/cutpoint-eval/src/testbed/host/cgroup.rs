//! Holding the device to a fraction of a core with a control group of our own, version 1 or 2.
//!
//! The quota is given for a short period: with the kernel's default of 100 ms a short computation
//! runs at full speed or stalls for most of the period, instead of looking like a slow processor.

use super::LOOK_AGAIN;
use super::names::{Owner, leftovers_in};
use anyhow::{Context, ensure};
use serde::Serialize;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The shortest quota that the kernel takes.
const QUOTA_US_MIN: u64 = 1_000;
/// How long the processes of a group may take to be gone after they were killed.
const EMPTY_LIMIT: Duration = Duration::from_secs(5);

/// Which interface the kernel has for processor quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Version {
    /// `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    V1,
    /// `cpu.max`.
    V2,
}

/// Where groups with a processor quota can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its interface.
    pub(crate) version: Version,
    /// The folder in which a group is a folder.
    pub(crate) folder: PathBuf,
}

/// A share of processor time in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    quota_us: u64,
    period_us: u64,
}

impl Quota {
    /// `cores` of one core's time, in periods of `period_ms`.
    ///
    /// # Errors
    ///
    /// Where the kernel cannot do it, naming the flag.
    pub(crate) fn new(cores: f64, period_ms: u64) -> anyhow::Result<Quota> {
        ensure!(
            (1..=1_000).contains(&period_ms),
            "--device-period-ms is {period_ms}, expected 1 to 1000"
        );
        let period_us = period_ms * 1_000;
        let quota_us = (cores * period_us as f64).round() as u64;
        ensure!(
            quota_us >= QUOTA_US_MIN,
            "--device-cores {cores} of a {period_ms} ms period is {quota_us} µs, the kernel's \
             minimum is {QUOTA_US_MIN} µs\n\nhint: use a longer --device-period-ms"
        );
        Ok(Quota { quota_us, period_us })
    }
}

impl Hierarchy {
    /// The hierarchy with the `cpu` controller; `None` if this kernel has none.
    pub(crate) fn find() -> anyhow::Result<Option<Hierarchy>> {
        let mounts =
            fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        if let Some(folder) = mount_point(&mounts, "cgroup", Some("cpu")) {
            return Ok(Some(Hierarchy { version: Version::V1, folder }));
        }
        Ok(mount_point(&mounts, "cgroup2", None)
            .filter(|folder| has_word(&folder.join("cgroup.controllers"), "cpu"))
            .map(|folder| Hierarchy { version: Version::V2, folder }))
    }

    /// Groups of owners that no longer run.
    pub(crate) fn leftovers(&self) -> anyhow::Result<Vec<PathBuf>> {
        let names = leftovers_in(&self.folder)?;
        Ok(names.into_iter().map(|name| self.folder.join(name)).collect())
    }
}

/// A group that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes the group `what` of `owner` with this quota.
    pub(crate) fn new(
        hierarchy: &Hierarchy,
        owner: Owner,
        what: &str,
        quota: Quota,
    ) -> anyhow::Result<Group> {
        let children = hierarchy.folder.join("cgroup.subtree_control");
        if hierarchy.version == Version::V2 && !has_word(&children, "cpu") {
            write(&children, "+cpu")?;
        }
        let folder = hierarchy.folder.join(owner.name(what));
        fs::create_dir(&folder)
            .with_context(|| format!("cannot make the control group {}", folder.display()))?;
        let group = Group { folder };
        let Quota { quota_us, period_us } = quota;
        let settings = match hierarchy.version {
            Version::V1 => vec![
                ("cpu.cfs_period_us", period_us.to_string()),
                ("cpu.cfs_quota_us", quota_us.to_string()),
            ],
            Version::V2 => vec![("cpu.max", format!("{quota_us} {period_us}"))],
        };
        for (file, value) in settings {
            write(&group.folder.join(file), &value)?;
        }
        Ok(group)
    }

    /// The file that a process joins the group by writing to.
    pub(crate) fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How often the quota held its processes back.
    pub(crate) fn throttling(&self) -> anyhow::Result<Throttling> {
        let file = self.folder.join("cpu.stat");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Throttling::parse(&text))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// How often a quota held the device back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Throttling {
    /// Periods in which something wanted to run.
    pub(crate) periods: u64,
    /// Those in which the quota was used up.
    pub(crate) throttled_periods: u64,
}

impl Throttling {
    fn parse(stat: &str) -> Throttling {
        let value = |key: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        Throttling { periods: value("nr_periods"), throttled_periods: value("nr_throttled") }
    }
}

/// Removes a group, once the processes that were killed in it are gone.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + EMPTY_LIMIT;
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(error) => {
                let place = || format!("cannot remove the control group {}", folder.display());
                return Err(error).with_context(place);
            }
        }
    }
}

fn write(file: &Path, value: &str) -> anyhow::Result<()> {
    fs::write(file, value).with_context(|| format!("cannot write {value} to {}", file.display()))
}

fn has_word(file: &Path, word: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|found| found == word))
}

/// Where a `/proc/self/mounts` says that a file system of this kind, with this option, is.
fn mount_point(mounts: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (folder, found, options) = (words.next()?, words.next()?, words.next()?);
        let has = |option: &str| options.split(',').any(|found| found == option);
        (found == kind && option.is_none_or(has)).then(|| folder.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
proc /proc proc rw,relatime 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0
";

    #[test]
    fn hierarchies_are_found_by_kind_and_controller() {
        let found = |kind, option| mount_point(MOUNTS, kind, option);
        assert_eq!(found("cgroup", Some("cpu")), Some("/sys/fs/cgroup/cpu".into()));
        assert_eq!(found("cgroup2", None), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(found("cgroup", Some("pids")), None);
        assert_eq!(mount_point("", "cgroup2", None), None);
    }

    #[test]
    fn a_fraction_becomes_a_quota_or_a_hint() {
        let quota = Quota::new(0.25, 10).unwrap();
        assert_eq!(quota, Quota { quota_us: 2_500, period_us: 10_000 });
        let refused = Quota::new(0.05, 10).unwrap_err().to_string();
        assert!(refused.contains("500 µs") && refused.contains("hint"), "{refused}");
        assert!(Quota::new(0.5, 0).is_err());
        assert!(Quota::new(f64::NAN, 10).is_err());
    }

    #[test]
    fn both_cgroup_versions_get_the_same_quota() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::this_process().unwrap();
        let quota = Quota::new(0.125, 10).unwrap();
        let make = |version, what| {
            let hierarchy = Hierarchy { version, folder: folder.path().to_owned() };
            let group = Group::new(&hierarchy, owner, what, quota).unwrap();
            let read = |file: &str| fs::read_to_string(group.folder.join(file)).unwrap();
            let told = match version {
                Version::V1 => {
                    format!("{} {}", read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
                }
                Version::V2 => read("cpu.max"),
            };
            // An ordinary folder, unlike a group, goes only with its files.
            fs::remove_dir_all(&group.folder).unwrap();
            told
        };
        assert_eq!(make(Version::V1, "one"), "1250 10000");
        assert_eq!(make(Version::V2, "two"), "1250 10000");
        let children = fs::read_to_string(folder.path().join("cgroup.subtree_control"));
        assert_eq!(children.unwrap(), "+cpu");
    }

    #[test]
    fn throttling_is_read_by_key() {
        let stat = "nr_periods 120\nnr_throttled 80\nthrottled_time 99\n";
        let found = Throttling::parse(stat);
        assert_eq!(found, Throttling { periods: 120, throttled_periods: 80 });
    }
}
