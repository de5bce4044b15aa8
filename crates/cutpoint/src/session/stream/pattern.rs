//! A plan for some jobs, repeated for all that arrive.

use super::plan::StreamPlan;
use crate::device::{
    Arrivals, JobProgram, Planned, Planner, Prepared, Program, Reach, Standing, Step,
};
use crate::error::{Error, ErrorKind, Result};
use crate::session::device_side::DeviceSide;
use crate::session::options::RunOptions;
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::explain::PlanSummary;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::ops::Range;
use std::sync::Arc;

impl DeviceSide {
    /// Loads what a plan for jobs that arrive needs on both sides, at any bandwidth that it has a
    /// pattern for; at its own alone if `for_change` is not wanted.
    ///
    /// # Errors
    /// As [`DeviceSide::prepare`].
    pub fn prepare_stream(&self, stream: &StreamPlan, for_change: bool) -> Result<Prepared> {
        let others = if for_change { &stream.others[..] } else { &[] };
        self.prepare_all(&stream.workload, &stream.plan, others)
    }

    /// Executes jobs as they arrive; with `follows_link` the pattern follows the link.
    ///
    /// # Errors
    /// As [`DeviceSide::execute`].
    pub fn execute_stream(
        &self,
        prepared: &mut Prepared,
        stream: &StreamPlan,
        arrivals: &mut dyn Arrivals<'_>,
        follows_link: bool,
        how: &RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let mut patterns = Patterns::new(stream, prepared)?;
        let workload = &stream.workload;
        let how = (how, follows_link);
        self.execute_with(prepared, workload, arrivals, Some(&mut patterns), how, on_outputs)
    }
}

/// What one job of a pattern consists of.
struct Part {
    steps: Vec<Step>,
    sends: Vec<crate::device::Send>,
    job: JobProgram,
    suffix: Option<Arc<str>>,
}

/// The jobs of a plan, ready to be repeated.
struct Pattern {
    parts: Vec<Part>,
    /// What is repeated.
    middle: Range<usize>,
    /// Whether it is repeated only after the last job.
    is_whole: bool,
}

impl Pattern {
    /// `None` if the plan needs more than what is loaded.
    fn new(
        workload: &Workload,
        plan: &Plan,
        is_whole: bool,
        prepared: &Prepared,
    ) -> Result<Option<Pattern>> {
        let segments = &prepared.program.segments;
        let Some(program) = Program::on(segments, workload, plan)? else { return Ok(None) };
        let part = |job: &JobProgram| Part {
            steps: program.steps.iter().filter(|step| step.job == job.job).cloned().collect(),
            sends: program.sends.iter().filter(|send| send.job == job.job).copied().collect(),
            job: job.clone(),
            suffix: prepared.suffixes.of_job(job),
        };
        let parts: Vec<Part> = program.jobs.iter().map(part).collect();
        if parts.iter().any(|part| part.job.is_offloaded && part.suffix.is_none()) {
            return Ok(None);
        }
        let stream = PlanSummary::of(workload, plan, &[]).stream;
        let repeats_after = stream.and_then(|stream| stream.repeats_after);
        Ok(Some(Pattern { middle: middle(parts.len(), repeats_after), is_whole, parts }))
    }

    fn part(&self, job: JobId) -> &Part {
        let Range { start, end } = self.middle;
        let position = match job.index() {
            known if known < end || (self.is_whole && known < self.parts.len()) => known,
            later => start + (later - start) % (end - start).max(1),
        };
        &self.parts[position]
    }
}

/// The jobs of a plan that are repeated: one repetition from the middle, or all but the first and
/// the last eighth.
fn middle(jobs: usize, repeats_after: Option<usize>) -> Range<usize> {
    match repeats_after {
        Some(after) if jobs / 2 + after <= jobs => jobs / 2..jobs / 2 + after,
        _ => jobs / 8..(jobs - jobs / 8).max(jobs.min(1)),
    }
}

/// Plans each job as the pattern of the nearest bandwidth has it.
struct Patterns {
    by_uplink: Vec<(Bandwidth, Pattern)>,
    local: Pattern,
    period: Time,
    segments: crate::device::Segments,
}

impl Patterns {
    fn new(stream: &StreamPlan, prepared: &Prepared) -> Result<Patterns> {
        let mut by_uplink = Vec::new();
        let own = std::iter::once((&stream.workload, &stream.plan));
        for (workload, plan) in own.chain(stream.others.iter().map(|(w, p)| (w, p))) {
            if let Some(pattern) = Pattern::new(workload, plan, stream.is_whole, prepared)? {
                by_uplink.push((workload.link().uplink, pattern));
            }
        }
        let workload = &stream.workload;
        let options = PlanOptions { period: stream.plan.period, ..PlanOptions::default() };
        let local = plan(workload, Policy::LocalOnly, &options)
            .map_err(|error| Error::new(ErrorKind::Workload, error.to_string()))?;
        let local = Pattern::new(workload, &local, stream.is_whole, prepared)?;
        let local = local.expect("a job that stays takes all segments");
        let period = stream.plan.period.unwrap_or_default();
        Ok(Patterns { by_uplink, local, period, segments: prepared.program.segments.clone() })
    }

    fn nearest(&self, uplink: Bandwidth) -> &Pattern {
        let distance = |other: &Bandwidth| {
            (other.mbit_per_s().max(1e-9) / uplink.mbit_per_s().max(1e-9)).ln().abs()
        };
        let nearest =
            self.by_uplink.iter().min_by(|(a, _), (b, _)| distance(a).total_cmp(&distance(b)));
        nearest.map_or(&self.local, |(_, pattern)| pattern)
    }
}

impl Planner for Patterns {
    fn plan(&mut self, jobs: &[(JobId, ModelId)], standing: &Standing) -> Result<Option<Planned>> {
        let pattern = match standing.reach {
            Reach::Lost => &self.local,
            Reach::Connected(uplink) => self.nearest(uplink),
        };
        let (steps, sends) = (Vec::new(), Vec::new());
        let segments = self.segments.clone();
        let mut program = Program { segments, steps, sends, jobs: Vec::new() };
        let mut suffixes = Vec::with_capacity(jobs.len());
        for &(id, _) in jobs {
            let Part { steps, sends, job, suffix } = pattern.part(id);
            program.steps.extend(steps.iter().cloned().map(|step| Step { job: id, ..step }));
            program.sends.extend(sends.iter().map(|&send| crate::device::Send { job: id, ..send }));
            program.jobs.push(JobProgram { job: id, ..job.clone() });
            suffixes.push(suffix.clone());
        }
        let makespan = self.period * (jobs.len() as u64);
        Ok(Some(Planned { program, suffixes, makespan }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_repeats_what_repeats_in_the_plan() {
        assert_eq!(middle(32, Some(3)), 16..19);
        assert_eq!(middle(32, None), 4..28);
        assert_eq!(middle(1, None), 0..1);
        assert_eq!(middle(0, None), 0..0);
    }
}
