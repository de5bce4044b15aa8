//! Jobs that have not begun are re-planned when the link changes and when the server is lost and
//! back: real sockets, real processes, small models.

use crate::engines::OPTIONS;
use crate::run::Served;
use cutpoint::input::Inputs;
use cutpoint::link::ConnectOptions;
use cutpoint::session::{MeasuredModel, PlannedRun, SessionModel, measured_workload};
use cutpoint::tensor::{Tensor, relative_difference};
use cutpoint::{Cancel, Model, Profile, Session, SessionOptions, SpeedFraction};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, Link, Workload};
use std::collections::BTreeMap;
use std::path::Path;

const JOBS: usize = 24;

fn mbps(value: f64) -> Bandwidth {
    Bandwidth::from_mbit_per_s(value).unwrap()
}

/// A device with a model, connected to a server through an uplink that is held to a bandwidth. It is
/// so slow that jobs are left when a change of the link is noticed.
fn open(model: &Path, address: &str, uplink_mbps: f64, replans: bool) -> Session {
    let connect =
        ConnectOptions { uplink_limit: Some(mbps(uplink_mbps)), ..ConnectOptions::default() };
    let options = SessionOptions {
        engine: "rten".parse().unwrap(),
        threads: Some(OPTIONS.threads),
        speed: SpeedFraction::new(0.1).unwrap(),
        server: Some(address.to_owned()),
        connect,
        ..SessionOptions::default()
    };
    let options = if replans { options } else { options.without_replanning() };
    Session::open(vec![Model::load(model).unwrap()], options).unwrap()
}

/// A workload in which the first half of the layers is quick on the device, and the others are not.
fn workload(session: &Session, uplink_mbps: f64) -> Workload {
    let SessionModel { name, model } = &session.models()[0];
    let layers = model.layers().layers.len();
    let device_ms: Vec<f64> =
        (0..layers).map(|l| if l < layers / 2 { 2.0 } else { 50.0 }).collect();
    let none = BTreeMap::new();
    let measured = MeasuredModel {
        name,
        model,
        device_ms: &device_ms,
        server: None,
        encodings: &none,
        jobs: JOBS,
    };
    let link =
        Link { round_trip: Time::from_nanoseconds(1_000_000), ..Link::at(mbps(uplink_mbps)) };
    measured_workload(&[measured], link, 1).unwrap()
}

/// The inputs of all jobs, and what the unsplit model makes of them.
fn inputs(session: &Session) -> (Vec<Inputs>, Vec<Vec<(String, Tensor)>>) {
    let model = session.models()[0].onnx();
    let made = |seed| {
        let made = model.synthetic_inputs(seed).into_iter();
        made.map(|(name, tensor)| (name, tensor.into())).collect()
    };
    let inputs: Vec<Inputs> = (0..JOBS as u64).map(made).collect();
    let expected = session.unsplit_outputs("squeezenet", &inputs).unwrap();
    (inputs, expected)
}

/// Every job has ended once, with the right outputs.
fn check(found: &[(JobId, Vec<(String, Tensor)>)], expected: &[Vec<(String, Tensor)>]) {
    let mut jobs: Vec<JobId> = found.iter().map(|(job, _)| *job).collect();
    jobs.sort();
    assert_eq!(jobs, (0..expected.len()).map(JobId::at).collect::<Vec<_>>());
    for (job, outputs) in found {
        for (name, right) in &expected[job.index()] {
            let (_, value) = outputs.iter().find(|(n, _)| n == name).expect("an output");
            let difference = relative_difference(value, right).expect("of one shape");
            assert!(difference <= 1e-5, "job {}: {name} differs by {difference}", job.0);
        }
    }
}

fn planned(workload: Workload, policy: Policy) -> PlannedRun {
    let plan = plan(&workload, policy, &PlanOptions::raw(Granularity::Layer)).unwrap();
    PlannedRun::new(workload, plan)
}

#[test]
fn remaining_jobs_are_replanned_when_the_uplink_slows_down() {
    let folder = tempfile::tempdir().unwrap();
    let model = crate::run::squeezenet(folder.path());
    let server = Served::start(&model);
    let session = open(&model, &server.address, 160.0, true);
    let planned_at = |uplink| planned(workload(&session, uplink), Policy::Joint);
    let planned = planned_at(160.0);
    let slower = planned_at(16.0);
    assert!(
        slower.plan().partitions.iter().any(|cut| !planned.plan().partitions.contains(cut)),
        "other bandwidths have other cuts"
    );
    let (inputs, expected) = inputs(&session);
    let mut found = Vec::new();
    let on_outputs = |job, outputs| {
        if found.is_empty() {
            session.set_uplink_limit(mbps(16.0)).unwrap();
        }
        found.push((job, outputs));
    };
    let execution = session.run_each(&planned, &inputs, &Cancel::new(), on_outputs).unwrap();
    check(&found, &expected);
    assert!(execution.failures.is_empty() && execution.fallbacks.is_empty());
    // On a busy machine the uplink may seem to change before it does.
    let is_slow = |uplink: Bandwidth| uplink.mbit_per_s() < 80.0;
    let change = execution.changes.iter().find(|c| c.uplink.is_some_and(is_slow));
    let change = change.unwrap_or_else(|| {
        panic!("no new plan for the slower uplink, only {:?}", execution.changes)
    });
    assert!(change.cause.starts_with("the uplink went from "), "{change:?}");
    assert!(change.jobs > 0 && change.jobs < JOBS, "{change:?}");
}

#[test]
fn jobs_are_offloaded_again_when_the_server_returns() {
    let folder = tempfile::tempdir().unwrap();
    let model = crate::run::squeezenet(folder.path());
    let mut server = Some(Served::start(&model));
    let address = server.as_ref().unwrap().address.clone();
    let session = open(&model, &address, 40.0, true);
    let planned = planned(workload(&session, 40.0), Policy::ServerOnly);
    let (inputs, expected) = inputs(&session);
    let mut found = Vec::new();
    let on_outputs = |job, outputs| {
        if found.is_empty() {
            drop(server.take());
            server = Some(Served::start_at(&model, &address));
        }
        found.push((job, outputs));
    };
    let execution = session.run_each(&planned, &inputs, &Cancel::new(), on_outputs).unwrap();
    check(&found, &expected);
    assert!(execution.failures.is_empty());
    assert!(!execution.fallbacks.is_empty(), "what was on its way when the server died");
    let causes: Vec<&str> = execution.changes.iter().map(|c| c.cause.as_str()).collect();
    assert!(causes[0].starts_with("the server was lost: "), "{causes:?}");
    let back = execution.changes.iter().find(|c| c.cause == "the server is back");
    let back = back.expect("a new plan");
    assert_eq!(back.offloaded, back.jobs);
    let after = execution.schedule.uplink.iter().filter(|o| o.start > back.at).count();
    assert!(after >= back.jobs, "{after} transfers after {back:?}");
    let served = execution.schedule.server.iter().filter(|o| o.end > back.at).count();
    assert_eq!(served, back.jobs);
}

#[test]
fn a_session_replans_unless_replanning_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = crate::run::squeezenet(folder.path());
    for replans in [true, false] {
        let mut server = Some(Served::start(&file));
        let address = server.as_ref().unwrap().address.clone();
        let session = open(&file, &address, 40.0, replans);
        let (inputs, expected) = inputs(&session);
        let mut text = Vec::new();
        cutpoint_plan::format::write_workload(&workload(&session, 40.0), &mut text).unwrap();
        let profile = Profile::from_json(&String::from_utf8(text).unwrap()).unwrap();
        let planned = profile.plan(&[("squeezenet", JOBS)], Policy::ServerOnly).unwrap();
        let mut found = Vec::new();
        let on_outputs = |job, outputs| {
            drop(server.take());
            found.push((job, outputs));
        };
        let execution = session.run_each(&planned, &inputs, &Cancel::new(), on_outputs).unwrap();
        check(&found, &expected);
        assert!(execution.failures.is_empty());
        let change = execution.changes.first();
        assert_eq!(change.is_some(), replans, "{change:?}");
        assert!(change.is_none_or(|c| c.cause.starts_with("the server was lost: ")), "{change:?}");
        assert!(!execution.fallbacks.is_empty());
    }
}
