//! A server that appears while jobs are executed, and goes again.

use super::{Bench, LONG, OPTIONS, check_output, rten, serve};
use crate::device::{Executor, Inbox, RunOptions};
use crate::onnx::tests::small::{layered, model, node, weight};
use crate::profile::unsplit_outputs;
use crate::session::replan::JobsLeft;
use cutpoint_plan::options::Granularity;
use cutpoint_plan::workload::{JobId, ModelId};

#[test]
fn a_server_that_appears_is_used_until_it_goes() {
    let nodes = vec![node("MatMul", &["x", "w"], &["a"]), node("MatMul", &["a", "v"], &["y"])];
    let weights = vec![weight("w", &[8, 8]), weight("v", &[8, 8])];
    let network = layered(&model(&[32, 8], nodes, weights, &["y"]));
    let server = serve(rten(), &network);
    let mut bench = Bench::new(rten(), network, &server.address().to_string());
    for layer in bench.described["models"]["small"]["layers"].as_array_mut().unwrap() {
        layer["device_ms"] = 1000.0.into();
    }
    let workload = bench.workload(1, &[]);
    let whole_on_server = super::plan_at(&workload, &[0], Granularity::Layer);
    let mut prepared = bench.prepare(&workload, &whole_on_server);
    let link = bench.side.connect(&prepared, &workload).unwrap();
    let mut link = Some(link.expect("the plan has a server's part"));
    let inputs = bench.inputs(3);
    let whole = bench.side.models[0].model.model();
    let expected = unsplit_outputs(&*rten(), OPTIONS, whole, &inputs).unwrap();

    let mut planner = JobsLeft::new(&workload, &whole_on_server, &prepared);
    let (control, inbox) = Inbox::open();
    control.submit(ModelId(0), inputs[0].clone());
    let options = RunOptions { patience: LONG, follows_link: false, ..RunOptions::default() };
    let executor = Executor {
        workload: &workload,
        arrivals: &mut (),
        planner: Some(&mut planner),
        server: None,
        inbox,
        options,
    };
    let execution = executor.run(&mut prepared, |job, found| {
        for (name, expected) in &expected[job.index()] {
            check_output(job.index(), &found, name, expected);
        }
        match job {
            JobId(0) => control.connect(link.take().expect("job 0 ends once")),
            JobId(1) => control.disconnect(),
            _ => return control.close(),
        }
        control.submit(ModelId(0), inputs[job.index() + 1].clone());
    });
    let execution = execution.unwrap();
    assert_eq!((execution.ended, execution.fallback_count), (3, 0));
    assert!(execution.failures.is_empty());
    let on_server: Vec<u32> = execution.schedule.server.iter().map(|o| o.job.0).collect();
    assert_eq!(on_server, [1]);
    let sent: Vec<u32> = execution.schedule.uplink.iter().map(|o| o.job.0).collect();
    assert_eq!(sent, [1]);
}
