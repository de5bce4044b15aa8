//! The rules of one job, recomputed from its model.

use crate::check::rule::{PlanRule, Report, is_before, is_equal};
use crate::check::transfer::transfer_time;
use crate::options::Granularity;
use crate::plan::{Machine, Operation, Plan, Work};
use crate::units::Time;
use crate::workload::{JobId, ModelGraph, TensorEncoding, TensorId, Workload};

/// A job's operations on one machine, each with its position in the list of all.
type Operations<'a> = [(usize, &'a Operation)];

pub(super) fn check_jobs(workload: &Workload, plan: &Plan, report: &mut Report) {
    let lists = Machine::ALL.map(|machine| {
        let mut by_job: Vec<Vec<(usize, &Operation)>> = vec![Vec::new(); workload.jobs.len()];
        for (position, op) in plan.schedule.on(machine).iter().enumerate() {
            by_job[op.job.index()].push((position, op));
        }
        by_job
    });
    for index in 0..workload.jobs.len() {
        let mut check = JobCheck::new(workload, plan, JobId::at(index), report);
        if !check.check_partition() {
            continue;
        }
        let [device, uplink, server, downlink] = lists.each_ref().map(|by_job| &by_job[index][..]);
        check.device(device);
        check.layers_in_order();
        check.uplink(uplink);
        check.server(server);
        check.downlink(downlink);
        check.completion();
    }
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
    /// Whether each tensor crosses the link.
    is_sent: Vec<bool>,
    /// The encoding in which each tensor crosses the link, if it does in one.
    encodings: Vec<Option<&'a TensorEncoding>>,
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
        plan: &'a Plan,
        job: JobId,
        report: &'r mut Report,
    ) -> JobCheck<'a, 'r> {
        let model = workload.model_of(job);
        let since = plan.period.map_or(Time::ZERO, |period| period * u64::from(job.0));
        JobCheck {
            workload,
            model,
            plan,
            job,
            report,
            since,
            on_device: vec![false; model.layers.len()],
            is_sent: vec![false; model.tensors.len()],
            encodings: vec![None; model.tensors.len()],
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

    /// Adds a violation by an operation, which is in the list of its machine.
    fn add_at(&mut self, rule: PlanRule, index: usize, op: &Operation, message: &str) {
        let place = || format!("schedule.{}[{index}]", op.work.machine().name());
        self.report.add(rule, place, format!("job {}: {message}", op.job.0));
    }

    /// Everything that is expected happens once, and nothing else.
    fn check_counts(
        &mut self,
        rule: PlanRule,
        found: &[u32],
        expected: &[bool],
        message: impl Fn(usize, u32) -> String,
    ) {
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let expected = u32::from(expected);
            if found != expected {
                self.add(rule, format!("{}, expected {expected}", message(i, found)));
            }
        }
    }

    fn has_suffix(&self) -> bool {
        self.on_device.iter().any(|on| !on)
    }

    /// The cut is closed and the uploads are its frontier; false if names are beyond the model.
    fn check_partition(&mut self) -> bool {
        let (plan, model) = (self.plan, self.model);
        let partition = &plan.partitions[self.job.index()];
        for layer in partition.device_layers.iter() {
            let Some(on) = self.on_device.get_mut(layer.index()) else {
                self.add(PlanRule::KnownName, format!("the model has no layer {}", layer.0));
                return false;
            };
            *on = true;
        }
        let mut uploads = vec![0u32; model.tensors.len()];
        for upload in &partition.uploads {
            let tensor = model.tensors.get(upload.tensor.index());
            let encoding = upload.encoding.zip(tensor).and_then(|(e, t)| t.encodings.get(e));
            if tensor.is_none() || encoding.is_some() != upload.encoding.is_some() {
                self.add(
                    PlanRule::KnownName,
                    format!("the model has no tensor or encoding {upload:?}"),
                );
                return false;
            }
            let t = upload.tensor.index();
            uploads[t] += 1;
            (self.is_sent[t], self.encodings[t]) = (true, encoding);
        }
        self.check_closed();
        self.check_frontier(&uploads);
        true
    }

    fn check_closed(&mut self) {
        let model = self.model;
        for layer in self.plan.partitions[self.job.index()].device_layers.iter() {
            let layer = &model.layers[layer.index()];
            for tensor in &layer.reads {
                let producer = model.tensors[tensor.index()].producer;
                if let Some(before) = producer.filter(|p| !self.on_device[p.index()]) {
                    let before = &model.layers[before.index()].name;
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
        let model = self.model;
        let mut is_frontier = vec![false; model.tensors.len()];
        for (layer, _) in model.layers.iter().zip(&self.on_device).filter(|(_, on)| !**on) {
            for t in &layer.reads {
                let producer = model.tensors[t.index()].producer;
                is_frontier[t.index()] = producer.is_none_or(|p| self.on_device[p.index()]);
            }
        }
        self.check_counts(PlanRule::UploadsAreFrontier, uploads, &is_frontier, |t, found| {
            format!("tensor {:?} is in uploads {found} times", model.tensors[t].name)
        });
    }

    fn duration(&mut self, index: usize, op: &Operation, expected: Time) {
        // Written with a sum, so that an operation that ends before it starts is caught too.
        let is_right = op.end >= op.start && is_equal(op.end, op.start + expected);
        if !is_right {
            let (start, end) = (op.start, op.end);
            let message = format!("from {start} to {end}, expected a length of {expected}");
            self.add_at(PlanRule::Duration, index, op, &message);
        }
    }

    fn not_before(&mut self, index: usize, op: &Operation, ready: Time, what: &str) {
        if is_before(op.start, ready) {
            let message = format!("starts at {}, but {what} at {ready}", op.start);
            self.add_at(PlanRule::Precedence, index, op, &message);
        }
    }

    fn device(&mut self, operations: &Operations<'a>) {
        let model = self.model;
        let mut runs = vec![0u32; model.layers.len()];
        let mut encodes = vec![0u32; model.tensors.len()];
        for &(index, op) in operations {
            self.not_before(index, op, self.since, "its job arrives");
            match op.work {
                Work::Layer(layer) => {
                    runs[layer.index()] += 1;
                    self.layer_runs[layer.index()] = Some((op.start, op.end));
                    self.last_layer_end = self.last_layer_end.max(op.end);
                    self.duration(index, op, model.layers[layer.index()].device);
                }
                // When it may start is checked when all layers are known.
                Work::Encode(tensor) => {
                    encodes[tensor.index()] += 1;
                    self.encode_runs[tensor.index()] = Some((op.start, op.end));
                    if let Some(encoding) = self.encodings[tensor.index()] {
                        self.duration(index, op, encoding.encode);
                    }
                }
                Work::Transfer(_) | Work::Suffix | Work::Download => {}
            }
        }
        let on_device = self.on_device.clone();
        self.check_counts(PlanRule::LayersOnce, &runs, &on_device, |l, found| {
            format!("layer {:?} runs {found} times on the device", model.layers[l].name)
        });
        let is_encoded: Vec<bool> = self.encodings.iter().map(Option::is_some).collect();
        self.check_counts(PlanRule::EncodesOnce, &encodes, &is_encoded, |t, found| {
            format!("tensor {:?} is encoded {found} times", model.tensors[t].name)
        });
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
            if let Some(end) = self.written(t).filter(|&end| is_before(start, end)) {
                let message = format!(
                    "the encode of {:?} starts at {start}, but its layer ends at {end}",
                    tensor.name
                );
                self.add(PlanRule::Precedence, message);
            }
        }
    }

    /// When the layer that writes a tensor ends, if it runs on the device.
    fn written(&self, tensor: usize) -> Option<Time> {
        let producer = self.model.tensors[tensor].producer?;
        self.layer_runs[producer.index()].map(|(_, end)| end)
    }

    /// When a tensor is there to be sent.
    fn ready(&self, tensor: usize) -> Time {
        let written = match self.plan.granularity {
            Granularity::Job => Some(self.last_layer_end),
            Granularity::Layer => self.written(tensor),
        };
        let encoded = self.encodings[tensor].and(self.encode_runs[tensor]).map(|(_, end)| end);
        written.max(encoded).unwrap_or(Time::ZERO).max(self.since)
    }

    fn uplink(&mut self, operations: &Operations<'a>) {
        let (model, link) = (self.model, &self.workload.link);
        let mut transfers = vec![0u32; model.tensors.len()];
        for &(index, op) in operations {
            let Work::Transfer(TensorId(t)) = op.work else { continue };
            let t = t as usize;
            transfers[t] += 1;
            let bytes = self.encodings[t].map_or(model.tensors[t].bytes, |e| e.bytes);
            match transfer_time(link.uplink, bytes) {
                Some(time) => self.duration(index, op, time + link.message_overhead),
                None => {
                    let message = format!("{bytes} bytes on an uplink without bandwidth");
                    self.add_at(PlanRule::PossibleTransfer, index, op, &message);
                }
            }
            self.not_before(index, op, self.ready(t), "its tensor is ready");
            self.arrival = self.arrival.max(op.end + link.round_trip.half());
        }
        let is_sent = self.is_sent.clone();
        self.check_counts(PlanRule::TransfersOnce, &transfers, &is_sent, |t, found| {
            format!("tensor {:?} crosses the uplink {found} times", model.tensors[t].name)
        });
    }

    fn server(&mut self, operations: &Operations<'a>) {
        let layers = self.model.layers.iter().zip(&self.on_device);
        let compute: Time = layers.filter(|(_, on)| !**on).map(|(l, _)| l.server).sum();
        let decode: Time = self.encodings.iter().flatten().map(|e| e.decode).sum();
        for &(index, op) in operations {
            self.duration(index, op, compute + decode);
            self.not_before(index, op, self.arrival, "its tensors have arrived");
            self.suffix_end = self.suffix_end.max(Some(op.end));
        }
        let (found, has_suffix) = (operations.len() as u32, self.has_suffix());
        self.check_counts(PlanRule::SuffixOnce, &[found], &[has_suffix], |_, found| {
            format!("{found} server blocks")
        });
        self.returned = self.suffix_end.filter(|_| has_suffix);
    }

    fn downlink(&mut self, operations: &Operations<'a>) {
        let model = self.model;
        let outputs = model.outputs.iter().map(|t| &model.tensors[t.index()]);
        let remote = outputs.filter(|t| t.producer.is_some_and(|p| !self.on_device[p.index()]));
        let bytes: u128 = remote.map(|t| u128::from(t.bytes)).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let downlink = self.workload.link.downlink;
        for &(index, op) in operations {
            match downlink.map(|link| transfer_time(link, bytes)) {
                None => {}
                Some(Some(time)) => self.duration(index, op, time),
                Some(None) => {
                    let message = format!("{bytes} bytes on a downlink without bandwidth");
                    self.add_at(PlanRule::PossibleTransfer, index, op, &message);
                }
            }
            let ready = self.suffix_end.unwrap_or(Time::ZERO);
            self.not_before(index, op, ready, "its server block ends");
            self.returned = self.returned.map(|end| end.max(op.end));
        }
        // A block without length says nothing, so it may be there or not.
        let (found, most) =
            (operations.len(), usize::from(downlink.is_some() && self.has_suffix()));
        if found > most || found < most && bytes > 0 {
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
