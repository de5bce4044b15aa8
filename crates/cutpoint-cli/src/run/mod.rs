//! `cutpoint run`: what to run and on what; then a batch, or a stream where jobs arrive over time.

mod args;
mod batch;
mod jobs;
mod repeat;
mod stream;

pub(crate) use args::Args;

use crate::args::format::Format;
use crate::args::workload::read_workload;
use crate::files::write_whole;
use crate::setup;
use cutpoint::config::ModelJobs;
use cutpoint::session::{PATTERN_JOBS_MAX, RunSummary, Session};
use cutpoint::trace::Execution;
use jobs::{config, model_jobs};
use std::process::ExitCode;

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config(&args)?;
    let jobs = model_jobs(&args, &config)?;
    let session = setup::open(&config, jobs.iter().map(|jobs| &jobs.model), !args.no_replan)?;
    let count = |jobs: &ModelJobs| match args.stream.watch {
        Some(_) => PATTERN_JOBS_MAX,
        None => jobs.frames.len(),
    };
    let names = session.models().iter().map(|model| model.name());
    let named: Vec<(&str, usize)> = names.zip(jobs.iter().map(count)).collect();
    let profile = match &args.workload {
        Some(path) => session.profile_of(read_workload(path)?).map_err(|e| e.at(path.display()))?,
        None => {
            let counts = named.iter().map(|&(_, count)| count).collect();
            setup::measure(&session, &jobs, counts, &args.encoding, false)?
        }
    };
    let run = Run { args: &args, session: &session, jobs: &jobs, named: &named };
    if args.stream.is_wanted() { run.stream(&profile) } else { run.batch(&profile) }
}

/// The state that batches and streams share.
struct Run<'a> {
    args: &'a Args,
    session: &'a Session,
    /// Those of each model of the session.
    jobs: &'a [ModelJobs],
    /// How many jobs there are of each model.
    named: &'a [(&'a str, usize)],
}

impl Run<'_> {
    /// Writes the workload and the plan, where they are asked for.
    fn write_plan(&self, workload_json: &str, plan_json: &str) -> anyhow::Result<()> {
        for (path, text) in
            [(&self.args.workload_output, workload_json), (&self.args.plan_output, plan_json)]
        {
            if let Some(path) = path {
                write_whole(path, text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes the trace, where it is asked for, and prints the summary.
    fn finish(
        &self,
        execution: &Execution,
        summary: &RunSummary,
        trace: impl FnOnce() -> serde_json::Value,
    ) -> anyhow::Result<ExitCode> {
        if let Some(path) = &self.args.trace {
            write_whole(path, trace().to_string().as_bytes())?;
        }
        match self.args.format {
            Format::Text => eprint!("{}", summary.render()),
            Format::Json => eprintln!("{}", serde_json::to_string(summary)?),
        }
        for (job, cause) in &execution.failures {
            eprintln!("job {}: {cause}", job.0);
        }
        Ok(ExitCode::from(u8::from(execution.failure_count > 0)))
    }
}
