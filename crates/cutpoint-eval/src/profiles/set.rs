//! The folder of profiles: a workload for each model, and `about.json`, which says where each is from.

use crate::origin::source_root;
use anyhow::Context;
use cutpoint_plan::format::read_workload_builder;
use cutpoint_plan::workload::{ModelBuilder, Size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SCHEMA: &str = "cutpoint-eval.profiles/1";
const ABOUT: &str = "about.json";

/// Where a profile is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// The commit of the program that measured.
    pub commit: String,
    /// Processor, cores, kernel.
    pub machine: String,
    /// Name and version.
    pub engine: String,
    /// How many threads an inference could use.
    pub threads: usize,
    /// Programs that wanted a processor when the measurement began.
    pub load_average: Option<f64>,
    /// Bounds on the outputs within which encodings were kept.
    pub accuracy: String,
    /// How many photos encodings were measured on, if the model takes pictures.
    pub photos: usize,
    /// The sum of all layers.
    pub whole_ms: f64,
    /// A remark that a person added.
    pub note: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutFile {
    schema: String,
    models: BTreeMap<String, About>,
}

/// All profiles of a folder.
#[derive(Debug)]
pub(crate) struct Profiles {
    models: BTreeMap<String, (ModelBuilder, About)>,
}

/// `testdata/profiles` of the source tree.
pub(super) fn default_folder() -> PathBuf {
    source_root().join("testdata/profiles")
}

/// Writes a profile and its entry in `about.json`.
pub(super) fn store(folder: &Path, name: &str, json: &str, about: About) -> anyhow::Result<()> {
    let path = folder.join(ABOUT);
    let mut file = match path.exists() {
        true => read_about(&path)?,
        false => AboutFile { schema: SCHEMA.into(), models: BTreeMap::new() },
    };
    file.models.insert(name.to_owned(), about);
    std::fs::write(folder.join(format!("{name}.json")), json)?;
    std::fs::write(&path, serde_json::to_string_pretty(&file)? + "\n")?;
    Ok(())
}

fn read_about(path: &Path) -> anyhow::Result<AboutFile> {
    let json = std::fs::read(path).with_context(|| path.display().to_string())?;
    let file: AboutFile =
        serde_json::from_slice(&json).with_context(|| path.display().to_string())?;
    anyhow::ensure!(file.schema == SCHEMA, "{}: schema {:?}", path.display(), file.schema);
    Ok(file)
}

impl Profiles {
    /// Reads a folder; without one, `testdata/profiles` of the source tree.
    pub(crate) fn load(folder: Option<&Path>) -> anyhow::Result<Profiles> {
        let folder = folder.map_or_else(default_folder, Path::to_path_buf);
        let mut models = BTreeMap::new();
        for (name, about) in read_about(&folder.join(ABOUT))?.models {
            let path = folder.join(format!("{name}.json"));
            let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let file = read_workload_builder(&json).with_context(|| path.display().to_string())?;
            let found = file.models.into_iter().find(|model| model.name == name);
            let model = found.with_context(|| format!("{}: no {name:?}", path.display()))?;
            models.insert(name, (model, about));
        }
        Ok(Profiles { models })
    }

    /// A model.
    pub(crate) fn model(&self, name: &str) -> anyhow::Result<&ModelBuilder> {
        let found = self.models.get(name).map(|(model, _)| model);
        found.with_context(|| {
            let known: Vec<&str> = self.names().collect();
            format!("no profile of {name:?}; there are {}", known.join(", "))
        })
    }

    /// Whether a model's inputs may be JPEG files.
    pub(crate) fn takes_jpeg(&self, name: &str) -> bool {
        let has_form = |size: &Size| size.encodings.iter().any(|form| form.name == super::JPEG);
        self.model(name).is_ok_and(|model| model.inputs.iter().all(|(_, size)| has_form(size)))
    }

    /// The names of all models.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// A line on where the profiles are from: engines, machines and commits, each once.
    pub(crate) fn origin(&self) -> String {
        let each = |what: fn(&About) -> &str| {
            let mut found: Vec<&str> = self
                .models
                .values()
                .map(|(_, about)| what(about))
                .filter(|s| !s.is_empty())
                .collect();
            found.sort_unstable();
            found.dedup();
            found.join("; ")
        };
        let (engines, machines) = (each(|a| &a.engine), each(|a| &a.machine));
        let (commits, notes) = (each(|a| &a.commit), each(|a| &a.note));
        let notes = if notes.is_empty() { notes } else { format!(", {notes}") };
        format!("{engines}, one thread, {machines}, measured at commit {commits}{notes}")
    }
}
