//! Plans executed by a device and a server that are both there, over real sockets on loopback.

mod appearing_server;
mod cuts;
mod faults;
mod loading;
pub(crate) mod meddler;
mod online;
mod plain;
mod recovery;
mod relay;

use super::device_side::DeviceSide;
use super::options::SessionModel;
use super::plan::Profile;
use super::workload::{MeasuredModel, measured_workload};
use crate::device::{Prepared, RunOptions, SpeedFraction};
use crate::engine::rten::Rten;
use crate::engine::{Engine, EngineOptions};
use crate::input::Inputs;
use crate::link::{Client, ConnectOptions};
use crate::onnx::LayeredModel;
use crate::profile::unsplit_outputs;
use crate::server::{ServedModel, Server, ServerOptions};
use crate::tensor::{Tensor, relative_difference};
use crate::trace::Execution;
use cutpoint_plan::cut::{LayerSet, frontier};
use cutpoint_plan::options::{Granularity, Objective, Policy};
use cutpoint_plan::plan::{Partition, Plan, Upload, Work};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, LayerId, Link, Workload};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

const OPTIONS: EngineOptions = EngineOptions { threads: NonZeroUsize::MIN };

/// How far outputs may be from those of the unsplit model, relative to the largest value.
const DIFFERENCE_MAX: f64 = 1e-5;

/// No test waits for this.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A device with one model.
pub(crate) struct Bench {
    side: DeviceSide,
    /// What the planner is told of it, before anything is changed.
    pub(crate) described: Value,
}

/// A server that has the model.
pub(crate) fn serve(engine: Arc<dyn Engine>, model: &LayeredModel) -> Server {
    let served = ServedModel { name: "small".into(), model: model.clone() };
    Server::start(ServerOptions::local(engine), vec![served]).unwrap()
}

impl Bench {
    pub(crate) fn new(engine: Arc<dyn Engine>, model: LayeredModel, server: &str) -> Bench {
        let client = Client::connect(server, ConnectOptions::default()).unwrap();
        let model = SessionModel { name: "small".into(), model: Arc::new(model) };
        let device_ms = vec![1.0; model.model.layers().layers.len()];
        let none = BTreeMap::new();
        let measured = MeasuredModel {
            name: &model.name,
            model: &model.model,
            device_ms: &device_ms,
            server: None,
            encodings: &none,
            jobs: 1,
        };
        let round_trip = Time::from_nanoseconds(100_000);
        let link = Link { round_trip, ..Link::at(Bandwidth::from_mbit_per_s(100.0).unwrap()) };
        let workload = measured_workload(&[measured], link, 1).unwrap();
        let described = Profile::of_workload(workload).to_json().parse().unwrap();
        let (models, client) = (vec![model], Some(client));
        let speed = SpeedFraction::FULL;
        Bench {
            side: DeviceSide { engine, options: OPTIONS, speed, models, client, replans: false },
            described,
        }
    }

    fn layers(&self) -> usize {
        self.side.models[0].model.layers().layers.len()
    }

    /// Jobs every tensor of which can cross the link in these encodings.
    fn workload(&self, jobs: usize, encodings: &[&str]) -> Workload {
        let mut json = self.described.clone();
        json["jobs"][0]["count"] = jobs.into();
        let forms: Value = encodings
            .iter()
            .map(|&name| {
                let form = serde_json::json!({ "bytes": 8, "encode_ms": 0.1, "decode_ms": 0.1 });
                (name.to_owned(), form)
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        let encodable = |size: &mut Value| {
            let bytes = size.get("bytes").unwrap_or(size).clone();
            *size = serde_json::json!({ "bytes": bytes, "encodings": forms });
        };
        let model = &mut json["models"]["small"];
        model["inputs"].as_object_mut().unwrap().values_mut().for_each(encodable);
        for layer in model["layers"].as_array_mut().unwrap() {
            layer["writes"].as_object_mut().unwrap().values_mut().for_each(encodable);
        }
        crate::session::parse_workload(&json.to_string(), "a test").unwrap()
    }

    /// Job number j on this many inputs.
    fn inputs(&self, jobs: usize) -> Vec<Inputs> {
        let model = self.side.models[0].model.model();
        let made = |seed| -> Inputs {
            let made = model.synthetic_inputs(seed).into_iter();
            made.map(|(name, tensor)| (name, tensor.into())).collect()
        };
        (0..jobs as u64).map(made).collect()
    }

    fn prepare(&self, workload: &Workload, plan: &Plan) -> Prepared {
        self.side.prepare(workload, plan, &[]).unwrap()
    }

    /// Executes, and checks that each job ends once with the outputs of the unsplit model.
    fn run(&self, prepared: &mut Prepared, workload: &Workload, patience: Duration) -> Execution {
        self.run_on(&self.inputs(workload.jobs().len()), prepared, workload, patience)
    }

    /// The same on these inputs.
    fn run_on(
        &self,
        inputs: &[Inputs],
        prepared: &mut Prepared,
        workload: &Workload,
        patience: Duration,
    ) -> Execution {
        let how = RunOptions { patience, ..RunOptions::default() };
        let mut found = BTreeMap::new();
        let on_outputs = |job: JobId, outputs| {
            assert!(found.insert(job, outputs).is_none(), "job {} ended twice", job.0);
        };
        let execution =
            self.side.execute_batch(prepared, workload, &inputs, None, how, on_outputs).unwrap();
        assert_eq!(execution.failures, []);
        let model = self.side.models[0].model.model();
        let expected = unsplit_outputs(&*self.side.engine, OPTIONS, model, inputs).unwrap();
        for (j, expected) in expected.iter().enumerate() {
            let found = &found[&JobId::at(j)];
            assert_eq!(found.len(), expected.len(), "job {j}");
            expected.iter().for_each(|(name, expected)| check_output(j, found, name, expected));
        }
        execution
    }
}

fn check_output(job: usize, found: &[(String, Tensor)], name: &str, expected: &Tensor) {
    let found = found.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    let found = found.unwrap_or_else(|| panic!("job {job}: no output {name}"));
    match relative_difference(found, expected) {
        Some(off) => assert!(off <= DIFFERENCE_MAX, "job {job}: {name} is off by {off:e}"),
        None => assert_eq!(found, expected, "job {job}: {name}"),
    }
}

/// A plan in which job j keeps its first `device_layers[j]` layers on the device, and sends
/// every tensor in its first encoding, if it has one.
fn plan_at(workload: &Workload, device_layers: &[usize], granularity: Granularity) -> Plan {
    let mut decision = Decision {
        partitions: Vec::new(),
        device: Vec::new(),
        uplink: Vec::new(),
        server: None,
        period: None,
    };
    for (job, &count) in (0..).map(JobId).zip(device_layers) {
        let model = workload.model_of(job);
        let mut set = LayerSet::none(model);
        (0..count).for_each(|layer| assert!(set.insert(LayerId::at(layer))));
        let encoding = |t: cutpoint_plan::workload::TensorId| {
            (!model.tensors[t.index()].encodings.is_empty()).then_some(0)
        };
        let crossing = frontier(model, &set);
        let made_by =
            |layer| crossing.iter().filter(move |t| model.tensors[t.index()].producer == layer);
        let encodes = |layer| {
            let encoded = made_by(layer).filter(|&&t| encoding(t).is_some());
            encoded.map(|&t| (job, Work::Encode(t))).collect::<Vec<_>>()
        };
        decision.device.extend(encodes(None));
        for layer in (0..count).map(LayerId::at) {
            decision.device.push((job, Work::Layer(layer)));
            decision.device.extend(encodes(Some(layer)));
        }
        decision.uplink.extend(crossing.iter().map(|&tensor| (job, tensor)));
        let uploads = crossing.iter().map(|&tensor| Upload { tensor, encoding: encoding(tensor) });
        let uploads = uploads.collect();
        decision.partitions.push(Partition { device_layers: set, uploads });
    }
    let no_bound = |_| Time::ZERO;
    plan_of(workload, Policy::Joint, granularity, Objective::default(), decision, no_bound)
}

/// The jobs that fell back, in order, and the cause of the first.
fn fallbacks(execution: &Execution) -> (Vec<u32>, String) {
    let mut jobs: Vec<u32> = execution.fallbacks.iter().map(|(job, _)| job.0).collect();
    jobs.sort_unstable();
    (jobs, execution.fallbacks.first().map(|(_, cause)| cause.clone()).unwrap_or_default())
}

pub(crate) fn rten() -> Arc<dyn Engine> {
    Arc::new(Rten::new())
}
