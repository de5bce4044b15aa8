//! The rules of one job, recomputed from its model.

use crate::check::rule::{PlanRule, Report, is_before, is_equal};
use crate::options::Granularity;
use crate::plan::{Machine, Operation, Plan, Work};
use crate::units::{Bandwidth, Time};
use crate::workload::{JobId, ModelGraph, TensorId, Workload};

pub(super) fn check_jobs(workload: &Workload, plan: &Plan, report: &mut Report) {
    let jobs = workload.jobs.len();
    let lists = Machine::ALL.map(|machine| ByJob::of(plan.schedule.on(machine), jobs));
    for index in 0..jobs {
        let job = JobId::at(index);
        let model = workload.model_of(job);
        let operations = |machine: Machine| {
            let list = &lists[machine as usize];
            list.of_job(job).iter().map(move |&i| (i as usize, plan.schedule.on(machine)))
        };
        let mut check = JobCheck::new(workload, model, plan, job, report);
        if !check.check_partition() {
            continue;
        }
        check.device(operations(Machine::Device));
        check.layers_in_order();
        check.uplink(operations(Machine::Uplink));
        check.server(operations(Machine::Server));
        check.downlink(operations(Machine::Downlink));
        check.completion();
    }
}

/// The positions of each job's operations in a list.
struct ByJob {
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl ByJob {
    /// A counting sort, O(operations + jobs).
    fn of(operations: &[Operation], jobs: usize) -> ByJob {
        let mut starts = vec![0u32; jobs + 1];
        for op in operations {
            starts[op.job.index() + 1] += 1;
        }
        for job in 0..jobs {
            starts[job + 1] += starts[job];
        }
        let mut next = starts.clone();
        let mut positions = vec![0u32; operations.len()];
        for (position, op) in (0u32..).zip(operations) {
            let slot = &mut next[op.job.index()];
            positions[*slot as usize] = position;
            *slot += 1;
        }
        ByJob { starts, positions }
    }

    fn of_job(&self, job: JobId) -> &[u32] {
        let range = self.starts[job.index()] as usize..self.starts[job.index() + 1] as usize;
        &self.positions[range]
    }
}

/// How a tensor crosses the link.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Raw,
    Encoded(usize),
}

struct JobCheck<'a, 'r> {
    workload: &'a Workload,
    model: &'a ModelGraph,
    plan: &'a Plan,
    job: JobId,
    report: &'r mut Report,
    /// When the job is there to be worked on.
    since: Time,
    /// Whether each layer is on the device.
    on_device: Vec<bool>,
    /// How each tensor crosses the link, if it does.
    sent: Vec<Option<Form>>,
    /// When each device layer starts and ends.
    layer_runs: Vec<Option<(Time, Time)>>,
    /// When each encode starts and ends.
    encode_runs: Vec<Option<(Time, Time)>>,
    /// When the last layer on the device ends: at job granularity, transfers wait for it.
    last_layer_end: Time,
    /// When everything the server needs has arrived.
    arrival: Time,
    /// When the server block ends.
    suffix_end: Option<Time>,
    /// When the results are at the device, if they come from the server.
    returned: Option<Time>,
}

impl<'a, 'r> JobCheck<'a, 'r> {
    fn new(
        workload: &'a Workload,
        model: &'a ModelGraph,
        plan: &'a Plan,
        job: JobId,
        report: &'r mut Report,
    ) -> JobCheck<'a, 'r> {
        let since = plan.period.map_or(Time::ZERO, |period| period * u64::from(job.0));
        JobCheck {
            workload,
            model,
            plan,
            job,
            report,
            since,
            on_device: vec![false; model.layers.len()],
            sent: vec![None; model.tensors.len()],
            layer_runs: vec![None; model.layers.len()],
            encode_runs: vec![None; model.tensors.len()],
            last_layer_end: Time::ZERO,
            arrival: since,
            suffix_end: None,
            returned: None,
        }
    }

    fn add(&mut self, rule: PlanRule, message: String) {
        let job = self.job.0;
        self.report.add(rule, || format!("jobs[{job}]"), message);
    }

    fn add_at(&mut self, rule: PlanRule, machine: Machine, index: usize, message: String) {
        let job = self.job.0;
        let place = || format!("schedule.{}[{index}]", machine.name());
        self.report.add(rule, place, format!("job {job}: {message}"));
    }

    fn tensor_name(&self, tensor: usize) -> &'a str {
        &self.model.tensors[tensor].name
    }

    fn has_suffix(&self) -> bool {
        self.on_device.iter().any(|on| !on)
    }

    /// The cut is closed and the uploads are its frontier; false if names are beyond the model.
    fn check_partition(&mut self) -> bool {
        let partition = &self.plan.partitions[self.job.index()];
        for layer in partition.device_layers.iter() {
            let Some(on) = self.on_device.get_mut(layer.index()) else {
                self.add(PlanRule::KnownName, format!("the model has no layer {}", layer.0));
                return false;
            };
            *on = true;
        }
        let mut uploads = vec![0u32; self.model.tensors.len()];
        for upload in &partition.uploads {
            let tensor = self.model.tensors.get(upload.tensor.index());
            let form = upload.encoding.map_or(Form::Raw, Form::Encoded);
            let is_known =
                tensor.is_some_and(|t| upload.encoding.is_none_or(|e| e < t.encodings.len()));
            if !is_known {
                self.add(PlanRule::KnownName, format!("the model has no such {upload:?}"));
                return false;
            }
            uploads[upload.tensor.index()] += 1;
            self.sent[upload.tensor.index()] = Some(form);
        }
        self.check_closed();
        self.check_frontier(&uploads);
        true
    }

    fn check_closed(&mut self) {
        for (l, layer) in self.model.layers.iter().enumerate() {
            if !self.on_device[l] {
                continue;
            }
            for tensor in &layer.reads {
                let producer = self.model.tensors[tensor.index()].producer;
                if let Some(before) = producer.filter(|p| !self.on_device[p.index()]) {
                    let before = &self.model.layers[before.index()].name;
                    let message = format!(
                        "layer {:?} is on the device, but {before:?}, which it reads from, is not",
                        layer.name
                    );
                    self.add(PlanRule::ClosedCut, message);
                }
            }
        }
    }

    fn check_frontier(&mut self, uploads: &[u32]) {
        let mut is_read_on_server = vec![false; self.model.tensors.len()];
        for (l, layer) in self.model.layers.iter().enumerate() {
            if !self.on_device[l] {
                layer.reads.iter().for_each(|t| is_read_on_server[t.index()] = true);
            }
        }
        for (t, tensor) in self.model.tensors.iter().enumerate() {
            let is_here = tensor.producer.is_none_or(|p| self.on_device[p.index()]);
            let expected = u32::from(is_here && is_read_on_server[t]);
            if uploads[t] != expected {
                let message = format!(
                    "tensor {:?} is in uploads {} times, expected {expected}",
                    tensor.name, uploads[t]
                );
                self.add(PlanRule::UploadsAreFrontier, message);
            }
        }
    }

    fn duration(&mut self, machine: Machine, index: usize, op: &Operation, expected: Time) {
        // Written with a sum, so that an operation that ends before it starts is caught too.
        let is_right = op.end >= op.start && is_equal(op.end, op.start + expected);
        if !is_right {
            let (start, end) = (op.start, op.end);
            let message = format!("from {start} to {end}, expected a length of {expected}");
            self.add_at(PlanRule::Duration, machine, index, message);
        }
    }

    fn not_before(
        &mut self,
        machine: Machine,
        index: usize,
        op: &Operation,
        ready: Time,
        what: &str,
    ) {
        if is_before(op.start, ready) {
            let message = format!("starts at {}, but {what} at {ready}", op.start);
            self.add_at(PlanRule::Precedence, machine, index, message);
        }
    }

    fn device(&mut self, operations: impl Iterator<Item = (usize, &'a [Operation])>) {
        let mut runs = vec![0u32; self.model.layers.len()];
        let mut encodes = vec![0u32; self.model.tensors.len()];
        for (index, list) in operations {
            let op = &list[index];
            self.not_before(Machine::Device, index, op, self.since, "its job arrives");
            match op.work {
                Work::Layer(layer) => {
                    runs[layer.index()] += 1;
                    self.layer_runs[layer.index()] = Some((op.start, op.end));
                    self.last_layer_end = self.last_layer_end.max(op.end);
                    let expected = self.model.layers[layer.index()].device;
                    self.duration(Machine::Device, index, op, expected);
                }
                Work::Encode(tensor) => {
                    encodes[tensor.index()] += 1;
                    self.encode(index, op, tensor);
                }
                Work::Transfer(_) | Work::Suffix | Work::Download => {}
            }
        }
        for (l, layer) in self.model.layers.iter().enumerate() {
            let expected = u32::from(self.on_device[l]);
            if runs[l] != expected {
                let message = format!(
                    "layer {:?} runs {} times on the device, expected {expected}",
                    layer.name, runs[l]
                );
                self.add(PlanRule::LayersOnce, message);
            }
        }
        for (t, &found) in encodes.iter().enumerate() {
            let expected = u32::from(matches!(self.sent[t], Some(Form::Encoded(_))));
            if found != expected {
                let name = self.tensor_name(t);
                let message =
                    format!("tensor {name:?} is encoded {found} times, expected {expected}");
                self.add(PlanRule::EncodesOnce, message);
            }
        }
    }

    /// Its length; when it may start is checked when all layers are known.
    fn encode(&mut self, index: usize, op: &Operation, tensor: TensorId) {
        self.encode_runs[tensor.index()] = Some((op.start, op.end));
        let model = self.model;
        let tensor_of_model = &model.tensors[tensor.index()];
        if let Some(Form::Encoded(encoding)) = self.sent[tensor.index()] {
            let expected = tensor_of_model.encodings[encoding].encode;
            self.duration(Machine::Device, index, op, expected);
        }
    }

    /// Every layer and every encode starts after the layers that it reads from.
    fn layers_in_order(&mut self) {
        let model = self.model;
        for (l, layer) in model.layers.iter().enumerate() {
            let Some((start, _)) = self.layer_runs[l] else { continue };
            for tensor in &layer.reads {
                let before = model.tensors[tensor.index()].producer;
                let end = before.and_then(|p| Some((p, self.layer_runs[p.index()]?.1)));
                if let Some((before, end)) = end.filter(|&(_, end)| is_before(start, end)) {
                    let before = &model.layers[before.index()].name;
                    let message = format!(
                        "layer {:?} starts at {start}, but {before:?} ends at {end}",
                        layer.name
                    );
                    self.add(PlanRule::Precedence, message);
                }
            }
        }
        for (t, tensor) in model.tensors.iter().enumerate() {
            let Some((start, _)) = self.encode_runs[t] else { continue };
            let written = tensor.producer.and_then(|p| self.layer_runs[p.index()]);
            if let Some((_, end)) = written.filter(|&(_, end)| is_before(start, end)) {
                let message = format!(
                    "the encode of {:?} starts at {start}, but its layer ends at {end}",
                    tensor.name
                );
                self.add(PlanRule::Precedence, message);
            }
        }
    }

    /// When a tensor is there to be sent.
    fn ready(&self, tensor: usize) -> Time {
        let producer = self.model.tensors[tensor].producer;
        let written = match self.plan.granularity {
            Granularity::Job => Some(self.last_layer_end),
            Granularity::Layer => {
                producer.and_then(|p| self.layer_runs[p.index()]).map(|(_, end)| end)
            }
        };
        let encoded = match self.sent[tensor] {
            Some(Form::Encoded(_)) => self.encode_runs[tensor].map(|(_, end)| end),
            _ => None,
        };
        written.max(encoded).unwrap_or(Time::ZERO).max(self.since)
    }

    fn uplink(&mut self, operations: impl Iterator<Item = (usize, &'a [Operation])>) {
        let mut transfers = vec![0u32; self.model.tensors.len()];
        for (index, list) in operations {
            let op = &list[index];
            let Work::Transfer(tensor) = op.work else { continue };
            transfers[tensor.index()] += 1;
            let model = self.model;
            let tensor_of_model = &model.tensors[tensor.index()];
            let bytes = match self.sent[tensor.index()] {
                Some(Form::Encoded(encoding)) => tensor_of_model.encodings[encoding].bytes,
                _ => tensor_of_model.bytes,
            };
            let link = &self.workload.link;
            match transfer_time(link.uplink, bytes) {
                Some(time) => {
                    self.duration(Machine::Uplink, index, op, time + link.message_overhead);
                }
                None => {
                    let message = format!("{bytes} bytes on an uplink without bandwidth");
                    self.add_at(PlanRule::PossibleTransfer, Machine::Uplink, index, message);
                }
            }
            let ready = self.ready(tensor.index());
            self.not_before(Machine::Uplink, index, op, ready, "its tensor is ready");
            self.arrival = self.arrival.max(op.end + link.round_trip.half());
        }
        for (t, &found) in transfers.iter().enumerate() {
            let expected = u32::from(self.sent[t].is_some());
            if found != expected {
                let name = self.tensor_name(t);
                let message = format!(
                    "tensor {name:?} crosses the uplink {found} times, expected {expected}"
                );
                self.add(PlanRule::TransfersOnce, message);
            }
        }
    }

    fn server(&mut self, operations: impl Iterator<Item = (usize, &'a [Operation])>) {
        let layers = self.model.layers.iter().zip(&self.on_device);
        let compute: Time = layers.filter(|(_, on)| !**on).map(|(l, _)| l.server).sum();
        let decodes = self.model.tensors.iter().zip(&self.sent).map(|(tensor, form)| match form {
            Some(Form::Encoded(encoding)) => tensor.encodings[*encoding].decode,
            _ => Time::ZERO,
        });
        let expected = compute + decodes.sum();
        let mut found = 0;
        for (index, list) in operations {
            let op = &list[index];
            found += 1;
            self.duration(Machine::Server, index, op, expected);
            let arrival = self.arrival;
            self.not_before(Machine::Server, index, op, arrival, "its tensors have arrived");
            self.suffix_end = self.suffix_end.max(Some(op.end));
        }
        let expected = u32::from(self.has_suffix());
        if found != expected {
            let message = format!("{found} server blocks, expected {expected}");
            self.add(PlanRule::SuffixOnce, message);
        }
        self.returned = self.suffix_end.filter(|_| expected == 1);
    }

    fn downlink(&mut self, operations: impl Iterator<Item = (usize, &'a [Operation])>) {
        let model = self.model;
        let made_on_server = |t: &&TensorId| {
            model.tensors[t.index()].producer.is_some_and(|p| !self.on_device[p.index()])
        };
        let outputs: Vec<_> = model.outputs.iter().filter(made_on_server).collect();
        let bytes: u128 = outputs.iter().map(|t| u128::from(model.tensors[t.index()].bytes)).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut found = 0;
        for (index, list) in operations {
            let op = &list[index];
            found += 1;
            match self.workload.link.downlink.map(|link| transfer_time(link, bytes)) {
                None => {}
                Some(Some(time)) => self.duration(Machine::Downlink, index, op, time),
                Some(None) => {
                    let message = format!("{bytes} bytes on a downlink without bandwidth");
                    self.add_at(PlanRule::PossibleTransfer, Machine::Downlink, index, message);
                }
            }
            let ready = self.suffix_end.unwrap_or(Time::ZERO);
            self.not_before(Machine::Downlink, index, op, ready, "its server block ends");
            self.returned = self.returned.map(|end| end.max(op.end));
        }
        // A block without length says nothing, so it may be there or not.
        let (least, most) = match self.workload.link.downlink {
            Some(_) if self.has_suffix() => (u32::from(bytes > 0), 1),
            _ => (0, 0),
        };
        if found < least || found > most {
            let message = format!("{found} downlink blocks, expected {most}");
            self.add(PlanRule::DownloadOnce, message);
        }
    }

    fn completion(&mut self) {
        let back = self.returned.map(|end| end + self.workload.link.round_trip.half());
        let expected = back.unwrap_or(Time::ZERO).max(self.last_layer_end).max(self.since);
        let found = self.plan.completions[self.job.index()];
        if !is_equal(found, expected) {
            let message = format!("complete at {found}, expected {expected}");
            self.add(PlanRule::Completion, message);
        }
    }
}

/// Eight bits a byte, to the nearest nanosecond; `None` where a link without bandwidth should
/// carry something.
fn transfer_time(bandwidth: Bandwidth, bytes: u64) -> Option<Time> {
    if bytes == 0 {
        return Some(Time::ZERO);
    }
    let nanoseconds = (bytes as f64 * 8000.0 / bandwidth.mbit_per_s()).round();
    let is_possible = nanoseconds <= crate::units::TIME_MAX.nanoseconds() as f64;
    is_possible.then(|| Time::from_nanoseconds(nanoseconds as u64))
}
