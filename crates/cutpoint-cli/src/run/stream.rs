//! `cutpoint run` where jobs arrive over time: inputs replayed one each period, or files that
//! appear in a folder.

use super::args::Args;
use super::jobs::inputs_of;
use super::jobs_file::JobsEntry;
use crate::args::format::Format;
use crate::files::write_whole;
use crate::outputs::{OutputTarget, Written};
use cutpoint::frames::Frame;
use cutpoint::session::{DeviceSide, Names, Replay, RunOptions, StreamPlan, Summary, Watch};
use cutpoint::trace::{Execution, chrome_trace};
use cutpoint_plan::format::{write_plan, write_workload};
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{ModelId, Workload};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

/// Plans and executes jobs that arrive; `entries` are the models of the runner, with their inputs.
pub(super) fn run_stream(
    args: &Args,
    runner: &DeviceSide,
    workload: &Workload,
    entries: &[JobsEntry],
    how: &RunOptions,
) -> anyhow::Result<ExitCode> {
    let options = PlanOptions::at(args.granularity);
    let stream = planned(args, runner, workload, &options)?;
    announce(&stream);
    if let Some(path) = &args.plan_output {
        let mut text = Vec::new();
        write_plan(&stream.workload, &stream.plan, &mut text)?;
        write_whole(path, &text)?;
    }
    let target = OutputTarget::new(args.output.as_deref())?;
    let written = Written::default();
    let mut prepared = runner.prepare_stream(&stream, !args.no_replan)?;
    let mut execute = |source: &mut dyn cutpoint::device::Arrivals<'_>, names: &Names| {
        let follows_link = !args.no_replan;
        runner.execute_stream(&mut prepared, &stream, source, follows_link, how, |job, outputs| {
            let name = names.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
            written.after(|| target.write(job, name.as_deref(), &outputs));
        })
    };
    let execution = match &args.stream.watch {
        Some(folder) => {
            let entry = entries.first().expect("a model is watched for");
            let model = runner.models[0].model.model();
            let load = |path: &Path| {
                Frame::File(path.to_owned()).load_or_fail_later(model, &entry.options)
            };
            let stop = stop_at_signal(how)?;
            let count = args.stream.watch_count;
            let mut watch = Watch::new(folder, ModelId(0), &load, count, stop)?;
            log::info!("watching {}; Ctrl-C ends it", folder.display());
            let names = watch.names();
            execute(&mut watch, &names)?
        }
        None => {
            let inputs = inputs_of(runner, entries);
            let period = args.stream.period_ms.unwrap_or_default();
            let mut replay = Replay::new(period, &workload.jobs, &inputs);
            execute(&mut replay, &Names::default())?
        }
    };
    written.check()?;
    finish(args, &stream, &execution)
}

/// A plan that knows of what messages take longer where the uplink rests between jobs, unless the
/// workload was given.
fn planned(
    args: &Args,
    runner: &DeviceSide,
    workload: &Workload,
    options: &PlanOptions,
) -> anyhow::Result<StreamPlan> {
    let of = |workload| StreamPlan::new(workload, args.policy, options, args.stream.period_ms);
    let stream = of(workload)?;
    if args.workload.is_some() {
        return Ok(stream);
    }
    let longer = runner.measure_pauses(&stream)?;
    if longer == Time::ZERO {
        return Ok(stream);
    }
    let mut workload = workload.clone();
    workload.link.message_overhead += longer;
    if let Some(path) = &args.workload_output {
        let mut text = Vec::new();
        write_workload(&workload, &mut text)?;
        write_whole(path, &text)?;
    }
    Ok(of(&workload)?)
}

/// Says what the plan is, and clearly so if no plan keeps up.
fn announce(plan: &StreamPlan) {
    let stream = &plan.stream;
    let (period, shortest) = (stream.period, stream.shortest_period);
    if stream.is_stable() {
        let (mean, worst) = (stream.mean_latency, stream.worst_latency);
        log::info!(
            "plan: one job each {period}, complete {mean} after its arrival on average, {worst} at \
             most; no plan keeps up with less than {shortest}"
        );
    } else {
        log::warn!(
            "no plan keeps up with one job each {period}; at least {shortest} is needed. Jobs \
             will wait outside"
        );
    }
}

/// Set by the first signal to stop; the second one ends what is in work, too.
fn stop_at_signal(how: &RunOptions) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (is_stopped, cancel) = (stop.clone(), how.cancel.clone());
    // The signal is caught from the first poll on, and that is to be before the first job.
    let mut first = Box::pin(tokio::signal::ctrl_c());
    let polled = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx)));
    if let Poll::Ready(Err(error)) = runtime.block_on(polled) {
        log::warn!("Ctrl-C cannot be caught: {error}");
        return Ok(stop);
    }
    std::thread::spawn(move || {
        if runtime.block_on(first).is_ok() {
            is_stopped.store(true, Ordering::SeqCst);
            log::info!("no more files are taken; Ctrl-C again ends what is in work");
        }
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            cancel.cancel();
        }
    });
    Ok(stop)
}

fn finish(args: &Args, stream: &StreamPlan, execution: &Execution) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.trace {
        let workload = extended(&stream.workload, execution.completions.len());
        let trace = chrome_trace(&workload, &stream.plan, Some(execution));
        write_whole(path, serde_json::to_string(&trace)?.as_bytes())?;
    }
    let summary = Summary::of_stream(stream, execution);
    match args.format {
        Format::Text => eprint!("{}", summary.render()),
        Format::Json => eprintln!("{}", serde_json::to_string(&summary)?),
    }
    for (job, cause) in &execution.failures {
        eprintln!("job {}: {cause}", job.0);
    }
    Ok(if execution.failure_count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The workload of a pattern with as many jobs as have been executed.
fn extended(pattern: &Workload, jobs: usize) -> Workload {
    let mut workload = pattern.clone();
    let model = |j: usize| pattern.jobs[j % pattern.jobs.len().max(1)];
    workload.jobs = (0..jobs.max(pattern.jobs.len())).map(model).collect();
    workload
}
