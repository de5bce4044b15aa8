//! A setting: which jobs, on how slow a device, over which link, with tensors in which forms.

use crate::profiles::{JPEG, Profiles};
use cutpoint_plan::format::{
    Entries, JobsFile, LinkFile, ModelFile, ServerFile, SizeFile, WORKLOAD_SCHEMA, WorkloadFile,
};
use cutpoint_plan::workload::Workload;
use serde::Deserialize;

/// An uplink and the round trip of its link.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uplink {
    pub mbps: f64,
    pub rtt_ms: f64,
}

impl Default for Uplink {
    /// The Wi-Fi of the literature.
    fn default() -> Uplink {
        Uplink { mbps: 18.88, rtt_ms: 5.0 }
    }
}

/// In which forms tensors may cross the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forms {
    /// Every tensor as it is, inputs in 32 bits for each value: the setting of the literature.
    #[default]
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
    #[serde(default = "quarter")]
    pub device_fraction: f64,
    #[serde(default)]
    pub uplink: Uplink,
    #[serde(default)]
    pub forms: Forms,
}

fn quarter() -> f64 {
    0.25
}

impl Setting {
    /// The workload: one executor, results at no cost but the round trip.
    pub(crate) fn workload(&self, profiles: &Profiles) -> anyhow::Result<Workload> {
        let mut models = Vec::new();
        for (name, _) in &self.jobs {
            if models.iter().all(|(known, _)| known != name) {
                models.push((name.clone(), self.scaled(profiles.model(name)?)));
            }
        }
        let link = LinkFile {
            uplink_mbps: self.uplink.mbps,
            downlink_mbps: None,
            rtt_ms: self.uplink.rtt_ms,
            message_overhead_ms: 0.0,
        };
        let file = WorkloadFile {
            schema: WORKLOAD_SCHEMA.into(),
            link,
            server: Some(ServerFile { executors: 1.into() }),
            models: Entries(models),
            jobs: self.turns(),
        };
        Ok(Workload::try_from(file)?)
    }

    /// One job of each model in turn, until all are used up.
    pub(super) fn turns(&self) -> Vec<JobsFile> {
        let one = |model: &String| JobsFile { model: model.clone(), count: 1.into() };
        if let [(model, count)] = self.jobs.as_slice() {
            return vec![JobsFile { count: (*count as u64).into(), ..one(model) }];
        }
        let most = self.jobs.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let turn = |turn| self.jobs.iter().filter(move |(_, count)| turn < *count);
        (0..most).flat_map(turn).map(|(model, _)| one(model)).collect()
    }

    fn scaled(&self, model: &ModelFile) -> ModelFile {
        let slower = 1.0 / self.device_fraction;
        let mut model = model.clone();
        let written = model.layers.iter_mut().flat_map(|layer| {
            layer.device_ms *= slower;
            &mut layer.writes.0
        });
        for (_, size) in written {
            self.choose_forms(size, slower, false);
        }
        for (_, size) in &mut model.inputs.0 {
            self.choose_forms(size, slower, true);
        }
        model
    }

    fn choose_forms(&self, size: &mut SizeFile, slower: f64, is_input: bool) {
        size.encodings.0.retain(|(name, _)| match self.forms {
            Forms::Raw => false,
            Forms::Jpeg => is_input && name == JPEG,
            Forms::All => true,
        });
        size.encodings.0.iter_mut().for_each(|(_, form)| form.encode_ms *= slower);
    }
}
