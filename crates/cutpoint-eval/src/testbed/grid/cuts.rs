//! What a plan does, without its times: two runs with the same text are runs of the same plan.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The parts of `plan.json` that say what is done.
#[derive(Debug, Deserialize)]
pub(super) struct PlanFile {
    jobs: Vec<Job>,
    schedule: Schedule,
}

#[derive(Debug, Deserialize)]
struct Job {
    job: usize,
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
struct Upload {
    tensor: String,
    encoding: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Schedule {
    device: Vec<Operation>,
    uplink: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    job: usize,
    start_ms: f64,
}

impl PlanFile {
    /// How many jobs are cut where, in the order in which they begin, such as `6 data, 14 device`.
    pub(super) fn cuts(&self) -> String {
        let mut begins: BTreeMap<usize, f64> = BTreeMap::new();
        for operation in self.schedule.device.iter().chain(&self.schedule.uplink) {
            let begin = begins.entry(operation.job).or_insert(f64::INFINITY);
            *begin = begin.min(operation.start_ms);
        }
        let begin = |job: &Job| begins.get(&job.job).copied().unwrap_or(f64::INFINITY);
        let mut jobs: Vec<&Job> = self.jobs.iter().collect();
        jobs.sort_by(|a, b| begin(a).total_cmp(&begin(b)));
        let runs = jobs.chunk_by(|a, b| a.cut() == b.cut());
        let runs: Vec<String> = runs.map(|run| format!("{} {}", run.len(), run[0].cut())).collect();
        runs.join(", ")
    }
}

impl Job {
    fn cut(&self) -> String {
        let mut tensors: Vec<String> = self.uploads.iter().map(Upload::name).collect();
        tensors.sort();
        match &tensors[..] {
            [] => "device".to_owned(),
            tensors => tensors.join("+"),
        }
    }
}

impl Upload {
    fn name(&self) -> String {
        match &self.encoding {
            Some(encoding) => format!("{}:{encoding}", self.tensor),
            None => self.tensor.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_by_its_cuts_in_the_order_of_its_jobs() {
        let text = r#"{ "jobs": [
            { "job": 0, "uploads": [], "device_layers": ["a", "b"] },
            { "job": 1, "uploads": [ { "tensor": "y" }, { "tensor": "x", "encoding": "u8" } ] },
            { "job": 2, "uploads": [ { "tensor": "i" } ] },
            { "job": 3, "uploads": [ { "tensor": "i" } ] } ],
          "schedule": {
            "device": [ { "job": 1, "start_ms": 0.5 }, { "job": 0, "start_ms": 7 } ],
            "uplink": [ { "job": 3, "start_ms": 0 }, { "job": 2, "start_ms": 0.25 },
                        { "job": 1, "start_ms": 3 } ] } }"#;
        let plan: PlanFile = serde_json::from_str(text).unwrap();
        assert_eq!(plan.cuts(), "2 i, 1 x:u8+y, 1 device");
    }
}
