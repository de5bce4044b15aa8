//! `cutpoint run` where all jobs are there from the start.

use super::args::Args;
use super::repeat::median_of_repeats;
use crate::args::format::Format;
use crate::files::write_whole;
use crate::outputs::{OutputTarget, Written};
use crate::progress::progress_bar;
use cutpoint::device::Prepared;
use cutpoint::input::Supply;
use cutpoint::session::{DeviceSide, Rehearsal, RehearsalOptions, RunOptions, Summary};
use cutpoint::tensor::Tensor;
use cutpoint::trace::{Execution, chrome_trace};
use cutpoint_plan::format::{write_plan, write_workload};
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};
use std::process::ExitCode;

/// Plans the jobs of a workload, after a rehearsal if one is asked for, and executes them.
pub(super) fn run_batch(
    args: &Args,
    runner: &DeviceSide,
    workload: &Workload,
    inputs: &dyn Supply,
    how: &RunOptions,
) -> anyhow::Result<ExitCode> {
    let outputs =
        Outputs { target: OutputTarget::new(args.output.as_deref())?, written: Written::default() };
    let options = PlanOptions::at(args.granularity);
    let mut batch = Batch::new(args, runner, workload, &options, inputs, &outputs)?;
    let others = [Policy::LocalOnly, Policy::ServerOnly].map(|policy| {
        let is_possible = policy == Policy::LocalOnly || runner.client.is_some();
        let plan = is_possible.then(|| plan(&batch.workload, policy, &options).ok()).flatten();
        plan.map(|plan| plan.makespan)
    });
    announce(&batch.plan);
    batch.write(args)?;
    let (execution, runs) = batch.execute(args, runner, inputs, how, &outputs)?;
    finish(args, &batch, &execution, others, runs)
}

/// What becomes of outputs.
struct Outputs<'a> {
    target: OutputTarget<'a>,
    written: Written,
}

impl Outputs<'_> {
    fn write(&self, job: JobId, outputs: &[(String, Tensor)]) {
        self.written.after(|| self.target.write(job, None, outputs));
    }

    /// Does the work of writing, and leaves nothing behind.
    fn rehearse(&self, job: JobId, outputs: &[(String, Tensor)]) {
        self.written.after(|| self.target.rehearse(job, outputs));
    }
}

/// What is executed.
struct Batch {
    workload: Workload,
    plan: Plan,
    /// What the plan needs, if a rehearsal has loaded it.
    prepared: Option<Prepared>,
}

impl Batch {
    fn new(
        args: &Args,
        runner: &DeviceSide,
        workload: &Workload,
        options: &PlanOptions,
        inputs: &dyn Supply,
        outputs: &Outputs<'_>,
    ) -> anyhow::Result<Batch> {
        if args.rehearse == 0 || runner.client.is_none() {
            let plan = plan(workload, args.policy, options)?;
            return Ok(Batch { workload: workload.clone(), plan, prepared: None });
        }
        let how = RehearsalOptions {
            jobs: args.rehearse,
            policy: args.policy,
            plan: *options,
            on_outputs: &|job, tensors| outputs.rehearse(job, &tensors),
        };
        let Rehearsal { workload, plan, prepared } = runner.rehearse(workload, &how, inputs)?;
        outputs.written.check()?;
        Ok(Batch { workload, plan, prepared: Some(prepared) })
    }

    /// Writes the files of what will be executed.
    fn write(&self, args: &Args) -> anyhow::Result<()> {
        // What was measured just now is written down already, with how it was measured.
        let is_written = args.workload.is_none() && self.prepared.is_none();
        if let Some(path) = args.workload_output.as_ref().filter(|_| !is_written) {
            let mut text = Vec::new();
            write_workload(&self.workload, &mut text)?;
            write_whole(path, &text)?;
        }
        if let Some(path) = &args.plan_output {
            let mut text = Vec::new();
            write_plan(&self.workload, &self.plan, &mut text)?;
            write_whole(path, &text)?;
        }
        Ok(())
    }

    /// Executes the plan, a short one several times; gives the execution that counts, and of how many.
    fn execute(
        &mut self,
        args: &Args,
        runner: &DeviceSide,
        inputs: &dyn Supply,
        how: &RunOptions,
        outputs: &Outputs<'_>,
    ) -> anyhow::Result<(Execution, usize)> {
        let Batch { workload, plan, prepared } = self;
        let bar = progress_bar(inputs.count());
        let prepared = match prepared {
            Some(prepared) => prepared,
            None if args.no_replan => prepared.insert(runner.prepare(workload, plan)?),
            None => prepared.insert(runner.prepare_for_change(workload, plan)?),
        };
        let counted = median_of_repeats(args.repeat_ms, |before| {
            let on_outputs = |job, tensors: Vec<_>| match before {
                0 => {
                    bar.inc(1);
                    outputs.write(job, &tensors);
                }
                _ => outputs.rehearse(job, &tensors),
            };
            let execution = if args.no_replan {
                runner.execute(prepared, workload, inputs, how, on_outputs)
            } else {
                runner.execute_following(prepared, (workload, plan), inputs, how, on_outputs)
            };
            bar.finish_and_clear();
            outputs.written.check()?;
            execution
        });
        Ok(counted?)
    }
}

fn announce(plan: &Plan) {
    let offloaded = plan.partitions.iter().filter(|p| !p.uploads.is_empty()).count();
    if offloaded == 0 {
        let makespan = plan.makespan;
        let saved = 100.0 * (1.0 - plan.lower_bound.milliseconds() / makespan.milliseconds());
        log::info!(
            "plan: do not split; everything stays on the device ({makespan}), and no plan saves more \
             than {saved:.1} %"
        );
    } else {
        let (makespan, bound) = (plan.makespan, plan.lower_bound);
        let all = plan.partitions.len();
        log::info!("plan: {makespan} for {all} jobs, {offloaded} offloaded; no plan beats {bound}");
    }
}

/// Says what came of it, beside what local-only and server-only would have taken.
fn finish(
    args: &Args,
    batch: &Batch,
    execution: &Execution,
    [local_only, server_only]: [Option<Time>; 2],
    runs: usize,
) -> anyhow::Result<ExitCode> {
    let Batch { workload, plan, .. } = batch;
    if let Some(path) = &args.trace {
        let trace = chrome_trace(workload, plan, Some(execution));
        write_whole(path, serde_json::to_string(&trace)?.as_bytes())?;
    }
    let summary = Summary { runs, ..Summary::of_batch(plan, execution, [local_only, server_only]) };
    match args.format {
        Format::Text => eprint!("{}", summary.render()),
        Format::Json => eprintln!("{}", serde_json::to_string(&summary)?),
    }
    for (job, cause) in &execution.failures {
        eprintln!("job {}: {cause}", job.0);
    }
    Ok(if execution.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
