//! `workload.json` from the top: the parts are those of the builder.

use crate::error::InputError;
use crate::format::json::check_schema;
use crate::workload::limits::EXECUTORS_MAX;
use crate::workload::{
    JobRun, Link, ModelBuilder, ModelId, Workload, WorkloadBuilder, by_name, whole,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::num::NonZeroU32;

/// The schema of a workload file.
pub const WORKLOAD_SCHEMA: &str = "cutpoint.workload/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkloadFile {
    #[serde(deserialize_with = "schema")]
    schema: String,
    link: Link,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<ServerFile>,
    #[serde(with = "by_name")]
    models: Vec<(String, ModelBuilder)>,
    jobs: Vec<JobRun>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFile {
    /// 0 for any number.
    #[serde(default, deserialize_with = "whole")]
    executors: u64,
}

fn schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    check_schema(deserializer, WORKLOAD_SCHEMA)
}

impl TryFrom<WorkloadFile> for WorkloadBuilder {
    type Error = InputError;

    fn try_from(file: WorkloadFile) -> Result<WorkloadBuilder, InputError> {
        let found = file.server.map_or(0, |server| server.executors);
        let executors = u32::try_from(found)
            .map_err(|_| InputError::too_large("server.executors", found, EXECUTORS_MAX))?;
        let named = |(name, model)| ModelBuilder { name, ..model };
        Ok(WorkloadBuilder {
            link: file.link,
            executors: NonZeroU32::new(executors),
            models: file.models.into_iter().map(named).collect(),
            jobs: file.jobs,
        })
    }
}

impl From<&Workload> for WorkloadFile {
    fn from(workload: &Workload) -> WorkloadFile {
        let run = |jobs: &[ModelId]| JobRun {
            model: workload.models[jobs[0].index()].name.clone(),
            count: jobs.len() as u64,
        };
        let server = workload.executors.map(|n| ServerFile { executors: n.get().into() });
        WorkloadFile {
            schema: WORKLOAD_SCHEMA.into(),
            link: workload.link,
            server,
            models: workload.models.iter().map(|m| (m.name.clone(), m.into())).collect(),
            jobs: workload.jobs.chunk_by(|a, b| a == b).map(run).collect(),
        }
    }
}
