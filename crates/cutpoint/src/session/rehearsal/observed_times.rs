//! Times of parts of models in rehearsals, and the layers' times that follow.

use crate::profile::median;
use crate::session::replan::{cuts_of, has_cut};
use crate::trace::Execution;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::plan::{Operation, Partition, Plan, Upload, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Layer, LayerId, ModelGraph, ModelId, Workload};

/// A layer is scaled by at most this factor more or less than the layers on its machine together.
const SCALE_MAX: f64 = 2.0;

/// Now and then an operation takes far longer than all others of its kind. A makespan is a sum of
/// operations, so it has its share of these; their mean effect counts up to this factor.
const OUTLIERS_MAX: f64 = 1.15;

/// From one step of the device to the next some time passes, with tensors that come and go. A device
/// that does nothing for longer than this waits for something.
const HANDOVER_MAX: Time = Time::from_nanoseconds(1_000_000);

/// How often layers are scaled to each part in turn, and after how many of these turns by ever smaller
/// steps, which end between parts that contradict each other.
const SWEEPS: u32 = 240;
const FULL_SWEEPS: u32 = 200;

/// Everything that rehearsals of one workload have shown so far.
#[derive(Default)]
pub(super) struct Observed {
    cuts: Vec<(ModelId, Partition)>,
    device: Vec<Sample>,
    server: Vec<Sample>,
    /// The time of messages beyond that of their bytes at the link's bandwidth.
    beyond_ns: Vec<f64>,
}

/// One measured time of a set of layers.
struct Sample {
    model: usize,
    layers: LayerSet,
    ms: f64,
}

impl Observed {
    /// An execution of a plan.
    pub(super) fn add(&mut self, workload: &Workload, plan: &Plan, execution: &Execution) {
        let schedule = &execution.schedule;
        let device = with_handovers(&schedule.device);
        for (j, (&model, partition)) in workload.jobs().iter().zip(&plan.partitions).enumerate() {
            if fell_back(execution, j) || execution.completions[j].is_none() {
                continue;
            }
            let is_known = |(m, known): &(ModelId, Partition)| *m == model && known == partition;
            if !self.cuts.iter().any(is_known) {
                self.cuts.push((model, partition.clone()));
            }
            let described = &workload.models()[model.index()];
            let here = partition.device_layers.clone();
            let there = complement(described, &here);
            let is_layer = |o: &Operation| matches!(o.work, Work::Layer(_));
            let device_ms = busy_ms(&device, j, is_layer);
            let server_ms =
                busy_ms(&schedule.server, j, |_| true) - decode_ms(described, partition);
            let push = |samples: &mut Vec<Sample>, layers: LayerSet, ms: f64| {
                if layers.count() > 0 && ms > 0.0 {
                    samples.push(Sample { model: model.index(), layers, ms });
                }
            };
            push(&mut self.device, here, device_ms);
            push(&mut self.server, there, server_ms);
        }
        self.beyond_ns.extend(beyond_ns(workload, plan, execution));
    }

    /// The cuts that were executed, each once.
    pub(super) fn cuts(&self) -> &[(ModelId, Partition)] {
        &self.cuts
    }

    /// Whether every cut of a plan was executed, whatever the order of its tensors.
    pub(super) fn has_all_of(&self, workload: &Workload, plan: &Plan) -> bool {
        cuts_of(workload, plan).iter().all(|(model, cut)| has_cut(&self.cuts, *model, cut))
    }

    /// The workload with each layer's times scaled so that what was executed takes what it took.
    pub(super) fn applied_to(&self, workload: &Workload) -> Workload {
        let of_model = |(m, model): (usize, &ModelGraph)| {
            let ms = |time: fn(&Layer) -> Time| -> Vec<f64> {
                model.layers.iter().map(|layer| time(layer).milliseconds()).collect()
            };
            let (mut device, mut server) = (ms(|l| l.device), ms(|l| l.server));
            fit(&mut device, &parts(&self.device, m));
            fit(&mut server, &parts(&self.server, m));
            (device, server)
        };
        let times: Vec<_> = workload.models().iter().enumerate().map(of_model).collect();
        let mut link = workload.link();
        if !self.beyond_ns.is_empty() {
            link.message_overhead = nanoseconds(median(&self.beyond_ns));
        }
        let workload = workload.clone().with_link(link);
        workload.with_layer_times(|model, layer, _| {
            let (device, server) = &times[model.index()];
            (nanoseconds(device[layer.index()] * 1e6), nanoseconds(server[layer.index()] * 1e6))
        })
    }
}

/// What each set of layers of a model takes: the median, and the mean effect of outliers.
fn parts(samples: &[Sample], model: usize) -> Vec<(Vec<usize>, f64)> {
    let mut sets: Vec<(&LayerSet, Vec<f64>)> = Vec::new();
    for Sample { layers, ms, .. } in samples.iter().filter(|s| s.model == model) {
        match sets.iter_mut().find(|(known, _)| *known == layers) {
            Some((_, times)) => times.push(*ms),
            None => sets.push((layers, vec![*ms])),
        }
    }
    let medians: Vec<f64> = sets.iter().map(|(_, times)| median(times)).collect();
    let ratios =
        sets.iter().zip(&medians).flat_map(|((_, times), m)| times.iter().map(move |t| t / m));
    let ratios: Vec<f64> = ratios.collect();
    let outliers = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let outliers = outliers.clamp(1.0, OUTLIERS_MAX);
    let indices = |set: &LayerSet| set.iter().map(|layer| layer.index()).collect();
    sets.iter().zip(medians).map(|((set, _), m)| (indices(set), m * outliers)).collect()
}

/// Scales layers so that each part takes what was measured, as nearly as the parts agree; layers in
/// no part are scaled like all others together.
fn fit(layers_ms: &mut [f64], parts: &[(Vec<usize>, f64)]) {
    let sum_of =
        |layers_ms: &[f64], part: &[usize]| part.iter().map(|&l| layers_ms[l]).sum::<f64>();
    let foreseen: f64 = parts.iter().map(|(part, _)| sum_of(layers_ms, part)).sum();
    let measured: f64 = parts.iter().map(|(_, ms)| ms).sum();
    if foreseen <= 0.0 || measured <= 0.0 {
        return;
    }
    let overall = measured / foreseen;
    layers_ms.iter_mut().for_each(|ms| *ms *= overall);
    let before = layers_ms.to_vec();
    for sweep in 0..SWEEPS {
        let step = 1.0 / (1.0 + f64::from(sweep.saturating_sub(FULL_SWEEPS)) / 4.0);
        for (part, ms) in parts {
            let sum = sum_of(layers_ms, part);
            if sum <= 0.0 {
                continue;
            }
            let factor = (ms / sum).powf(step);
            for &l in part {
                let (least, most) = (before[l] / SCALE_MAX, before[l] * SCALE_MAX);
                layers_ms[l] = (layers_ms[l] * factor).clamp(least, most);
            }
        }
    }
}

/// The time of messages beyond that of their bytes at the link's bandwidth.
fn beyond_ns(workload: &Workload, plan: &Plan, execution: &Execution) -> Vec<f64> {
    let beyond_ns = |o: &Operation| {
        let Work::Transfer(id) = o.work else { return None };
        let uploads = &plan.partitions[o.job.index()].uploads;
        let upload = uploads.iter().find(|upload| upload.tensor == id)?;
        let tensor = &workload.model_of(o.job).tensors[id.index()];
        let bytes = tensor.sent_bytes(upload.encoding);
        let foreseen = workload.link().uplink.transfer_time(bytes)?;
        let took = o.end.saturating_sub(o.start);
        Some(took.nanoseconds() as f64 - foreseen.nanoseconds() as f64)
    };
    execution.schedule.uplink.iter().filter_map(beyond_ns).collect()
}

fn complement(model: &ModelGraph, set: &LayerSet) -> LayerSet {
    let mut others = LayerSet::none(model);
    for layer in (0..model.layers.len()).map(LayerId::at).filter(|&layer| !set.contains(layer)) {
        others.insert(layer);
    }
    others
}

fn decode_ms(model: &ModelGraph, partition: &Partition) -> f64 {
    let decode = |u: &Upload| Some(model.tensors[u.tensor.index()].encodings[u.encoding?].decode);
    partition.uploads.iter().filter_map(decode).map(Time::milliseconds).sum()
}

fn fell_back(execution: &Execution, job: usize) -> bool {
    execution.fallbacks.iter().any(|(fallen, _)| *fallen == JobId::at(job))
}

/// The device's operations, each with the time since the one before it, unless the device waited.
fn with_handovers(device: &[Operation]) -> Vec<Operation> {
    let mut operations = device.to_vec();
    operations.sort_by_key(|o| o.start);
    for k in 1..operations.len() {
        let before = operations[k - 1].end;
        let operation = &mut operations[k];
        if operation.start.saturating_sub(before) <= HANDOVER_MAX {
            operation.start = operation.start.min(before);
        }
    }
    operations
}

/// How long a machine worked on a job.
fn busy_ms(operations: &[Operation], job: usize, counts: impl Fn(&Operation) -> bool) -> f64 {
    let of_job = operations.iter().filter(|o| o.job == JobId::at(job) && counts(o));
    of_job.map(|o| o.end.saturating_sub(o.start).milliseconds()).sum()
}

fn nanoseconds(value: f64) -> Time {
    Time::from_nanoseconds(value.max(0.0).round() as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::session::parse_workload;
    use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
    use cutpoint_plan::policy::plan;

    pub(in super::super) fn workload() -> Workload {
        let text = r#"{
            "schema": "cutpoint.workload/1",
            "link": { "uplink_mbps": 8.0, "rtt_ms": 1.0 },
            "models": { "m": { "inputs": { "i": 9000 }, "layers": [
                { "name": "a", "reads": ["i"], "writes": { "x": 5000 }, "device_ms": 4, "server_ms": 1 },
                { "name": "b", "reads": ["x"], "writes": { "y": 2000 }, "device_ms": 4, "server_ms": 1 },
                { "name": "c", "reads": ["y"], "writes": { "z": 10 }, "device_ms": 4, "server_ms": 1 }
            ] } },
            "jobs": [ { "model": "m", "count": 9 } ]
        }"#;
        parse_workload(text, "test").expect("a valid workload")
    }

    /// A run in which every operation of a machine took this much longer than planned.
    fn stretched(plan: &Plan, device: f64, server: f64) -> Execution {
        let stretch = |operations: &[Operation], factor: f64| -> Vec<Operation> {
            let longer = |o: &Operation| {
                let took = o.end.saturating_sub(o.start).nanoseconds() as f64;
                Operation { end: o.start + nanoseconds(took * factor), ..*o }
            };
            operations.iter().map(longer).collect()
        };
        let mut execution = Execution {
            schedule: plan.schedule.clone(),
            completions: vec![Some(Time::ZERO); plan.partitions.len()],
            ..Execution::default()
        };
        execution.schedule.device = stretch(&plan.schedule.device, device);
        execution.schedule.server = stretch(&plan.schedule.server, server);
        execution
    }

    fn as_executed(workload: &Workload, plan: &Plan, execution: &Execution) -> Workload {
        let mut observed = Observed::default();
        observed.add(workload, plan, execution);
        assert!(observed.has_all_of(workload, plan));
        observed.applied_to(workload)
    }

    fn is_near(a: Time, b: Time) -> bool {
        a.nanoseconds().abs_diff(b.nanoseconds()) <= 2
    }

    #[test]
    fn a_run_as_planned_changes_nothing() {
        let workload = workload();
        for policy in [Policy::LocalOnly, Policy::ServerOnly, Policy::Joint] {
            let plan = plan(&workload, policy, &PlanOptions::raw(Granularity::Layer))
                .expect("it can be planned");
            let again = as_executed(&workload, &plan, &stretched(&plan, 1.0, 1.0));
            assert_eq!(again, workload, "{policy}");
        }
    }

    #[test]
    fn layers_are_scaled_to_the_measured_run() {
        let workload = workload();
        let plan = plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))
            .expect("it can be planned");
        let slower = as_executed(&workload, &plan, &stretched(&plan, 1.25, 2.0));
        for (before, after) in workload.models()[0].layers.iter().zip(&slower.models()[0].layers) {
            let [device, server] = [(before.device, 1.25), (before.server, 2.0)]
                .map(|(time, factor)| nanoseconds(time.nanoseconds() as f64 * factor));
            assert!(is_near(after.device, device), "{after:?}");
            assert!(is_near(after.server, server), "{after:?}");
        }
    }

    #[test]
    fn the_overhead_of_messages_is_the_measured_time_beyond_their_bytes() {
        let workload = workload();
        let plan = plan(&workload, Policy::ServerOnly, &PlanOptions::raw(Granularity::Layer))
            .expect("it can be planned");
        let mut execution = stretched(&plan, 1.0, 1.0);
        let overhead = Time::from_nanoseconds(250_000);
        for operation in &mut execution.schedule.uplink {
            operation.end += overhead;
        }
        let again = as_executed(&workload, &plan, &execution);
        assert_eq!(again.link().message_overhead, overhead);
    }

    #[test]
    fn gaps_between_device_steps_count_but_waiting_does_not() {
        let workload = workload();
        let plan = plan(&workload, Policy::LocalOnly, &PlanOptions::raw(Granularity::Job))
            .expect("it can be planned");
        for (gap, counts) in [(HANDOVER_MAX, true), (HANDOVER_MAX * 2, false)] {
            let mut execution = stretched(&plan, 1.0, 1.0);
            let mut late = Time::ZERO;
            for operation in &mut execution.schedule.device {
                operation.start += late;
                operation.end += late;
                late += gap;
            }
            let again = as_executed(&workload, &plan, &execution);
            let per_job = again.models()[0].layers.iter().map(|layer| layer.device).sum::<Time>();
            let before = workload.models()[0].layers.iter().map(|layer| layer.device).sum::<Time>();
            assert_eq!(per_job > before, counts, "{per_job} after {before}, {gap} apart");
        }
    }

    #[test]
    fn nested_parts_all_take_the_measured_time() {
        let mut layers = vec![1.0, 2.0, 3.0, 4.0];
        let parts = [(vec![0, 1], 4.0), (vec![0, 1, 2], 12.0), (vec![0, 1, 2, 3], 17.0)];
        fit(&mut layers, &parts);
        for (part, ms) in &parts {
            let sum: f64 = part.iter().map(|&l| layers[l]).sum();
            assert!((sum / ms - 1.0).abs() < 1e-3, "{part:?}: {sum} of {ms}");
        }
    }

    #[test]
    fn contradicting_parts_take_the_mean() {
        let mut layers = vec![1.0, 1.0];
        fit(&mut layers, &[(vec![0, 1], 2.0), (vec![0, 1], 3.0)]);
        let sum: f64 = layers.iter().sum();
        assert!((2.3..2.7).contains(&sum), "{sum}");
    }

    #[test]
    fn a_layer_is_not_scaled_beyond_the_limit_to_fit_noise() {
        let mut layers = vec![10.0, 0.1, 10.0];
        fit(&mut layers, &[(vec![0], 10.0), (vec![0, 1], 15.0)]);
        assert!(layers[1] <= 0.1 * SCALE_MAX * 1.3, "{layers:?}");
    }

    #[test]
    fn outliers_count_by_their_mean_effect() {
        let model = workload().models()[0].clone();
        let sample = |ms| Sample { model: 0, layers: LayerSet::all(&model), ms };
        let samples: Vec<Sample> = [4.0, 4.0, 4.0, 4.0, 6.0].map(sample).into();
        let found = parts(&samples, 0);
        assert_eq!(found.len(), 1);
        assert!((found[0].1 - 4.4).abs() < 1e-9, "{found:?}");
        assert_eq!(parts(&samples, 1), []);
    }
}
