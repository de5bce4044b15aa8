//! `cutpoint run` where all jobs are there from the start.

use super::Run;
use super::repeat::median_of_repeats;
use crate::outputs::{OutputTarget, Written};
use crate::progress::progress_bar;
use crate::setup::inputs_of;
use cutpoint::Cancel;
use cutpoint::session::{PlannedRun, Profile, RehearsalOptions, RunSummary};
use cutpoint::tensor::Tensor;
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::units::count;
use cutpoint_plan::workload::JobId;
use std::process::ExitCode;

impl Run<'_> {
    /// Plans the jobs, after a rehearsal if one is asked for, and executes them.
    pub(super) fn batch(&self, profile: &Profile) -> anyhow::Result<ExitCode> {
        let args = self.args;
        let target = OutputTarget::new(args.output.as_deref())?;
        let written = Written::default();
        // Does the work of writing, and leaves nothing behind.
        let rehearse = |job: JobId, outputs: Vec<(String, Tensor)>| {
            written.after(|| target.rehearse(job, &outputs));
        };
        let inputs = inputs_of(self.session, self.jobs);
        let plan = PlanOptions::at(args.granularity);
        let (policy, on_outputs) = (args.policy, &rehearse);
        let how = RehearsalOptions { jobs: args.rehearse, policy, plan, on_outputs };
        let planned = self.session.rehearse(profile, self.named, &how, &inputs)?;
        written.check()?;
        announce(&planned);
        self.write_plan(&planned.workload_json(), &planned.plan_json())?;

        let bar = progress_bar(planned.jobs());
        let (execution, runs) = median_of_repeats(args.repeat_ms, |before| {
            let on_outputs = |job, outputs: Vec<_>| {
                if before > 0 {
                    return rehearse(job, outputs);
                }
                bar.inc(1);
                written.after(|| target.write(job, None, &outputs));
            };
            let execution = self.session.run_each(&planned, &inputs, &Cancel::new(), on_outputs);
            bar.finish_and_clear();
            written.check()?;
            execution
        })?;
        let summary = RunSummary { runs, ..planned.summary(&execution) };
        self.finish(&execution, &summary, || planned.trace(&execution))
    }
}

fn announce(planned: &PlannedRun) {
    let plan = planned.plan();
    let (makespan, bound) = (plan.makespan, plan.lower_bound);
    if planned.offloaded() > 0 {
        let (jobs, offloaded) = (count(planned.jobs(), "job"), planned.offloaded());
        log::info!("plan: {makespan} for {jobs}, {offloaded} offloaded; no plan beats {bound}");
        return;
    }
    let saved = match makespan.milliseconds() {
        whole if whole > 0.0 => 100.0 * (1.0 - bound.milliseconds() / whole),
        _ => 0.0,
    };
    log::info!(
        "plan: do not split; everything stays on the device ({makespan}), and no plan saves more \
         than {saved:.1} %"
    );
}
