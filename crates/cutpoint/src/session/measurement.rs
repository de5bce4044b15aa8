//! Measures models on both sides, and the link: all that a plan depends on.

use super::device_side::DeviceSide;
use super::options::SessionModel;
use super::server_models::offer;
use super::workload::{MeasuredModel, measured_workload};
use super::{generic_server, paced_times};
use crate::device::time_of;
use crate::error::{ErrorKind, Result};
use crate::input::{Inputs, Supply, tensors};
use crate::link::{LinkMeasurement, MEASURE_BUDGET};
use crate::profile::{
    AccuracyBudget, EncodingOptions, EncodingProfile, INPUTS_MAX, ModelProfile, ProfileOptions,
    profile_encodings, profile_model,
};
use cutpoint_plan::units::{Bandwidth, TIME_MAX};
use cutpoint_plan::workload::{Link, ModelId, Workload};

/// Options of a measurement.
#[derive(Default)]
pub struct ProfileRequest<'a> {
    /// How often layers are timed.
    pub layers: ProfileOptions,
    /// How many jobs of each model are in sight, in the order of the session's models; empty for one
    /// of each. Cuts that plans for them would use are timed as parts.
    pub jobs: Vec<usize>,
    /// Which encodings plans may use; none without.
    pub encodings: Option<EncodingRequest<'a>>,
}

impl ProfileRequest<'_> {
    /// One job of each model, without encodings, with other repeats.
    pub fn of_layers(layers: ProfileOptions) -> Self {
        ProfileRequest { layers, ..ProfileRequest::default() }
    }
}

/// The encodings that plans may use, and what they are measured on.
pub struct EncodingRequest<'a> {
    /// How far outputs may move.
    pub budget: AccuracyBudget,
    /// For each model, inputs like those of its jobs; a few are taken from each.
    pub inputs: Vec<&'a dyn Supply>,
    /// Whether to measure without a server as well, for a link that is filled in later.
    pub without_server: bool,
}

impl EncodingRequest<'_> {
    /// A few of the inputs of each model, evenly chosen. Those that cannot be read fail their own
    /// jobs later, or do no harm.
    fn sampled(&self) -> EncodingOptions {
        let of_model = |supply: &&dyn Supply| -> Vec<Inputs> {
            let (count, wanted) = (supply.count(), supply.count().min(INPUTS_MAX));
            let chosen = (0..wanted).map(|i| supply.inputs(i * count / wanted));
            let usable = |inputs: Inputs| match tensors(&inputs) {
                Ok(_) => Some(inputs),
                Err(error) => {
                    log::warn!("skipping an unreadable input: {error:?}");
                    None
                }
            };
            chosen.filter_map(usable).collect()
        };
        EncodingOptions { inputs: self.inputs.iter().map(of_model).collect(), budget: self.budget }
    }
}

/// Measurements before planning.
#[derive(Clone, Debug)]
pub struct Measurement {
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

impl DeviceSide {
    /// Measures the models on both sides, and the link, for these numbers of jobs by model; encodings
    /// if there are options for them, and the server, if there is one, can decode.
    ///
    /// # Errors
    /// Those of the engine and of the connection.
    pub(super) fn measure(&self, request: &ProfileRequest<'_>) -> Result<(Workload, Measurement)> {
        let options = &request.layers;
        let jobs = match request.jobs.is_empty() {
            true => vec![1; self.models.len()],
            false => request.jobs.clone(),
        };
        let mut device = Vec::new();
        for SessionModel { model, .. } in &self.models {
            let inputs = model.model().synthetic_inputs(0);
            let inputs: Vec<_> =
                inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
            device.push(profile_model(&*self.engine, self.options, model, &inputs, options)?);
        }
        let (mut server, mut link, mut executors) = (Vec::new(), None, 1);
        if let Some(client) = &self.client {
            let hello = client.hello()?;
            executors = hello.as_ref().map_or(1, |hello| hello.executors);
            let measured = client.measure_link(MEASURE_BUDGET)?;
            for (model, device) in self.models.iter().zip(&device) {
                let Some(hello) = &hello else {
                    server.push(generic_server::profile(client, model, device, &measured));
                    continue;
                };
                let there = offer(client, &hello.models, model)?;
                let mut profile = client.profile(&there.name, options)?;
                if profile.sha256 == there.sha256 {
                    profile.sha256 = model.model.model().sha256().to_owned();
                }
                server.push(profile);
            }
            link = Some(measured);
        }
        let encodings = match &request.encodings {
            Some(wanted) if self.client.is_some() || wanted.without_server => {
                self.measure_encodings(&wanted.sampled())?
            }
            _ => Vec::new(),
        };
        let measured = Measurement { device, server, encodings, link, executors, jobs };
        Ok((self.paced(&measured)?, measured))
    }

    /// Measures the encodings here, and how much longer or shorter the server takes to decode.
    fn measure_encodings(&self, how: &EncodingOptions) -> Result<Vec<EncodingProfile>> {
        let is_plain = match &self.client {
            Some(client) => client.hello()?.is_none(),
            None => false,
        };
        let mut profiles = Vec::with_capacity(self.models.len());
        for (SessionModel { model, .. }, inputs) in self.models.iter().zip(&how.inputs) {
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
                generic_server::admit(&mut profile, model);
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

    /// Scales the device's layer times to the paced times of its parts.
    fn paced(&self, measured: &Measurement) -> Result<Workload> {
        let stretch = |profile: &ModelProfile| {
            profile.layers_ms(profile.whole.median_ms / self.speed.value())
        };
        let mut device_ms: Vec<Vec<f64>> = measured.device.iter().map(stretch).collect();
        let first = self.describe(measured, &device_ms)?;
        for (m, SessionModel { name, model }) in self.models.iter().enumerate() {
            let described = first.models().iter().position(|d| d.name == *name);
            let parts = match (&measured.link, described) {
                (Some(_), Some(id)) => paced_times::cuts_in_use(&first, ModelId::at(id)),
                _ => Vec::new(),
            };
            let times =
                paced_times::times_ms(&*self.engine, self.options, self.speed, model, &parts)?;
            paced_times::scale(&mut device_ms[m], &parts, &times);
        }
        self.describe(measured, &device_ms)
    }

    /// The workload of what was measured, with these times of the device's layers.
    fn describe(&self, profiles: &Measurement, device_ms: &[Vec<f64>]) -> Result<Workload> {
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
        // Without a server nothing leaves the device.
        let link = profiles.link.as_ref().map_or(Link::at(Bandwidth::ZERO), link_model);
        measured_workload(&measured, link, profiles.executors)
    }
}

fn link_model(measured: &LinkMeasurement) -> Link {
    Link {
        uplink: measured.uplink,
        downlink: measured.downlink,
        round_trip: time_of(measured.round_trip).min(TIME_MAX),
        message_overhead: time_of(measured.message_overhead).min(TIME_MAX),
    }
}
