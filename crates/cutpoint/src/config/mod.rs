//! `cutpoint.toml`: models and jobs, the server, this device, and limits in one file.
//!
//! ```
//! use cutpoint::config::Config;
//! use std::path::Path;
//!
//! let text = r#"
//!     [server]
//!     address = "10.0.0.2:7070"
//!     [[models]]
//!     name = "detector"
//!     path = "detector.onnx"
//!     shapes = { x = [1, 3, 320, 320] }
//!     [[jobs]]
//!     model = "detector"
//!     inputs = "synthetic:100"
//! "#;
//! let config = Config::parse(text, Path::new("cameras"))?;
//! assert_eq!(config.models[0].path, Path::new("cameras/detector.onnx"));
//! assert_eq!(config.model_jobs()?[0].frames.len(), 100);
//! # Ok::<(), cutpoint::Error>(())
//! ```
//!
//! docs/formats.md lists the keys. A jobs file is the part without `[[models]]`: `server` may be an
//! address, and a job may name its model's file.

mod parse;
#[cfg(feature = "server")]
mod security;
#[cfg(test)]
mod tests;
mod values;

use crate::device::SpeedFraction;
use crate::engine::Optimization;
use crate::engine::select::{EngineChoice, SelectOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::{Frame, parse_frames};
use crate::input::ImageLayout;
use crate::input::ImageOptions;
use crate::link::{ConnectOptions, Tls};
use crate::onnx::{OnnxModel, ReadOptions};
use crate::session::SessionOptions;
use cutpoint_plan::units::Bandwidth;
use parse::{Fault, parse};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most models of a file, and the most entries of jobs.
const ENTRIES_MAX: usize = 256;

/// The largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The configuration: models, jobs, server, device and limits. Paths are relative to the working
/// directory.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The server: where it is, or how to be one.
    #[serde(deserialize_with = "values::address_or_table")]
    pub server: ServerConfig,
    /// The machine that reads the file.
    pub device: DeviceConfig,
    /// Limits of a run or of a server.
    pub limits: LimitsConfig,
    /// The models to serve, and those that jobs name.
    pub models: Vec<ModelConfig>,
    /// The jobs to run.
    pub jobs: Vec<JobsConfig>,
}

/// How a device reaches its server, and how a server listens.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// For a device: the server as HOST:PORT, or `local` for none.
    pub address: Option<String>,
    /// For a device: holds the uplink to a bandwidth, in Mbit/s.
    #[serde(rename = "uplink_limit_mbps", deserialize_with = "values::bandwidth")]
    pub uplink_limit: Option<Bandwidth>,
    /// For a device: how long setting up the connection may take, in seconds.
    #[serde(rename = "connect_timeout_s", deserialize_with = "values::seconds")]
    pub connect_timeout: Option<Duration>,
    /// For a device: use TLS, and trust the certificate authority in this PEM file.
    pub tls_ca: Option<PathBuf>,
    /// The file with the token that a device presents and a server asks for.
    pub token_file: Option<PathBuf>,
    /// For a server: where it listens.
    pub listen: Option<SocketAddr>,
    /// For a server: how many jobs it computes at a time.
    pub executors: Option<NonZeroUsize>,
    /// For a server: the certificate chain, a PEM file.
    pub tls_cert: Option<PathBuf>,
    /// For a server: the certificate's private key, a PEM file.
    pub tls_key: Option<PathBuf>,
    /// For a server: whether it may listen beyond this machine without TLS and a token.
    pub insecure: bool,
}

/// The settings of the device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceConfig {
    /// The engine.
    #[serde(deserialize_with = "values::parsed")]
    pub engine: EngineChoice,
    /// How many threads one inference may use; one for each core if absent.
    pub threads: Option<NonZeroUsize>,
    /// How far ONNX Runtime may rewrite a model.
    #[serde(deserialize_with = "values::parsed")]
    pub optimization: Optimization,
    /// The device's speed as a fraction of this machine's.
    #[serde(deserialize_with = "values::fraction")]
    pub fraction: SpeedFraction,
}

impl Default for DeviceConfig {
    fn default() -> DeviceConfig {
        DeviceConfig {
            engine: EngineChoice::Auto,
            threads: None,
            optimization: Optimization::default(),
            fraction: SpeedFraction::FULL,
        }
    }
}

/// Limits of a run or of a server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// For a device: how long a server that owes a reply may stay silent, in seconds.
    #[serde(rename = "patience_s", deserialize_with = "values::seconds")]
    pub patience: Option<Duration>,
    /// For a server: the longest message it reads, in MiB.
    #[serde(deserialize_with = "values::message_mib")]
    pub message_mib: Option<u32>,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The ONNX file.
    pub path: PathBuf,
    /// Its name in workloads and on the server; the file's without the ending if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Shapes of inputs, by name, in place of the file's.
    #[serde(default, deserialize_with = "values::shapes")]
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// The inputs that encodings are measured on; a run's own inputs if empty.
    #[serde(default, deserialize_with = "values::one_or_many")]
    pub samples: Vec<String>,
    /// How images become inputs.
    #[serde(default)]
    pub image: ImageConfig,
}

/// Jobs of one model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// The name of a model of the file, or else an ONNX file.
    pub model: String,
    /// The inputs, as `cutpoint run` takes them.
    #[serde(deserialize_with = "values::one_or_many")]
    pub inputs: Vec<String>,
    /// In place of the model's.
    #[serde(default)]
    pub image: Option<ImageConfig>,
    /// For a model that is given as a file: shapes of inputs, by name.
    #[serde(default, deserialize_with = "values::shapes")]
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// How images become inputs: `(value - mean) / std` for each channel, in the model's layout.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Height and width that the model is expected to take.
    pub size: Option<[usize; 2]>,
    /// Subtracted from each channel after scaling to 0..1.
    #[serde(deserialize_with = "values::mean")]
    pub mean: [f32; 3],
    /// Divides each channel.
    #[serde(deserialize_with = "values::std")]
    pub std: [f32; 3],
    /// The order of the axes, where the input's shape does not tell.
    #[serde(deserialize_with = "values::layout")]
    pub layout: Option<ImageLayout>,
}

impl Default for ImageConfig {
    fn default() -> ImageConfig {
        ImageConfig { size: None, mean: [0.0; 3], std: [1.0; 3], layout: None }
    }
}

/// A model and the inputs of its jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelJobs {
    /// The model, with its name set.
    pub model: ModelConfig,
    /// One for each job.
    pub frames: Vec<Frame>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if it cannot be read; those of [`Config::parse`], with the file's name.
    pub fn load(path: &Path) -> Result<Config> {
        let text = read_text(path, FILE_BYTES_MAX)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Config::parse(&text, folder).map_err(|error| error.at(path.display()))
    }

    /// Reads the text of a file that lies in `folder`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`], naming the line and the key, if the text is not TOML, holds an unknown
    /// key or an invalid value, or two models have one name.
    pub fn parse(text: &str, folder: &Path) -> Result<Config> {
        let mut config = parse(text, check)?;
        let join = |path: &mut PathBuf| *path = folder.join(&*path);
        let ServerConfig { token_file, tls_ca, tls_cert, tls_key, .. } = &mut config.server;
        [token_file, tls_ca, tls_cert, tls_key].into_iter().flatten().for_each(join);
        for model in &mut config.models {
            join(&mut model.path);
            model.samples.iter_mut().for_each(|input| *input = beside(folder, input));
        }
        for jobs in &mut config.jobs {
            if config.models.iter().all(|model| model.name() != jobs.model) {
                jobs.model = folder.join(&jobs.model).to_string_lossy().into_owned();
            }
            jobs.inputs.iter_mut().for_each(|input| *input = beside(folder, input));
        }
        Ok(config)
    }

    /// Every model that has jobs, under a name of its own, with all inputs of its jobs; in the order
    /// of the jobs. Jobs of one model are joined if they load their inputs alike.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if inputs name no file, with the jobs' place.
    pub fn model_jobs(&self) -> Result<Vec<ModelJobs>> {
        let mut all: Vec<ModelJobs> = Vec::new();
        for (j, jobs) in self.jobs.iter().enumerate() {
            let place = format!("jobs[{j}].inputs");
            let frames = parse_frames(&jobs.inputs).map_err(|error| error.at(&place))?;
            if frames.is_empty() {
                return Err(Error::new(ErrorKind::Usage, "no inputs").at(place));
            }
            let known = self.models.iter().find(|model| model.name() == jobs.model);
            let mut model = known.cloned().unwrap_or_else(|| ModelConfig {
                path: jobs.model.clone().into(),
                shapes: jobs.shapes.clone(),
                ..ModelConfig::default()
            });
            if let Some(image) = &jobs.image {
                model.image = image.clone();
            }
            match all.iter_mut().find(|known| known.model == model) {
                Some(known) => known.frames.extend(frames),
                None => all.push(ModelJobs { model, frames }),
            }
        }
        for j in 0..all.len() {
            let base = all[j].model.name();
            let is_free = |name: &String| all[..j].iter().all(|m| m.model.name() != *name);
            let mut names =
                std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}-{n}")));
            all[j].model.name = names.find(is_free);
        }
        Ok(all)
    }
}

impl Config {
    /// How a session with these settings is opened.
    ///
    /// # Errors
    /// Those of [`ServerConfig::connect_options`].
    pub fn session_options(&self) -> Result<SessionOptions> {
        let default = SessionOptions::default();
        let DeviceConfig { engine, threads, optimization, fraction } = &self.device;
        Ok(SessionOptions {
            engine: engine.clone(),
            select: SelectOptions { optimization: *optimization, ..SelectOptions::default() },
            threads: *threads,
            speed: *fraction,
            server: self.server.address().map(str::to_owned),
            connect: self.server.connect_options()?,
            patience: self.limits.patience.unwrap_or(default.patience),
            ..default
        })
    }
}

impl ServerConfig {
    /// Stands for no server, in place of an address.
    pub const LOCAL: &str = "local";

    /// The server that a device uses, if there is one.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref().filter(|&address| address != ServerConfig::LOCAL)
    }

    /// How a device connects. Reads the token and the certificate authority.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if a file cannot be read; [`ErrorKind::Usage`] if it holds no token.
    pub fn connect_options(&self) -> Result<ConnectOptions> {
        let default = ConnectOptions::default();
        let authority = self.tls_ca.as_deref().map(read).transpose()?;
        Ok(ConnectOptions {
            uplink_limit: self.uplink_limit,
            connect_timeout: self.connect_timeout.unwrap_or(default.connect_timeout),
            token: self.token_file.as_deref().map(read_token).transpose()?,
            tls: authority.map(|authority_pem| Tls { authority_pem, server_name: None }),
            ..default
        })
    }
}

impl ModelConfig {
    /// Its name: the one given, or else the file's without the ending.
    pub fn name(&self) -> String {
        let of_file = || self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(of_file)
    }

    /// Reads the model and checks that it takes images of the size given.
    ///
    /// # Errors
    /// Those of [`OnnxModel::load`]; [`ErrorKind::Input`] for another size, naming both.
    pub fn load(&self) -> Result<OnnxModel> {
        let shapes = self.shapes.clone().into_iter().collect();
        let model = OnnxModel::load(&self.path, &ReadOptions { shapes })?;
        self.image.check_size(&model).map_err(|error| error.at(self.path.display()))?;
        Ok(model)
    }
}

impl ImageConfig {
    /// How pictures become tensors.
    pub fn options(&self) -> ImageOptions {
        let ImageConfig { mean, std, layout, .. } = *self;
        ImageOptions { layout, mean, std }
    }

    fn check_size(&self, model: &OnnxModel) -> Result<()> {
        let Some([height, width]) = self.size else { return Ok(()) };
        let sides = |shape: &[usize]| match (shape, self.layout) {
            ([_, h, w, 1 | 3], Some(ImageLayout::Nhwc)) => Some([*h, *w]),
            ([_, 1 | 3, h, w], _) | ([_, h, w, 1 | 3], None) => Some([*h, *w]),
            _ => None,
        };
        let found: Vec<[usize; 2]> =
            model.inputs().iter().filter_map(|(_, spec)| sides(&spec.shape)).collect();
        if found.contains(&[height, width]) {
            return Ok(());
        }
        let message = format!(
            "image.size is {height} x {width} (height x width), but the model takes {found:?}"
        );
        Err(Error::new(ErrorKind::Input, message)
            .hint("remove size, or set the input's shape with shapes = { NAME = [..] }"))
    }
}

/// The rules that concern more than one value.
fn check(config: &Config) -> std::result::Result<(), Fault> {
    for (table, count) in [("models", config.models.len()), ("jobs", config.jobs.len())] {
        if count > ENTRIES_MAX {
            let message = format!("{count} entries, at most {ENTRIES_MAX}");
            return Err(Fault { table, index: ENTRIES_MAX, key: "", message });
        }
    }
    let mut names = BTreeSet::new();
    for (index, model) in config.models.iter().enumerate() {
        let key = if model.name.is_some() { "name" } else { "path" };
        if !names.insert(model.name()) {
            let message = format!("two models are named {:?}", model.name());
            return Err(Fault { table: "models", index, key, message });
        }
    }
    for (index, jobs) in config.jobs.iter().enumerate() {
        if !jobs.shapes.is_empty() && names.contains(&jobs.model) {
            let message = format!("the shapes of {:?} belong to its [[models]] entry", jobs.model);
            return Err(Fault { table: "jobs", index, key: "shapes", message });
        }
    }
    Ok(())
}

/// An input argument with its files taken from a folder.
fn beside(folder: &Path, input: &str) -> String {
    let join = |file: &str| folder.join(file).to_string_lossy().into_owned();
    if input.starts_with("synthetic:") {
        return input.to_owned();
    }
    let pairs: Option<Vec<(&str, &str)>> = input.split(',').map(|p| p.split_once('=')).collect();
    match pairs {
        Some(pairs) if !folder.join(input).exists() => {
            let named = pairs.iter().map(|(name, file)| format!("{name}={}", join(file)));
            named.collect::<Vec<_>>().join(",")
        }
        _ => join(input),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot be read: {error}")).at(path.display())
}

fn read_text(path: &Path, limit: u64) -> Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_string(&mut text))
        .map_err(|e| unreadable(path, e))?;
    if text.len() as u64 > limit {
        let message = format!("larger than {limit} bytes");
        return Err(Error::new(ErrorKind::File, message).at(path.display()));
    }
    Ok(text)
}

fn read_token(path: &Path) -> Result<String> {
    let token = read_text(path, FILE_BYTES_MAX)?.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let message = "expected one token of printable ASCII characters";
        return Err(Error::new(ErrorKind::Usage, message).at(path.display()));
    }
    Ok(token)
}
