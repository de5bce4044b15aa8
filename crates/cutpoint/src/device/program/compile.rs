//! From plans to programs.

use super::order::{add_departures, drops_after, labels_of, segments_of, sends_of, steps_of};
use super::steps::{JobProgram, NEVER, Program, SegmentLayers, Segments, Step, StepWork};
use crate::error::Result;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The segments that several plans need, each with the workload that it is for; the workloads have
/// the same models. Every plan has been checked.
///
/// # Errors
/// As [`Program::new`].
pub(crate) fn segments_for(plans: &[(&Workload, &Plan)]) -> Result<Segments> {
    let models = plans.first().map_or(&[][..], |(workload, _)| workload.models());
    let mut ways: Vec<BTreeSet<Vec<u32>>> = vec![BTreeSet::new(); models.len()];
    for (workload, plan) in plans {
        let labels = labels_of(workload, &steps_of(workload, plan)?);
        for (model, labels) in workload.jobs().iter().zip(labels) {
            ways[model.index()].insert(labels);
        }
    }
    Ok(Arc::new(models.iter().zip(&ways).map(|(m, w)| segments_of(m, w)).collect()))
}

impl Program {
    /// The program of a plan that has been checked, and the segments that it needs.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Workload`] if the plan uses an encoding that this program does
    /// not know, naming the tensor.
    pub fn new(workload: &Workload, plan: &Plan) -> Result<Program> {
        let segments = segments_for(&[(workload, plan)])?;
        let program = Program::on(&segments, workload, plan)?;
        Ok(program.expect("its own runs are whole segments"))
    }

    /// The program of a plan that has been checked, on segments that are given; `None` if one of
    /// its runs is not made up of whole segments.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn on(segments: &Segments, workload: &Workload, plan: &Plan) -> Result<Option<Program>> {
        let mut steps = steps_of(workload, plan)?;
        let labels = labels_of(workload, &steps);
        let mut ways = BTreeMap::new();
        for (model, labels) in workload.jobs().iter().zip(&labels) {
            let Some(way) = by_label(&segments[model.index()], labels) else { return Ok(None) };
            ways.entry((*model, labels.as_slice())).or_insert(way);
        }
        let segments_with = |job: usize, label: u32| -> Vec<usize> {
            let way = &ways[&(workload.jobs()[job], labels[job].as_slice())];
            way.get(&label).cloned().unwrap_or_default()
        };

        let mut layer_runs = vec![0u32; workload.jobs().len()];
        let mut has_steps = vec![false; workload.jobs().len()];
        for step in &mut steps {
            let j = step.job.index();
            has_steps[j] = true;
            if let StepWork::Layers { segments, .. } = &mut step.work {
                *segments = segments_with(j, layer_runs[j]);
                let model = workload.model_of(step.job);
                step.drops = drops_after(model, plan, step.job, &labels[j], layer_runs[j]);
                layer_runs[j] += 1;
            }
        }
        add_departures(workload, plan, &mut steps);

        let job = |j: usize| {
            let partition = Arc::new(plan.partitions[j].clone());
            let all = workload.model_of(JobId::at(j)).layers.len();
            let is_offloaded = partition.device_layers.count() < all;
            JobProgram {
                job: JobId::at(j),
                model: workload.jobs()[j],
                partition,
                has_steps: has_steps[j],
                is_offloaded,
                suffix: None,
                server_segments: if is_offloaded { segments_with(j, NEVER) } else { vec![] },
            }
        };
        let jobs = (0..workload.jobs().len()).map(job).collect();
        let sends = sends_of(workload, plan, &layer_runs);
        Ok(Some(Program { segments: segments.clone(), steps, sends, jobs }))
    }

    /// A program that keeps jobs on the device, each in one step.
    pub(crate) fn local(
        segments: &Segments,
        workload: &Workload,
        jobs: &[(JobId, ModelId)],
    ) -> Program {
        let step = |&(job, model): &(JobId, ModelId)| {
            let layers = workload.models()[model.index()].topological.clone();
            let segments = (0..segments[model.index()].len()).collect();
            let work = StepWork::Layers { segments, layers };
            Step { job, work, departs: Vec::new(), drops: Vec::new(), is_last: true }
        };
        let part = |&(job, model): &(JobId, ModelId)| {
            let device_layers = LayerSet::all(&workload.models()[model.index()]);
            JobProgram {
                job,
                model,
                partition: Arc::new(Partition { device_layers, uploads: Vec::new() }),
                has_steps: true,
                is_offloaded: false,
                suffix: None,
                server_segments: Vec::new(),
            }
        };
        Program {
            segments: segments.clone(),
            steps: jobs.iter().map(step).collect(),
            sends: Vec::new(),
            jobs: jobs.iter().map(part).collect(),
        }
    }

    /// The same program for other jobs: its job at position `i` becomes `jobs[i]`.
    ///
    /// # Panics
    /// If there are fewer `jobs` than the program has.
    pub fn renumber(&mut self, jobs: &[JobId]) {
        let in_steps = self.steps.iter_mut().map(|step| &mut step.job);
        let in_sends = self.sends.iter_mut().map(|send| &mut send.job);
        let in_jobs = self.jobs.iter_mut().map(|job| &mut job.job);
        in_steps.chain(in_sends).chain(in_jobs).for_each(|job| *job = jobs[job.index()]);
    }

    /// Whether anything is sent in an encoding.
    pub fn encodes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.work, StepWork::Encode(..)))
    }
}

/// The segments of a model by the labels that a job gives to their layers; `None` if the layers of
/// a segment have different ones.
fn by_label(segments: &[SegmentLayers], labels: &[u32]) -> Option<BTreeMap<u32, Vec<usize>>> {
    let mut found: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (number, segment) in segments.iter().enumerate() {
        let mut of_layers = segment.layers.iter().map(|l| labels[l.index()]);
        let Some(label) = of_layers.next() else { continue };
        if of_layers.any(|other| other != label) {
            return None;
        }
        found.entry(label).or_default().push(number);
    }
    Some(found)
}
