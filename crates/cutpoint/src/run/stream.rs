//! Jobs that arrive over time: patterns of cuts, made for a period and repeated.
//!
//! A pattern is a plan for some jobs that arrive one each period. Job k is cut as job k of the
//! pattern, and from its end on as in the pattern's middle, again and again: the first and the last
//! jobs of a plan see empty machines. Jobs keep their order on every machine. There is a pattern for
//! each of a few bandwidths of the uplink; when the link changes, the nearest one is taken up, and
//! without a server everything stays on the device.

use super::replan::{OTHER_BANDWIDTHS, OTHER_CUTS_MAX, cuts_of, is_alike};
use super::{RunOptions, Runner};
use crate::device::{
    JobProgram, Jobs, Planned, Planner, Prepared, Program, Reach, Source, Standing, Step,
};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::explain::{Stream, Summary};
use cutpoint_plan::plan::{Objective, Plan, Policy};
use cutpoint_plan::policy::{PlanOptions, plan};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::ops::Range;
use std::sync::Arc;

/// Of jobs of one model so many are planned; then the pattern repeats.
pub const PATTERN_JOBS_MAX: usize = 32;

/// Where no period is given, jobs are planned to arrive this much slower than the machines can take
/// them at best.
const SPARE: f64 = 1.05;

/// A plan for jobs that arrive over time.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// The jobs that are planned, and the link.
    pub workload: Workload,
    /// How they are carried out if they arrive one each period.
    pub plan: Plan,
    /// How they fare by the plan, and how long the period has to be at least.
    pub stream: Stream,
    /// The same jobs at other bandwidths.
    others: Vec<(Workload, Plan)>,
    /// Whether all jobs that were named are planned.
    is_whole: bool,
}

impl StreamPlan {
    /// A plan for jobs that arrive in the order of the workload, one each `period`; without a
    /// period, about as fast as the machines can take them. The mean latency is made small.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if there is no such plan.
    pub fn new(
        workload: &Workload,
        policy: Policy,
        options: &PlanOptions,
        period: Option<Time>,
    ) -> Result<StreamPlan> {
        let mut workload = workload.clone();
        let jobs = workload.jobs.len();
        if workload.jobs.iter().all(|model| Some(model) == workload.jobs.first()) {
            workload.jobs.truncate(PATTERN_JOBS_MAX);
        }
        let is_whole = workload.jobs.len() == jobs;
        let (plan, stream) = planned(&workload, policy, options, period)?;
        let mut cuts = cuts_of(&workload, &plan);
        let cuts_max = cuts.len() + OTHER_CUTS_MAX * workload.models.len();
        let mut others = Vec::new();
        let mbps = workload.link.uplink.mbit_per_s();
        for factor in OTHER_BANDWIDTHS {
            let mut other = workload.clone();
            let uplink = Bandwidth::from_mbit_per_s(mbps * factor).filter(|_| mbps > 0.0);
            let Some(uplink) = uplink else { continue };
            other.link.uplink = uplink;
            let (plan, _) = planned(&other, policy, options, period)?;
            let is_new = |(model, cut): &(ModelId, _)| {
                !cuts.iter().any(|(m, known)| m == model && is_alike(known, cut))
            };
            let new: Vec<_> = cuts_of(&other, &plan).into_iter().filter(is_new).collect();
            if cuts.len() + new.len() <= cuts_max {
                cuts.extend(new);
                others.push((other, plan));
            }
        }
        Ok(StreamPlan { workload, plan, stream, others, is_whole })
    }
}

/// A plan for a period, and how jobs fare by it.
fn planned(
    workload: &Workload,
    policy: Policy,
    options: &PlanOptions,
    period: Option<Time>,
) -> Result<(Plan, Stream)> {
    let with = |policy, period| {
        let objective = Objective::MeanCompletion;
        let options = PlanOptions { objective, period: Some(period), ..*options };
        let plan = plan(workload, policy, &options)
            .map_err(|error| Error::new(ErrorKind::Workload, error.to_string()))?;
        let stream = Summary::of(workload, &plan, &[]).stream;
        let stream = stream.ok_or_else(|| Error::new(ErrorKind::Workload, "no job can be done"));
        Ok::<_, Error>((plan, stream?))
    };
    let period = match period {
        Some(period) => period,
        None => {
            let (_, stream) = with(Policy::LocalOnly, Time::ZERO)?;
            let spare = stream.shortest_period.nanoseconds() as f64 * SPARE;
            Time::from_nanoseconds(spare as u64)
        }
    };
    with(policy, period)
}

impl Runner {
    /// Loads what a plan for jobs that arrive needs on both sides, at any bandwidth that it has a
    /// pattern for; at its own alone if `for_change` is not wanted.
    ///
    /// # Errors
    /// As [`Runner::prepare`].
    pub fn prepare_stream(&self, stream: &StreamPlan, for_change: bool) -> Result<Prepared> {
        let others = if for_change { &stream.others[..] } else { &[] };
        self.prepare_all(&stream.workload, &stream.plan, others)
    }

    /// Executes jobs as they arrive; with `follows_link` the pattern follows the link.
    ///
    /// # Errors
    /// As [`Runner::execute`].
    pub fn execute_stream(
        &self,
        prepared: &mut Prepared,
        stream: &StreamPlan,
        source: &mut dyn Source,
        follows_link: bool,
        how: &RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let mut patterns = Patterns::new(stream, prepared)?;
        let jobs = Jobs::Arriving(source);
        let workload = &stream.workload;
        let how = (how, follows_link);
        self.execute_with(prepared, workload, jobs, &mut patterns, how, on_outputs)
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
        let stream = Summary::of(workload, plan, &[]).stream;
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
                by_uplink.push((workload.link.uplink, pattern));
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
