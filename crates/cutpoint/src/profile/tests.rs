use super::by_layer::by_layer;
use super::measure::summarize;
use super::model_profile::Measured;
use super::*;
use crate::engine::NodeTimes;
use crate::error::ErrorKind;
use crate::onnx::{LayerGraph, LayerNode, OnnxLayer};
use std::time::Duration;

/// Layers that each write one tensor of the layer's own name in each of their nodes.
fn graph(layers: &[(&str, &[&str])]) -> LayerGraph {
    let layer = |(name, tensors): &(&str, &[&str])| OnnxLayer {
        name: (*name).into(),
        nodes: tensors.iter().map(|tensor| LayerNode::for_tests("Conv", tensor)).collect(),
        reads: vec![],
        writes: vec![],
        parameter_bytes: 0,
    };
    LayerGraph { layers: layers.iter().map(layer).collect(), ..LayerGraph::default() }
}

fn node(node: &str, operator: &str, tensors: &[&str], ms: &[u64]) -> NodeTimes {
    NodeTimes {
        node: node.into(),
        tensors: tensors.iter().map(|&t| t.into()).collect(),
        operator: operator.into(),
        times: ms.iter().map(|&ms| Duration::from_millis(ms)).collect(),
    }
}

#[test]
fn fused_renamed_and_added_nodes_fall_to_their_layers() {
    let graph = graph(&[
        ("one", &["conv_1", "relu_1"]),
        ("ten", &["conv_10", "relu_10"]),
        ("last", &["scores", "conv_1/bias"]),
    ]);
    let cases = [
        ("relu_1_nchwc", "Conv", 0),
        ("relu_10_nchwc", "Conv", 1),
        ("fused conv_10", "FusedConv", 1),
        ("conv_1_token_12", "Conv", 0),
        ("conv_1/MatMulAddFusion", "Gemm", 0),
        ("conv_1/bias/MatMulAddFusion_3", "Gemm", 2),
        ("scores", "Softmax", 2),
    ];
    for (name, operator, expected) in cases {
        let layers = by_layer(&[node(name, operator, &[], &[1])], &graph, 1).unwrap();
        let found = layers.iter().position(|times| times[0] > 0.0);
        assert_eq!(found, Some(expected), "{name}");
    }
    let by_tensor = node("nonsense", "Conv", &["", "relu_10"], &[1]);
    assert!(by_layer(&[by_tensor], &graph, 1).unwrap()[1][0] > 0.0);
}

#[test]
fn no_time_is_lost_and_strays_fall_to_their_neighbours() {
    let graph = graph(&[("a", &["a"]), ("b", &["b"]), ("unseen", &["c"])]);
    let nodes = [
        node("ReorderInput", "ReorderInput", &[], &[1, 1]),
        node("a_nchwc", "Conv", &[], &[10, 20]),
        node("ReorderOutput_token_3", "ReorderOutput", &[], &[2, 4]),
        node("ReorderInput_token_4", "ReorderInput", &[], &[100, 100]),
        node("b_nchwc", "Conv", &[], &[1000, 1000]),
    ];
    let layers = by_layer(&nodes, &graph, 2).unwrap();
    let expected = [[13.0, 25.0], [1100.0, 1100.0], [0.0, 0.0]];
    for (found, expected) in layers.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-9, "{layers:?}");
    }
    let strays = [node("Memcpy", "Memcpy", &[], &[1])];
    assert_eq!(by_layer(&strays, &graph, 1).unwrap_err().kind(), ErrorKind::Engine);
}

fn measured(method: Method, layers: [f64; 2], whole: &[f64]) -> Measured {
    let layers = layers.map(|ms| vec![ms; 3]).to_vec();
    Measured { method, layers, whole: whole.to_vec(), waiting: None }
}

#[test]
fn layers_that_nearly_add_up_are_scaled_and_others_are_reported() {
    let graph = graph(&[("a", &["a"]), ("b", &["b"])]);
    let whole = [10.0; 6];
    // 6 + 3 = 9 of 10: scaled by 10/9.
    let close = summarize(&graph, &measured(Method::Clock, [6.0, 3.0], &whole));
    assert!(close.is_scaled && close.warnings.is_empty() && !close.is_noisy, "{close:?}");
    assert!((close.sum_over_whole - 0.9).abs() < 1e-12);
    assert!((close.layers[0].median_ms - 60.0 / 9.0).abs() < 1e-12);
    assert_eq!(close.whole.runs, 6);

    let far = summarize(&graph, &measured(Method::Clock, [10.0, 5.0], &whole));
    assert!(!far.is_scaled && (far.layers[0].median_ms - 10.0).abs() < 1e-12);
    let warning = "the layers' times add up to 50 % more than the whole model's time";
    assert_eq!(far.warnings, [warning]);

    let segments = summarize(&graph, &measured(Method::Segments, [10.0, 5.0], &whole));
    assert!(segments.is_scaled && (segments.layers[1].median_ms - 10.0 / 3.0).abs() < 1e-12);
    assert_eq!(segments.warnings, [format!("{warning}; they were scaled to it")]);
}

#[test]
fn uneven_runs_and_a_change_on_the_way_are_called_noisy() {
    let graph = graph(&[("a", &["a"]), ("b", &["b"])]);
    let noise = |whole: &[f64], waiting| {
        let measured = Measured { waiting, ..measured(Method::Clock, [5.0, 5.0], whole) };
        let profile = summarize(&graph, &measured);
        assert_eq!(profile.is_noisy, !profile.warnings.is_empty());
        profile.warnings.first().cloned().unwrap_or_default()
    };
    assert_eq!(noise(&[10.0; 4], Some(0.05)), "");
    let uneven = noise(&[8.0, 10.0, 12.0, 8.0, 10.0, 12.0], None);
    assert!(uneven.contains("runs of the whole model deviate by 20 %"), "{uneven}");
    let changed = noise(&[9.5, 9.5, 10.5, 10.6], None);
    assert!(changed.contains("the second half of the runs differs by 1"), "{changed}");
    let busy = noise(&[10.0; 4], Some(0.5));
    assert!(busy.contains("it waited for a processor for 50 % of the time"), "{busy}");
}

#[test]
fn a_profile_survives_its_json_form() {
    let graph = graph(&[("a", &["a"]), ("b", &["b"])]);
    let profile = summarize(&graph, &measured(Method::Clock, [5.0, 5.0], &[10.0; 2]));
    let json = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<ModelProfile>(&json).unwrap(), profile);
}
