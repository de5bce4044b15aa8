//! Where jobs come from that arrive over time: inputs that are replayed one each period, and files
//! that appear in a folder.

use crate::device::{Arrival, Arrivals};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Inputs, Supply};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, ModelId};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// How often a folder is looked at.
const LOOK_EVERY: Time = Time::from_nanoseconds(100_000_000);

/// How long size and modification time must be unchanged for a file to be complete.
const STABLE_FOR: Time = Time::from_nanoseconds(300_000_000);

/// The most files that are known by name and wait to be taken; more are not looked at yet.
const WAITING_MAX: usize = 100_000;

/// Known inputs, one each period from the start of the run.
pub struct Replay<'a> {
    period: Time,
    models: &'a [ModelId],
    supply: &'a dyn Supply,
    next: usize,
    /// The next job's inputs, so that reading them takes no time from it.
    loaded: Option<Inputs>,
}

impl<'a> Replay<'a> {
    /// Jobs of these models, for each of which `supply` has inputs.
    pub fn new(period: Time, models: &'a [ModelId], supply: &'a dyn Supply) -> Replay<'a> {
        Replay { period, models, supply, next: 0, loaded: None }
    }
}

impl Arrivals<'_> for Replay<'_> {
    fn poll(&mut self, now: Time, has_room: bool) -> Arrival {
        let Some(&model) = self.models.get(self.next) else { return Arrival::End };
        let loaded = self.loaded.take().unwrap_or_else(|| self.supply.inputs(self.next));
        let arrived = self.period * (self.next as u64);
        if now < arrived || !has_room {
            self.loaded = Some(loaded);
            return Arrival::Later((now < arrived).then_some(arrived));
        }
        self.next += 1;
        Arrival::Job { model, arrived, inputs: loaded }
    }
}

/// The most names that are kept: of the latest files. Far more than jobs are in work at a time, as a
/// job that fails leaves its name here.
const NAMES_MAX: usize = 1024;

/// The names of the files that jobs in work are from.
pub type Names = Arc<Mutex<BTreeMap<JobId, String>>>;

/// Files of a folder, those that are there and those that appear.
pub struct Watch<'a> {
    folder: PathBuf,
    model: ModelId,
    load: &'a dyn Fn(&Path) -> Inputs,
    sightings: Sightings,
    waiting: VecDeque<(OsString, Time)>,
    look_at: Time,
    taken: u32,
    count_max: Option<u32>,
    stop: Arc<AtomicBool>,
    names: Names,
}

impl<'a> Watch<'a> {
    /// Watches a folder until `stop` is set, or `count_max` files have been taken.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if it is not a readable folder.
    pub fn new(
        folder: &Path,
        model: ModelId,
        load: &'a dyn Fn(&Path) -> Inputs,
        count_max: Option<u32>,
        stop: Arc<AtomicBool>,
    ) -> Result<Watch<'a>> {
        list(folder)?;
        Ok(Watch {
            folder: folder.to_owned(),
            model,
            load,
            sightings: Sightings::default(),
            waiting: VecDeque::new(),
            look_at: Time::ZERO,
            taken: 0,
            count_max,
            stop,
            names: Names::default(),
        })
    }

    /// The names of the files that jobs are from; who reads a name takes it out.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    fn look(&mut self, now: Time) {
        if now < self.look_at || self.waiting.len() >= WAITING_MAX {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        match list(&self.folder) {
            Ok(files) => {
                let complete = self.sightings.complete(files, now);
                self.waiting.extend(complete.into_iter().map(|name| (name, now)));
            }
            Err(error) => log::warn!("{error:?}"),
        }
    }
}

impl Arrivals<'_> for Watch<'_> {
    fn poll(&mut self, now: Time, has_room: bool) -> Arrival {
        if self.stop.load(Ordering::SeqCst) || self.count_max.is_some_and(|max| self.taken >= max) {
            return Arrival::End;
        }
        self.look(now);
        if !has_room {
            return Arrival::Later(Some(self.look_at));
        }
        let Some((name, arrived)) = self.waiting.pop_front() else {
            return Arrival::Later(Some(self.look_at));
        };
        let inputs = (self.load)(&self.folder.join(&name));
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(JobId(self.taken), name.to_string_lossy().into_owned());
        if names.len() > NAMES_MAX {
            names.pop_first();
        }
        drop(names);
        self.taken += 1;
        Arrival::Job { model: self.model, arrived, inputs }
    }
}

/// A file as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    size: u64,
    changed: Option<SystemTime>,
}

/// The files of a folder that could be inputs: pictures and arrays, whose names do not begin with a
/// dot.
fn list(folder: &Path) -> Result<Vec<(OsString, Seen)>> {
    let fail = |error: std::io::Error| {
        let message = format!("the folder cannot be read: {error}");
        Error::new(ErrorKind::File, message).at(folder.display())
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        // It may be gone since it was listed.
        let Ok(known) = entry.metadata() else { continue };
        if is_input(Path::new(&name)) && known.is_file() {
            files.push((name, Seen { size: known.len(), changed: known.modified().ok() }));
        }
    }
    Ok(files)
}

fn is_input(name: &Path) -> bool {
    let is_hidden = name.to_string_lossy().starts_with('.');
    let ending = name.extension().map(|ending| ending.to_ascii_lowercase());
    let is_known = |ending: OsString| ["jpg", "jpeg", "png", "npy"].iter().any(|e| ending == *e);
    !is_hidden && ending.is_some_and(is_known)
}

/// Which files have been seen, and which are complete: a file may appear before it is written.
#[derive(Debug, Default)]
struct Sightings {
    /// How each file was when it last changed, since when, and whether it has been complete.
    files: BTreeMap<OsString, (Seen, Time, bool)>,
}

impl Sightings {
    /// The files that are complete and have not been before, the one changed first to begin with;
    /// `files` are all of the folder at `now`.
    fn complete(&mut self, files: Vec<(OsString, Seen)>, now: Time) -> Vec<OsString> {
        let mut next = BTreeMap::new();
        let mut complete = Vec::new();
        for (name, seen) in files {
            let before = self.files.remove(&name);
            let (since, was_complete) = match before {
                Some((known, since, was_complete)) if was_complete || known == seen => {
                    (since, was_complete)
                }
                _ => (now, false),
            };
            let is_complete = was_complete || (seen.size > 0 && now >= since + STABLE_FOR);
            if is_complete && !was_complete {
                complete.push((seen.changed, name.clone()));
            }
            next.insert(name, (seen, since, is_complete));
        }
        self.files = next;
        complete.sort();
        complete.into_iter().map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Time {
        Time::from_nanoseconds(milliseconds * 1_000_000)
    }

    fn file(name: &str, size: u64) -> (OsString, Seen) {
        (name.into(), Seen { size, changed: None })
    }

    #[test]
    fn a_file_is_read_once_after_it_stops_changing() {
        let mut sightings = Sightings::default();
        let none: Vec<OsString> = vec![];
        assert_eq!(sightings.complete(vec![file("a.jpg", 10), file("b.jpg", 0)], at(0)), none);
        assert_eq!(sightings.complete(vec![file("a.jpg", 20), file("b.jpg", 0)], at(250)), none);
        assert_eq!(sightings.complete(vec![file("a.jpg", 20), file("b.jpg", 0)], at(450)), none);
        let found = sightings.complete(vec![file("a.jpg", 20), file("b.jpg", 0)], at(550));
        assert_eq!(found, ["a.jpg"], "and not the empty one");
        // What is done with it afterwards does not matter.
        assert_eq!(sightings.complete(vec![file("a.jpg", 30)], at(600)), none);
        assert_eq!(sightings.complete(vec![file("a.jpg", 30)], at(2_000)), none);
        // It is another file of the same name once it was gone.
        assert_eq!(sightings.complete(vec![], at(3_000)), none);
        assert_eq!(sightings.complete(vec![file("a.jpg", 30)], at(3_100)), none);
        assert_eq!(sightings.complete(vec![file("a.jpg", 30)], at(3_400)), ["a.jpg"]);
    }

    #[test]
    fn names_of_taken_files_do_not_accumulate() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..NAMES_MAX + 100 {
            let path = folder.path().join(format!("{number:05}.npy"));
            std::fs::write(path, b"no array").expect("written");
        }
        let load = |_: &Path| Inputs::new();
        let mut watch =
            Watch::new(folder.path(), ModelId(0), &load, None, Arc::default()).expect("a folder");
        let (names, mut taken) = (watch.names(), 0);
        for look in 0..10 {
            while let Arrival::Job { .. } = watch.poll(at(1_000 * look), true) {
                taken += 1;
            }
        }
        let names = names.lock().expect("no panic");
        assert_eq!((taken, names.len()), (NAMES_MAX + 100, NAMES_MAX));
        assert!(names.contains_key(&JobId::at(NAMES_MAX + 99)), "the latest are kept");
    }

    #[test]
    fn only_pictures_and_arrays_are_inputs() {
        for name in ["a.jpg", "a.JPEG", "b.png", "c.npy"] {
            assert!(is_input(Path::new(name)), "{name}");
        }
        for name in [".a.jpg", "a.jpg.part", "a", "a.tmp", "jpg"] {
            assert!(!is_input(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_replay_admits_jobs_in_order_while_there_is_room() {
        let inputs = vec![Inputs::new(); 2];
        let models = [ModelId(0); 2];
        let mut replay = Replay::new(at(10), &models, &inputs);
        let arrived = |arrival| match arrival {
            Arrival::Job { arrived, .. } => Some(arrived),
            Arrival::Planned(_) | Arrival::Later(_) | Arrival::End => None,
        };
        assert_eq!(arrived(replay.poll(at(0), true)), Some(at(0)));
        assert!(matches!(replay.poll(at(5), true), Arrival::Later(Some(due)) if due == at(10)));
        assert!(matches!(replay.poll(at(12), false), Arrival::Later(None)));
        assert_eq!(arrived(replay.poll(at(30), true)), Some(at(10)));
        assert!(matches!(replay.poll(at(30), true), Arrival::End));
    }
}
