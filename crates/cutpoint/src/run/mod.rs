//! The whole path: measure models, link and server; plan; prepare; execute.

mod arrivals;
mod paced;
mod pauses;
mod plain;
mod prepare;
mod rehearsal;
mod replan;
mod stream;
mod summary;
mod workload;
mod worth;

pub use arrivals::{Names, Replay, Watch};
pub use rehearsal::{Rehearsal, RehearsalOptions};
pub use stream::{PATTERN_JOBS_MAX, StreamPlan};
pub use summary::{Change, FallbackCause, MachineUse, Percentiles, StreamSummary, Summary};
pub use workload::{LinkModel, MeasuredModel, parse_workload, workload_json};
pub use worth::{GAIN_MIN, worth_splitting};

use crate::device::{Cancel, HELD_BYTES_MAX, SpeedFraction};
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Client, HeldModel, LinkMeasurement, MeasureOptions};
use crate::onnx::LayeredModel;
use crate::profile::{
    EncodingOptions, EncodingProfile, ModelProfile, ProfileOptions, profile_encodings,
    profile_model,
};
use cutpoint_plan::workload::{ModelId, Workload};
use std::sync::Arc;
use std::time::Duration;

/// A model of a run.
#[derive(Clone)]
pub struct RunModel {
    /// Its name in the workload and on the server.
    pub name: String,
    /// The model.
    pub model: Arc<LayeredModel>,
}

/// A device, its models, and the server it is connected to, if any.
pub struct Runner {
    /// What computes on the device.
    pub engine: Arc<dyn Engine>,
    /// How it loads.
    pub options: EngineOptions,
    /// How fast the device is, relative to this machine.
    pub speed: SpeedFraction,
    /// The models.
    pub models: Vec<RunModel>,
    /// The server.
    pub client: Option<Client>,
}

/// How a plan is executed.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A server that owes a reply and says nothing for so long is given up.
    pub patience: Duration,
    /// The most bytes of tensors that wait for the uplink, and as many that the device keeps of what
    /// was sent until the server has answered.
    pub held_bytes_max: usize,
    /// Stops the run.
    pub cancel: Cancel,
}

impl Default for RunOptions {
    /// Half a minute of patience, and [`HELD_BYTES_MAX`].
    fn default() -> RunOptions {
        RunOptions {
            patience: Duration::from_secs(30),
            held_bytes_max: HELD_BYTES_MAX,
            cancel: Cancel::new(),
        }
    }
}

/// What was measured before planning.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The planner's input, as a file.
    pub workload_json: serde_json::Value,
    /// The same, read.
    pub workload: Workload,
    /// The layers' times on the device, at this machine's own speed, by model.
    pub device: Vec<ModelProfile>,
    /// The layers' times on the server, by model.
    pub server: Vec<ModelProfile>,
    /// What encodings do to the models' tensors, by model; empty if that was not measured.
    pub encodings: Vec<EncodingProfile>,
    /// The link.
    pub link: Option<LinkMeasurement>,
    /// How many jobs the server computes at a time.
    pub executors: u32,
    /// How many jobs there are of each model.
    pub jobs: Vec<usize>,
}

/// What both sides and the link said before the device was paced.
struct Profiles {
    device: Vec<ModelProfile>,
    server: Vec<ModelProfile>,
    encodings: Vec<EncodingProfile>,
    link: Option<LinkMeasurement>,
    executors: u32,
    jobs: Vec<usize>,
}

impl Runner {
    /// Measures the models on both sides, and the link, for these numbers of jobs by model; encodings
    /// if there are options for them, and the server, if there is one, can decode.
    ///
    /// # Errors
    /// Those of the engine and of the connection.
    pub fn measure(
        &self,
        jobs: &[usize],
        options: &ProfileOptions,
        encodings: Option<&EncodingOptions>,
    ) -> Result<Measurement> {
        let mut device = Vec::new();
        for RunModel { model, .. } in &self.models {
            let inputs = model.model().synthetic_inputs(0);
            let inputs: Vec<_> =
                inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
            device.push(profile_model(&*self.engine, self.options, model, &inputs, options)?);
        }
        let (mut server, mut link, mut executors) = (Vec::new(), None, 1);
        if let Some(client) = &self.client {
            let hello = client.hello()?;
            executors = hello.as_ref().map_or(1, |hello| hello.executors);
            link = Some(client.measure_link(MeasureOptions::default())?);
            if let (None, Some(link)) = (&hello, &link) {
                for (model, device) in self.models.iter().zip(&device) {
                    server.push(plain::profile(client, model, device, link));
                }
            }
            let held = hello.as_ref().map_or(&[][..], |hello| &hello.models);
            for model in self.models.iter().filter(|_| hello.is_some()) {
                let there = offer(client, held, model)?;
                let mut profile = client.profile(&there.name, options)?;
                if profile.sha256 == there.sha256 {
                    profile.sha256 = model.model.model().sha256().to_owned();
                }
                server.push(profile);
            }
        }
        let encodings = match encodings {
            Some(how) => self.measure_encodings(how)?,
            None => Vec::new(),
        };
        self.pace(Profiles { device, server, encodings, link, executors, jobs: jobs.to_vec() })
    }

    /// Measures the encodings here, and how much longer or shorter the server takes to decode.
    fn measure_encodings(&self, how: &EncodingOptions) -> Result<Vec<EncodingProfile>> {
        let is_plain = self.is_server_plain()?;
        let mut profiles = Vec::with_capacity(self.models.len());
        for (RunModel { model, .. }, inputs) in self.models.iter().zip(&how.inputs) {
            let measured =
                profile_encodings(&*self.engine, self.options, model, inputs, &how.budget);
            let mut profile = match measured {
                // An engine may run a model and not give its inner tensors.
                Err(error) if error.kind() == ErrorKind::Engine => {
                    log::warn!("encodings were not measured, tensors are sent raw: {error:?}");
                    EncodingProfile::default()
                }
                measured => measured?,
            };
            if is_plain {
                plain::admit(&mut profile, model);
            }
            for sample in std::mem::take(&mut profile.samples) {
                let Some(client) = &self.client else { continue };
                if let Some(there) = client.measure_decode(&sample.encoded)? {
                    profile.hear(&sample, there.median, &there.sha256);
                }
            }
            profiles.push(profile);
        }
        Ok(profiles)
    }

    /// Brings the device's layers to what its parts take in the rhythm of a run.
    fn pace(&self, profiles: Profiles) -> Result<Measurement> {
        let stretch = |profile: &ModelProfile| {
            profile.layers_ms(profile.whole.median_ms / self.speed.value())
        };
        let mut device_ms: Vec<Vec<f64>> = profiles.device.iter().map(stretch).collect();
        let first = self.describe(&profiles, &device_ms)?;
        let first = parse_workload(&first.to_string(), "the profiled workload")?;
        for (m, RunModel { name, model }) in self.models.iter().enumerate() {
            let described = first.models.iter().position(|d| d.name == *name);
            let parts = match (&profiles.link, described) {
                (Some(_), Some(id)) => paced::cuts_in_use(&first, ModelId::at(id)),
                _ => Vec::new(),
            };
            let times = paced::times_ms(&*self.engine, self.options, self.speed, model, &parts)?;
            paced::scale(&mut device_ms[m], &parts, &times);
        }
        let workload_json = self.describe(&profiles, &device_ms)?;
        let workload = parse_workload(&workload_json.to_string(), "the measured workload")?;
        let Profiles { device, server, encodings, link, executors, jobs } = profiles;
        Ok(Measurement {
            workload_json,
            workload,
            device,
            server,
            encodings,
            link,
            executors,
            jobs,
        })
    }

    /// The workload of what was measured, with these times of the device's layers.
    fn describe(&self, profiles: &Profiles, device_ms: &[Vec<f64>]) -> Result<serde_json::Value> {
        let none = EncodingProfile::default();
        let of_model = |m: usize| profiles.encodings.get(m).unwrap_or(&none);
        let encodings: Vec<_> =
            (0..self.models.len()).map(|m| of_model(m).for_device(self.speed.value())).collect();
        let model = |m: usize| MeasuredModel {
            name: &self.models[m].name,
            model: &self.models[m].model,
            device_ms: &device_ms[m],
            server: profiles.server.get(m),
            encodings: &encodings[m],
            jobs: profiles.jobs[m],
        };
        let measured: Vec<MeasuredModel<'_>> = (0..self.models.len()).map(model).collect();
        let link = profiles.link.as_ref().map_or(NO_LINK, link_model);
        workload_json(&measured, link, profiles.executors)
    }

    /// Whether a workload speaks of the models at hand.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`], naming the first model or layer that is not the same.
    pub fn check_fits(&self, workload: &Workload) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Workload, message));
        if workload.models.len() != self.models.len() {
            let (found, expected) = (workload.models.len(), self.models.len());
            return refuse(format!("has {found} models, expected {expected}"));
        }
        for (described, model) in workload.models.iter().zip(self.models_of(workload)?) {
            let RunModel { name, model } = model;
            let layers = &model.layers().layers;
            let differs = |(d, l): (&cutpoint_plan::workload::Layer, &crate::onnx::Layer)| {
                d.name != l.name || d.writes.len() != l.writes.len()
            };
            if described.layers.len() != layers.len()
                || described.layers.iter().zip(layers).any(differs)
            {
                return refuse(format!("the layers of {name:?} are not those of the ONNX file"));
            }
        }
        Ok(())
    }

    /// The models at hand in the order of a workload's, which need not be ours.
    fn models_of(&self, workload: &Workload) -> Result<Vec<&RunModel>> {
        let find = |described: &cutpoint_plan::workload::Model| {
            self.models.iter().find(|model| model.name == described.name).ok_or_else(|| {
                let names: Vec<&str> = self.models.iter().map(|m| m.name.as_str()).collect();
                let message = format!("has a model {:?}, expected {names:?}", described.name);
                Error::new(ErrorKind::Workload, message)
            })
        };
        workload.models.iter().map(find).collect()
    }

    /// Whether there is a server, and it is not Cutpoint's own.
    fn is_server_plain(&self) -> Result<bool> {
        match &self.client {
            Some(client) => Ok(client.hello()?.is_none()),
            None => Ok(false),
        }
    }

    fn server(&self) -> Result<&Client> {
        self.client.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "the plan has a server's part, and no server")
        })
    }

    /// The SHA-256 by which the server knows a model, which is sent where the server lacks it.
    fn source_of(&self, model: &RunModel) -> Result<String> {
        let client = self.server()?;
        match client.hello()? {
            Some(hello) => Ok(offer(client, &hello.models, model)?.sha256),
            None => Ok(model.model.model().sha256().to_owned()),
        }
    }
}

/// A model as the server has it.
#[derive(Clone, Debug)]
struct OnServer {
    name: String,
    /// Of the file that the server read, by which it is asked for suffixes.
    sha256: String,
}

/// How the server has a model; sends it where it does not.
fn offer(client: &Client, held: &[HeldModel], model: &RunModel) -> Result<OnServer> {
    let find = |sha256: &str| {
        let found = held.iter().find(|held| held.sha256 == sha256);
        found.map(|h| OnServer { name: h.name.clone(), sha256: h.sha256.clone() })
    };
    let onnx = model.model.model();
    if let Some(found) = find(onnx.sha256()) {
        return Ok(found);
    }
    // What is sent is another file: external data is inside, and shapes are fixed.
    let file = bytes::Bytes::from(onnx.to_onnx()?);
    let sha256 = crate::digest::sha256(&file);
    if let Some(found) = find(&sha256) {
        return Ok(found);
    }
    log::info!("the server does not have {:?}; sending it", model.name);
    client.push_model(&model.name, file)?;
    Ok(OnServer { name: model.name.clone(), sha256 })
}

/// Without a server nothing leaves the device.
const NO_LINK: LinkModel =
    LinkModel { uplink_mbps: 0.0, downlink_mbps: None, rtt_ms: 0.0, message_overhead_ms: 0.0 };

fn link_model(measured: &LinkMeasurement) -> LinkModel {
    LinkModel {
        uplink_mbps: measured.uplink.mbit_per_s(),
        downlink_mbps: measured.downlink.map(|d| d.mbit_per_s()),
        rtt_ms: milliseconds(measured.round_trip),
        message_overhead_ms: milliseconds(measured.message_overhead),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e9).round() / 1e6
}

#[cfg(test)]
pub(crate) mod tests;
