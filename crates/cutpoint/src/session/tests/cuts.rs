//! Is what a device and a server make together what the unsplit model makes, at every cut? On
//! models with several inputs and outputs, branches, recurrent layers and external data.

use super::{Bench, LONG, plan_at, rten, serve};
use crate::engine::Engine;
use crate::engine::onnxruntime::OnnxRuntime;
use crate::onnx::proto::{GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use crate::onnx::tests::small::*;
use crate::onnx::{LayeredModel, OnnxModel, ReadOptions};
use crate::server::{Server, ServerOptions};
use crate::tensor::ElementType;
use cutpoint_plan::options::Granularity;
use prost::Message;
use std::sync::Arc;

/// The embedded engine, and ONNX Runtime where its library is found.
fn engines() -> Vec<Arc<dyn Engine>> {
    let mut engines = vec![rten()];
    if OnnxRuntime::is_present() {
        engines.push(Arc::new(OnnxRuntime::find(None).unwrap()));
    }
    engines
}

/// Runs one job for each cut, from everything on the server to everything on the device, on every
/// engine at both granularities.
fn check_every_cut(model: &ModelProto) {
    for engine in engines() {
        let layered = read(model).unwrap().into_layers(&*engine).unwrap();
        let server = serve(engine.clone(), &layered);
        check_with(engine, layered, &server);
    }
}

fn check_with(engine: Arc<dyn Engine>, layered: LayeredModel, server: &Server) {
    let bench = Bench::new(engine, layered, &server.address().to_string());
    let cuts: Vec<usize> = (0..=bench.layers()).collect();
    assert!(cuts.len() > 2, "there is something to cut");
    let workload = bench.workload(cuts.len(), &[]);
    for granularity in [Granularity::Layer, Granularity::Job] {
        let plan = plan_at(&workload, &cuts, granularity);
        let execution = bench.run(&mut bench.prepare(&workload, &plan), &workload, LONG);
        assert_eq!(execution.fallbacks, []);
        let by_server = execution.schedule.server.len();
        assert_eq!(by_server, cuts.len() - 1, "all but the last have a part on the server");
    }
}

#[test]
fn several_inputs_and_outputs() {
    let nodes = vec![
        node("Abs", &["x"], &["a"]),
        node("MatMul", &["a", "w"], &["b"]),
        node("Add", &["b", "z"], &["c"]),
        with_int(node("Softmax", &["c"], &["s"]), "axis", 1),
        with_int(node("Gather", &["c", "index"], &["g"]), "axis", 1),
        node("MatMul", &["c", "v"], &["d"]),
        node("Add", &["d", "g"], &["y"]),
        with_int(node("ArgMax", &["y"], &["best"]), "axis", 1),
    ];
    let constants = vec![weight("w", &[4, 4]), weight("v", &[4, 4])];
    let mut several = model(&[2, 4], nodes, constants, &["y", "s", "best"]);
    let graph = several.graph.as_mut().unwrap();
    graph.input.push(value("z", ElementType::F32, &[2, 4]));
    graph.input.push(value("index", ElementType::I64, &[1]));
    graph.output[2] = value("best", ElementType::I64, &[2, 1]);
    check_every_cut(&several);
}

/// A branch that reads tensors of the graph around it.
fn branch(op: &str, reads: &[&str], writes: &str) -> GraphProto {
    GraphProto {
        name: Some(writes.to_owned()),
        node: vec![node(op, reads, &[writes])],
        output: vec![value(writes, ElementType::F32, &[2, 4])],
        ..GraphProto::default()
    }
}

#[test]
fn branches_that_capture_tensors_from_before_the_cut_and_across_it() {
    let choice = node("If", &["flag"], &["c"]);
    let choice = with_graph(choice, "then_branch", branch("Add", &["b", "a"], "t"));
    let choice = with_graph(choice, "else_branch", branch("Mul", &["b", "x"], "e"));
    let nodes = vec![
        node("Abs", &["x"], &["a"]),
        node("MatMul", &["a", "w"], &["b"]),
        node("MatMul", &["b", "w"], &["d"]),
        choice,
        node("Add", &["c", "d"], &["f"]),
        node("MatMul", &["f", "w"], &["y"]),
    ];
    let mut branching = model(&[2, 4], nodes, vec![weight("w", &[4, 4])], &["y"]);
    branching.graph.as_mut().unwrap().input.push(value("flag", ElementType::Bool, &[1]));
    check_every_cut(&branching);
}

fn recurrent(op: &str, gates: i64, input: &str, output: &str) -> (NodeProto, Vec<TensorProto>) {
    const HIDDEN: i64 = 4;
    let name = |what: &str| format!("{op}_{what}");
    let reads = [input, &name("w"), &name("r"), &name("b")];
    let layer = with_int(node(op, &reads, &[output]), "hidden_size", HIDDEN);
    let weights = vec![
        weight(&name("w"), &[1, gates * HIDDEN, 4]),
        weight(&name("r"), &[1, gates * HIDDEN, HIDDEN]),
        weight(&name("b"), &[1, 2 * gates * HIDDEN]),
    ];
    (layer, weights)
}

#[test]
fn recurrent_layers() {
    // Sequences of 5 steps, a batch of 1, 4 features.
    let (lstm, lstm_weights) = recurrent("LSTM", 4, "a", "l");
    let (gru, gru_weights) = recurrent("GRU", 3, "m", "g");
    let gru = with_int(gru, "linear_before_reset", 1);
    let nodes = vec![
        node("Abs", &["x"], &["a"]),
        lstm,
        node("Squeeze", &["l", "direction"], &["s"]),
        node("MatMul", &["s", "w"], &["m"]),
        gru,
        node("Squeeze", &["g", "direction"], &["h"]),
        node("MatMul", &["h", "w"], &["y"]),
    ];
    let own = vec![weight("w", &[4, 4]), i64s("direction", &[1])];
    let constants = [lstm_weights, gru_weights, own].concat();
    check_every_cut(&model(&[5, 1, 4], nodes, constants, &["y"]));
}

#[test]
fn external_data() {
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    let outside = |name: &str, offset: &str| TensorProto {
        float_data: vec![],
        data_location: Some(1),
        external_data: vec![
            entry("location", "weights.bin"),
            entry("offset", offset),
            entry("length", "64"),
        ],
        ..f32s(name, &[4, 4], &[])
    };
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Tanh", &["a"], &["b"]),
        node("MatMul", &["b", "v"], &["y"]),
    ];
    let model = model(&[1, 4], nodes, vec![outside("w", "0"), outside("v", "64")], &["y"]);
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = (0..32i32).flat_map(|i| (i as f32 / 32.0 - 0.4).to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), values).unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    for engine in engines() {
        let load = || {
            let model = OnnxModel::load(&path, &ReadOptions::default()).unwrap();
            model.into_layers(&*engine).unwrap()
        };
        check_with(engine.clone(), load(), &serve(engine.clone(), &load()));
        // And on a server that has to be given the model, weights inside.
        let empty = Server::start(ServerOptions::local(engine.clone()), vec![]).unwrap();
        check_with(engine.clone(), load(), &empty);
    }
}
