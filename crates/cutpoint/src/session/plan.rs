//! What was measured, and plans made from it.

use super::measurement::Measurement;
use super::workload::parse_workload;
use super::worth::worth_splitting;
use crate::error::{Error, ErrorKind, Result};
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::workload::Workload;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What was measured of models on both sides and of the link: all that a plan depends on.
#[derive(Clone, Debug)]
pub struct Profile {
    json: Value,
    measurement: Option<Arc<Measurement>>,
}

impl Profile {
    pub(super) fn of(measurement: Measurement) -> Profile {
        let json = measurement.workload_json.clone();
        Profile { json, measurement: Some(Arc::new(measurement)) }
    }

    /// A profile that [`Profile::to_json`] wrote, or any `workload.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if it breaks a rule of the format, naming the place.
    pub fn from_json(text: &str) -> Result<Profile> {
        parse_workload(text, "the profile")?;
        let json = serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::Workload, "is not JSON").because(e))?;
        Ok(Profile { json, measurement: None })
    }

    /// The profile as the text of a `workload.json`, so that a program need not measure each time
    /// it starts.
    pub fn to_json(&self) -> String {
        self.json.to_string()
    }

    /// Every single measurement, if this was measured and not read.
    pub fn measurement(&self) -> Option<&Measurement> {
        self.measurement.as_deref()
    }

    /// Decides where each of these jobs is cut and in which order they run: so many of each model,
    /// numbered from 0 in the order in which they are named. Cheap and repeatable: nothing is
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
    /// A plan by `joint` that would hardly be faster than the device alone is replaced by that: see
    /// [`worth_splitting`].
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if a model is not of this profile, or if the policy cannot make a
    /// plan.
    pub fn plan(&self, jobs: &[(&str, usize)], policy: Policy) -> Result<Planned> {
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
    ) -> Result<Planned> {
        let mut json = self.json.clone();
        json["jobs"] =
            jobs.iter().map(|(model, count)| json!({ "model": model, "count": count })).collect();
        let workload = parse_workload(&json.to_string(), "the jobs")?;
        let plan = plan(&workload, policy, options)
            .map_err(|e| Error::new(ErrorKind::Workload, e.to_string()).because(e))?;
        let plan = worth_splitting(&workload, plan, options);
        Ok(Planned { both: Arc::new((workload, plan)) })
    }
}

/// A plan together with the workload that it is for. Clones share it.
#[derive(Clone, Debug)]
pub struct Planned {
    both: Arc<(Workload, Plan)>,
}

impl Planned {
    /// A plan that was made elsewhere.
    pub fn new(workload: Workload, plan: Plan) -> Planned {
        Planned { both: Arc::new((workload, plan)) }
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
        self.workload().jobs.len()
    }

    /// How many of them have a part on the server.
    pub fn offloaded(&self) -> usize {
        self.plan().partitions.iter().filter(|p| !p.uploads.is_empty()).count()
    }

    /// How long it takes, if all is as it was when the profile was measured.
    pub fn makespan(&self) -> Duration {
        Duration::from_nanos(self.plan().makespan.nanoseconds())
    }

    /// Whether this is the very same plan, not only an equal one.
    pub(super) fn is(&self, other: &Planned) -> bool {
        Arc::ptr_eq(&self.both, &other.both)
    }
}
