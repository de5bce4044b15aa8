//! Profiles, which say what a plan depends on, and the plans that are made of them.

use super::measurement::Measurement;
use super::workload::{naming_jobs, parse_workload};
use crate::error::{Error, ErrorKind, Result};
use crate::trace::{Execution, chrome_trace};
use cutpoint_plan::format::{write_plan, write_workload};
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::workload::Workload;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What was measured of models on both sides and of the link: all that a plan depends on.
#[derive(Clone, Debug)]
pub struct Profile {
    workload: Workload,
    measurement: Option<Arc<Measurement>>,
}

impl Profile {
    /// The profile that a workload describes; its jobs are replaced by those that are planned.
    pub fn of_workload(workload: Workload) -> Profile {
        Profile { workload, measurement: None }
    }

    pub(super) fn measured(workload: Workload, measurement: Measurement) -> Profile {
        Profile { workload, measurement: Some(Arc::new(measurement)) }
    }

    /// The same measurements with times that runs have shown since.
    pub(super) fn with_workload(&self, workload: Workload) -> Profile {
        Profile { workload, measurement: self.measurement.clone() }
    }

    /// A profile that [`Profile::to_json`] wrote, or any `workload.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if it breaks a rule of the format, naming the place.
    pub fn from_json(text: &str) -> Result<Profile> {
        Ok(Profile::of_workload(parse_workload(text, "the profile")?))
    }

    /// The profile as the text of a `workload.json`, so that a program need not measure each time
    /// it starts.
    pub fn to_json(&self) -> String {
        workload_text(&self.workload)
    }

    /// The layers, the link and the server, with the jobs that were named when it was measured.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Every single measurement, if this was measured and not read.
    pub fn measurement(&self) -> Option<&Measurement> {
        self.measurement.as_deref()
    }

    /// Decides where each of these jobs is cut and in which order they run: a number of jobs for each
    /// model, numbered from 0 in the order in which they are named. Cheap and repeatable: nothing is
    /// measured, and the same arguments give the same plan.
    ///
    /// ```
    /// # use cutpoint::{Model, Policy, Profile};
    /// # let text = r#"{ "schema": "cutpoint.workload/1", "jobs": [], "link": { "uplink_mbps": 8 },
    /// #   "models": { "camera": { "inputs": { "x": 1000 }, "layers": [
    /// #     { "name": "a", "reads": ["x"], "writes": { "y": 100 }, "device_ms": 1, "server_ms": 0.1 },
    /// #     { "name": "b", "reads": ["y"], "writes": { "z": 10 }, "device_ms": 9, "server_ms": 0.1 } ] } } }"#;
    /// let profile = Profile::from_json(text)?; // or session.profile()?
    /// let planned = profile.plan(&[("camera", 10)], Policy::Joint)?;
    /// // Layer `a` takes 1 ms here; what it makes takes 0.1 ms to send.
    /// assert!(planned.makespan() < profile.plan(&[("camera", 10)], Policy::LocalOnly)?.makespan());
    /// assert_eq!(planned.offloaded(), 10);
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    ///
    /// A plan by `joint` that would hardly be faster than the device alone is replaced by that.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if a model is not of this profile, or if the policy cannot make a
    /// plan.
    pub fn plan(&self, jobs: &[(&str, usize)], policy: Policy) -> Result<PlannedRun> {
        self.plan_with(jobs, policy, &PlanOptions::default())
    }

    /// As [`Profile::plan`], for another granularity or objective, or for jobs that arrive one
    /// after the other.
    ///
    /// # Errors
    /// As [`Profile::plan`].
    pub fn plan_with(
        &self,
        jobs: &[(&str, usize)],
        policy: Policy,
        options: &PlanOptions,
    ) -> Result<PlannedRun> {
        let workload = naming_jobs(&self.workload, jobs)?;
        let plan = plan_for(&workload, policy, options)?;
        Ok(PlannedRun::new(workload, plan))
    }
}

/// A plan by a policy.
///
/// # Errors
/// [`ErrorKind::Workload`] if the policy cannot make one.
pub(super) fn plan_for(workload: &Workload, policy: Policy, options: &PlanOptions) -> Result<Plan> {
    plan(workload, policy, options)
        .map_err(|error| Error::new(ErrorKind::Workload, error.to_string()).because(error))
}

/// A plan together with the workload that it is for. Clones share it.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    both: Arc<(Workload, Plan)>,
}

impl PlannedRun {
    /// A plan that was made elsewhere.
    pub fn new(workload: Workload, plan: Plan) -> PlannedRun {
        PlannedRun { both: Arc::new((workload, plan)) }
    }

    /// What it is for.
    pub fn workload(&self) -> &Workload {
        &self.both.0
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.both.1
    }

    /// How many jobs it is for.
    pub fn jobs(&self) -> usize {
        self.plan().partitions.len()
    }

    /// How many of them have a part on the server.
    pub fn offloaded(&self) -> usize {
        self.plan().partitions.iter().filter(|p| !p.uploads.is_empty()).count()
    }

    /// How long it takes, if all is as it was when the profile was measured.
    pub fn makespan(&self) -> Duration {
        Duration::from_nanos(self.plan().makespan.nanoseconds())
    }

    /// The text of the `workload.json` that the plan is for.
    pub fn workload_json(&self) -> String {
        workload_text(self.workload())
    }

    /// The text of the plan's `plan.json`.
    pub fn plan_json(&self) -> String {
        plan_text(self.workload(), self.plan())
    }

    /// `trace.json`: the plan and a run of it side by side, in the Chrome trace format.
    pub fn trace(&self, execution: &Execution) -> Value {
        chrome_trace(self.workload(), self.plan(), Some(execution))
    }

    /// Whether this is the very same plan, not only an equal one.
    pub(super) fn is(&self, other: &PlannedRun) -> bool {
        Arc::ptr_eq(&self.both, &other.both)
    }
}

pub(super) fn workload_text(workload: &Workload) -> String {
    text(|to| write_workload(workload, to))
}

pub(super) fn plan_text(workload: &Workload, plan: &Plan) -> String {
    text(|to| write_plan(workload, plan, to))
}

fn text<E: std::fmt::Debug>(
    write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), E>,
) -> String {
    let mut text = Vec::new();
    write(&mut text).expect("memory takes what is written");
    String::from_utf8(text).expect("JSON is UTF-8")
}
