//! A plan's cuts as text: two runs with the same text are runs of the same plan.

use cutpoint_plan::plan::{Plan, Upload};
use cutpoint_plan::workload::{JobId, Workload};

/// The cuts and their numbers of jobs, in starting order, such as `6 data, 14 device`.
pub(super) fn cuts(workload: &Workload, plan: &Plan) -> String {
    let cuts: Vec<String> =
        plan.jobs_in_order().into_iter().map(|job| cut(workload, plan, job)).collect();
    let runs = cuts.chunk_by(|a, b| a == b);
    let runs: Vec<String> = runs.map(|run| format!("{} {}", run.len(), run[0])).collect();
    runs.join(", ")
}

/// The tensors that a job sends; `device` if it sends none.
fn cut(workload: &Workload, plan: &Plan, job: JobId) -> String {
    let tensors = &workload.model_of(job).tensors;
    let name = |upload: &Upload| {
        let tensor = &tensors[upload.tensor.index()];
        match upload.encoding {
            Some(encoding) => format!("{}:{}", tensor.name, tensor.encodings[encoding].name),
            None => tensor.name.clone(),
        }
    };
    let mut sent: Vec<String> = plan.partitions[job.index()].uploads.iter().map(name).collect();
    sent.sort();
    match &sent[..] {
        [] => "device".to_owned(),
        sent => sent.join("+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::format::read_workload;
    use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
    use cutpoint_plan::policy::plan;

    #[test]
    fn a_plan_is_described_by_its_cuts_in_job_order() {
        let text = r#"{ "schema": "cutpoint.workload/1",
            "link": { "uplink_mbps": 8.0, "rtt_ms": 1.0 },
            "models": { "m": { "inputs": { "i": 9000 }, "layers": [
                { "name": "a", "reads": ["i"], "writes": { "x": 5000 }, "device_ms": 4, "server_ms": 1 },
                { "name": "b", "reads": ["x"], "writes": { "y": 10 }, "device_ms": 4, "server_ms": 1 }
            ] } },
            "jobs": [ { "model": "m", "count": 4 } ] }"#;
        let workload = read_workload(text.as_bytes()).unwrap();
        let of = |policy| {
            let plan = plan(&workload, policy, &PlanOptions::raw(Granularity::Layer)).unwrap();
            cuts(&workload, &plan)
        };
        assert_eq!(of(Policy::LocalOnly), "4 device");
        assert_eq!(of(Policy::ServerOnly), "4 i");
        // A job takes 8 ms on the device, or 9 on the uplink: they begin at 0, 0, 8 and 9 ms.
        assert_eq!(of(Policy::ScheduleOnly), "1 i, 2 device, 1 i");
    }
}
