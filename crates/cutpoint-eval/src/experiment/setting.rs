//! A setting: which jobs, on how slow a device, over which link, with tensors in which forms.

use crate::profiles::{JPEG, Profiles};
use anyhow::Context;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobRun, Link, ModelBuilder, Size, Workload, WorkloadBuilder};
use serde::Deserialize;
use std::num::NonZeroU32;

/// An uplink and the round trip of its link.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uplink {
    pub mbps: Bandwidth,
    pub rtt_ms: Time,
}

/// In which forms tensors may cross the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forms {
    /// Every tensor as it is, inputs in 32 bits for each value: the setting of the literature.
    Raw,
    /// Pictures as the JPEG files that they came as, all else as it is.
    Jpeg,
    /// Everything that the profiles have.
    All,
}

/// The jobs, device, link and forms that a workload is computed from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    /// Models and how many jobs of each; jobs of several models take turns.
    pub jobs: Vec<(String, usize)>,
    /// The device's share of the core that was measured; the server has all of one.
    pub device_fraction: f64,
    pub uplink: Uplink,
    pub forms: Forms,
}

impl Setting {
    /// The workload: one executor, results at no cost but the round trip.
    pub(crate) fn workload(&self, profiles: &Profiles) -> anyhow::Result<Workload> {
        let mut models: Vec<ModelBuilder> = Vec::new();
        for (name, _) in &self.jobs {
            if models.iter().all(|known| known.name != *name) {
                models.push(self.scaled(profiles.model(name)?)?);
            }
        }
        let link = Link { round_trip: self.uplink.rtt_ms, ..Link::at(self.uplink.mbps) };
        let (executors, jobs) = (NonZeroU32::new(1), self.turns());
        Ok(WorkloadBuilder { link, executors, models, jobs }.build()?)
    }

    /// One job of each model in turn, until all are used up.
    pub(super) fn turns(&self) -> Vec<JobRun> {
        let one = |model: &String| JobRun { model: model.clone(), count: 1 };
        if let [(model, count)] = self.jobs.as_slice() {
            return vec![JobRun { count: *count as u64, ..one(model) }];
        }
        let most = self.jobs.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let turn = |turn| self.jobs.iter().filter(move |(_, count)| turn < *count);
        (0..most).flat_map(turn).map(|(model, _)| one(model)).collect()
    }

    fn scaled(&self, model: &ModelBuilder) -> anyhow::Result<ModelBuilder> {
        let mut model = model.clone();
        for layer in &mut model.layers {
            layer.device = self.on_device(layer.device)?;
            for (_, size) in &mut layer.writes {
                self.choose_forms(size, false)?;
            }
        }
        for (_, size) in &mut model.inputs {
            self.choose_forms(size, true)?;
        }
        Ok(model)
    }

    /// What takes `measured` on a whole core takes this on the device.
    fn on_device(&self, measured: Time) -> anyhow::Result<Time> {
        let slower = 1.0 / self.device_fraction;
        let scaled = Time::from_milliseconds(measured.milliseconds() * slower);
        scaled.with_context(|| format!("{measured} is too long for a device {slower} times slower"))
    }

    fn choose_forms(&self, size: &mut Size, is_input: bool) -> anyhow::Result<()> {
        size.encodings.retain(|form| match self.forms {
            Forms::Raw => false,
            Forms::Jpeg => is_input && form.name == JPEG,
            Forms::All => true,
        });
        for form in &mut size.encodings {
            form.encode = self.on_device(form.encode)?;
        }
        Ok(())
    }
}
