//! A link that becomes useless in mid-run and then recovers: jobs stay on the device, and are
//! offloaded again, though nothing was sent in between.

use super::{Bench, LONG, OPTIONS, check_output, rten, serve};
use crate::device::{Arrival, Arrivals, Planned, Planner, RunOptions, SpeedFraction, Standing};
use crate::error::Result;
use crate::input::Inputs;
use crate::link::{Client, ConnectOptions};
use crate::onnx::tests::small::{layered, model, node, weight};
use crate::profile::unsplit_outputs;
use crate::session::replan::{JobsLeft, other_plans};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Work;
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId};
use std::cell::{Cell, RefCell};

/// Sends the input in 13 ms, and in a second; the device takes 0.3 s, as the plan has it.
const FAST_MBPS: f64 = 40.0;
const SLOW_MBPS: f64 = 0.5;
const LAYER_MS: f64 = 100.0;

/// How many jobs are offloaded on the recovered link.
const LATE_JOBS: usize = 4;

/// How far the story is: whoever tells the next part of it changes this.
#[derive(Default)]
struct Story {
    given: Cell<u32>,
    ended: Cell<u32>,
    /// Whether a plan has kept jobs on the device because of the link.
    has_stayed: Cell<bool>,
    /// Jobs that were offloaded afterwards.
    late: RefCell<Vec<JobId>>,
}

/// Plans as a run does. The link recovers with the first plan that does not use it.
struct Watched<'a> {
    inner: JobsLeft,
    client: &'a Client,
    story: &'a Story,
}

impl Planner for Watched<'_> {
    fn plan(&mut self, jobs: &[(JobId, ModelId)], standing: &Standing) -> Result<Option<Planned>> {
        let planned = self.inner.plan(jobs, standing)?;
        assert_ne!(standing.uplink, None);
        let Some(made) = planned.as_ref().filter(|_| !jobs.is_empty()) else { return Ok(planned) };
        let offloaded = made.program.jobs.iter().filter(|job| job.is_offloaded);
        let offloaded: Vec<JobId> = offloaded.map(|job| job.job).collect();
        let mut late = self.story.late.borrow_mut();
        match self.story.has_stayed.get() {
            true if standing.cuts.is_empty() => late.extend(offloaded),
            // A job that is re-planned may have begun meanwhile, so it is not sure to be offloaded.
            true => late.retain(|job| {
                offloaded.contains(job) || jobs.iter().all(|(replanned, _)| replanned != job)
            }),
            false if offloaded.is_empty() => {
                self.story.has_stayed.set(true);
                self.client.set_uplink_limit(mbps(FAST_MBPS))?;
            }
            false => {}
        }
        Ok(planned)
    }
}

/// One or two jobs at a time, until enough are offloaded again.
struct Jobwise<'a> {
    inputs: &'a Inputs,
    story: &'a Story,
}

impl Arrivals<'_> for Jobwise<'_> {
    fn poll(&mut self, now: Time, has_room: bool) -> Arrival {
        let Story { given, ended, late, .. } = self.story;
        if late.borrow().len() >= LATE_JOBS {
            return Arrival::End;
        }
        if !has_room || given.get() - ended.get() >= 2 {
            return Arrival::Later(None);
        }
        given.set(given.get() + 1);
        Arrival::Job { model: ModelId(0), arrived: now, inputs: self.inputs.clone() }
    }
}

fn mbps(value: f64) -> Bandwidth {
    Bandwidth::from_mbit_per_s(value).unwrap()
}

#[test]
fn jobs_are_offloaded_again_when_a_link_recovers_that_no_plan_used() {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Tanh", &["a"], &["b"]),
        node("MatMul", &["b", "v"], &["y"]),
    ];
    let weights = vec![weight("w", &[256, 256]), weight("v", &[256, 256])];
    let network = layered(&model(&[64, 256], nodes, weights, &["y"]));
    let server = serve(rten(), &network);
    let address = server.address().to_string();
    let mut bench = Bench::new(rten(), network, &address);
    let held = ConnectOptions { uplink_limit: Some(mbps(FAST_MBPS)), ..Default::default() };
    let client = Client::connect(&address, held).unwrap();
    bench.side.client = Some(client.clone());
    bench.side.speed = SpeedFraction::new(0.1).unwrap();
    bench.described["link"]["uplink_mbps"] = FAST_MBPS.into();
    for layer in bench.described["models"]["small"]["layers"].as_array_mut().unwrap() {
        layer["device_ms"] = LAYER_MS.into();
    }
    let workload = bench.workload(2, &[]);
    let options = PlanOptions::raw(Granularity::Layer);
    let best = plan(&workload, Policy::Joint, &options).unwrap();
    let prepared = bench.side.prepare(&workload, &best, &other_plans(&workload, &best));
    let mut prepared = prepared.unwrap();
    let inputs = bench.inputs(1);
    let whole = bench.side.models[0].model.model();
    let expected = unsplit_outputs(&*rten(), OPTIONS, whole, &inputs).unwrap();

    let story = Story::default();
    let mut source = Jobwise { inputs: &inputs[0], story: &story };
    let inner = JobsLeft::new(&workload, &best, &prepared);
    let mut planner = Watched { inner, client: &client, story: &story };
    let how = RunOptions { patience: LONG, ..RunOptions::default() };
    let on_outputs = |job: JobId, found: Vec<_>| {
        for (name, expected) in &expected[0] {
            check_output(job.index(), &found, name, expected);
        }
        if story.ended.replace(story.ended.get() + 1) == 0 {
            client.set_uplink_limit(mbps(SLOW_MBPS)).unwrap();
        }
    };
    let execution = bench.side.execute(
        &mut prepared,
        &workload,
        &mut source,
        Some(&mut planner),
        how,
        on_outputs,
    );
    let execution = execution.unwrap();
    assert!(execution.failures.is_empty() && execution.fallbacks.is_empty());
    assert_eq!(story.ended.get(), story.given.get(), "each job ends once");
    assert!(story.has_stayed.get());
    for job in story.late.borrow().iter() {
        let is_of_job = |o: &&cutpoint_plan::plan::Operation| o.job == *job;
        let sent = execution.schedule.uplink.iter().filter(is_of_job);
        assert!(sent.filter(|o| matches!(o.work, Work::Transfer(_))).count() > 0, "{job:?}");
        assert_eq!(execution.schedule.server.iter().filter(is_of_job).count(), 1, "{job:?}");
    }
}
