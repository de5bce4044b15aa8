//! A plan for some jobs, repeated for all that arrive.

use super::plan::StreamPlan;
use crate::device::{
    JobProgram, Loaded, Planned, Planner, Program, Segments, Send, Standing, Step,
};
use crate::error::Result;
use crate::session::plan::plan_for;
use cutpoint_plan::explain::Stream;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::ops::Range;

/// The parts of one job of a pattern.
struct Part {
    steps: Vec<Step>,
    sends: Vec<Send>,
    job: JobProgram,
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
        loaded: &Loaded,
    ) -> Result<Option<Pattern>> {
        let Some(program) = loaded.program(workload, plan)? else { return Ok(None) };
        let part = |job: &JobProgram| Part {
            steps: program.steps.iter().filter(|step| step.job == job.job).cloned().collect(),
            sends: program.sends.iter().filter(|send| send.job == job.job).copied().collect(),
            job: job.clone(),
        };
        let parts: Vec<Part> = program.jobs.iter().map(part).collect();
        let stream = Stream::of(workload, plan);
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
pub(in crate::session) struct Patterns {
    by_uplink: Vec<(Bandwidth, Pattern)>,
    local: Pattern,
    period: Time,
    segments: Segments,
}

impl Patterns {
    pub(in crate::session) fn new(stream: &StreamPlan, loaded: &Loaded) -> Result<Patterns> {
        let mut by_uplink = Vec::new();
        let own = std::iter::once((&stream.workload, &stream.plan));
        for (workload, plan) in own.chain(stream.others.iter().map(|(w, p)| (w, p))) {
            if let Some(pattern) = Pattern::new(workload, plan, stream.is_whole, loaded)? {
                by_uplink.push((workload.link().uplink, pattern));
            }
        }
        let workload = &stream.workload;
        let options = PlanOptions { period: stream.plan.period, ..PlanOptions::default() };
        let local = plan_for(workload, Policy::LocalOnly, &options)?;
        let local = Pattern::new(workload, &local, stream.is_whole, loaded)?;
        let local = local.expect("a job that stays takes all segments");
        let period = stream.plan.period.unwrap_or_default();
        Ok(Patterns { by_uplink, local, period, segments: loaded.segments.clone() })
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
        let pattern = standing.uplink.map_or(&self.local, |uplink| self.nearest(uplink));
        let (steps, sends) = (Vec::new(), Vec::new());
        let segments = self.segments.clone();
        let mut program = Program { segments, steps, sends, jobs: Vec::new() };
        for &(id, _) in jobs {
            let Part { steps, sends, job } = pattern.part(id);
            program.steps.extend(steps.iter().cloned().map(|step| Step { job: id, ..step }));
            program.sends.extend(sends.iter().map(|&send| Send { job: id, ..send }));
            program.jobs.push(JobProgram { job: id, ..job.clone() });
        }
        let makespan = self.period * (jobs.len() as u64);
        Ok(Some(Planned { program, makespan }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_pattern_is_the_repeating_part_of_the_plan() {
        assert_eq!(middle(32, Some(3)), 16..19);
        assert_eq!(middle(32, None), 4..28);
        assert_eq!(middle(1, None), 0..1);
        assert_eq!(middle(0, None), 0..0);
    }
}
