//! `cutpoint run` where jobs arrive over time: inputs replayed one each period, or files that
//! appear in a folder.

use super::Run;
use crate::outputs::{OutputTarget, Written};
use crate::setup::{inputs_of, load};
use cutpoint::Cancel;
use cutpoint::frames::Frame;
use cutpoint::session::{Names, Profile, Replay, StreamPlan, Watch};
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::workload::{ModelId, Workload};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

impl Run<'_> {
    /// Plans and executes jobs that arrive.
    pub(super) fn stream(&self, profile: &Profile) -> anyhow::Result<ExitCode> {
        let (args, session) = (self.args, self.session);
        let options = PlanOptions::at(args.granularity);
        let period = args.stream.period_ms;
        let stream = session.plan_stream(profile, self.named, args.policy, &options, period)?;
        announce(&stream);
        self.write_plan(&stream.workload_json(), &stream.plan_json())?;
        let target = OutputTarget::new(args.output.as_deref())?;
        let written = Written::default();
        let cancel = Cancel::new();
        let execute = |source: &mut dyn cutpoint::Arrivals<'_>, names: &Names| {
            session.run_stream(&stream, source, &cancel, |job, outputs| {
                let name = names.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
                written.after(|| target.write(job, name.as_deref(), &outputs));
            })
        };
        let execution = match &args.stream.watch {
            Some(folder) => {
                let load = |path: &Path| load(session, self.jobs, 0, &Frame::File(path.to_owned()));
                let stop = stop_at_signal(&cancel)?;
                let count = args.stream.watch_count;
                let mut watch = Watch::new(folder, ModelId(0), &load, count, stop)?;
                log::info!("watching {}; Ctrl-C ends it", folder.display());
                let names = watch.names();
                execute(&mut watch, &names)?
            }
            None => {
                let inputs = inputs_of(session, self.jobs);
                let models = self.models_of(&stream.workload);
                let mut replay = Replay::new(period.unwrap_or_default(), &models, &inputs);
                execute(&mut replay, &Names::default())?
            }
        };
        written.check()?;
        self.finish(&execution, &stream.summary(&execution), || stream.trace(&execution))
    }

    /// The model of each job, of which the plan may name the first ones only.
    fn models_of(&self, workload: &Workload) -> Vec<ModelId> {
        let id = |name: &str| workload.models().iter().position(|model| model.name == name);
        let of_model = |&(name, count): &(&str, usize)| {
            let id = id(name).expect("the plan is for the session's models");
            std::iter::repeat_n(ModelId::at(id), count)
        };
        self.named.iter().flat_map(of_model).collect()
    }
}

/// Says what the plan is, and clearly so if no plan keeps up.
fn announce(plan: &StreamPlan) {
    let stream = &plan.stream;
    let (period, shortest) = (stream.period, stream.shortest_period);
    if stream.is_stable() {
        let (mean, worst) = (stream.mean_latency, stream.worst_latency);
        log::info!(
            "plan: one job every {period}, complete {mean} after its arrival on average, {worst} at \
             most; no plan keeps up with less than {shortest}"
        );
    } else {
        log::warn!(
            "no plan keeps up with one job every {period}; it takes {shortest}. Jobs \
             will wait outside"
        );
    }
}

/// Set by the first signal to stop; the second one ends what is in work, too.
fn stop_at_signal(cancel: &Cancel) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (is_stopped, cancel) = (stop.clone(), cancel.clone());
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
            log::info!("no new files are accepted; press Ctrl-C again to cancel jobs in progress");
        }
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            cancel.cancel();
        }
    });
    Ok(stop)
}
