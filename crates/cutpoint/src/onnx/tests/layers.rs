//! The rules by which nodes become layers, on small examples.

use super::small::*;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::tensor::ElementType::{Bool, F32};

/// A 3x3 convolution of 2 channels that keeps the size, with weights `w`.
fn conv(input: &str, output: &str) -> NodeProto {
    with_ints(node("Conv", &[input, "w"], &[output]), "pads", &[1, 1, 1, 1])
}

fn weights() -> Vec<TensorProto> {
    vec![weight("w", &[2, 2, 3, 3]), f32s("c", &[], &[3.0]), i64s("flat", &[1, -1])]
}

fn check(nodes: Vec<NodeProto>, outputs: &[&str], expected: &[&str]) {
    let layered = layered(&model(&[1, 2, 4, 4], nodes, weights(), outputs));
    assert_eq!(operators(&layered), expected);
    check_boundaries(&layered, |_| true);
}

#[test]
fn activations_and_constant_arithmetic_join_the_convolution() {
    check(
        vec![
            conv("x", "a"),
            node("Mul", &["a", "c"], &["b"]),
            node("Relu", &["b"], &["d"]),
            conv("d", "e"),
            node("Sigmoid", &["e"], &["y"]),
        ],
        &["y"],
        &["Conv Mul Relu", "Conv Sigmoid"],
    );
}

#[test]
fn a_tensor_with_two_readers_is_a_border() {
    check(
        vec![
            conv("x", "a"),
            node("Relu", &["a"], &["b"]),
            node("Tanh", &["a"], &["c2"]),
            node("Concat", &["b", "c2"], &["y"]).with_axis(1),
        ],
        &["y"],
        &["Conv", "Relu", "Tanh", "Concat"],
    );
}

#[test]
fn a_model_output_is_a_border() {
    check(vec![conv("x", "a"), node("Relu", &["a"], &["y"])], &["a", "y"], &["Conv", "Relu"]);
}

#[test]
fn silu_joins_its_convolution() {
    check(
        vec![
            conv("x", "a"),
            node("Sigmoid", &["a"], &["s"]),
            node("Mul", &["a", "s"], &["b"]),
            conv("b", "d"),
            node("HardSigmoid", &["d"], &["h"]),
            node("Mul", &["h", "d"], &["y"]),
        ],
        &["y"],
        &["Conv Sigmoid Mul", "Conv HardSigmoid Mul"],
    );
}

#[test]
fn a_residual_add_joins_the_later_convolution() {
    check(
        vec![
            conv("x", "a"),
            node("Relu", &["a"], &["b"]),
            conv("b", "d"),
            node("Relu", &["d"], &["e"]),
            conv("e", "f"),
            node("Add", &["f", "b"], &["g"]),
            node("Relu", &["g"], &["y"]),
        ],
        &["y"],
        &["Conv Relu", "Conv Relu", "Conv Add Relu"],
    );
}

#[test]
fn a_sum_that_would_close_a_circle_stays_alone() {
    // The second operand of the sum depends on the convolution through a pooling.
    check(
        vec![
            conv("x", "a"),
            conv("a", "b"),
            node("GlobalAveragePool", &["b"], &["p"]),
            node("Add", &["b", "p"], &["d"]),
            node("Relu", &["d"], &["y"]),
        ],
        &["y"],
        &["Conv", "Conv", "GlobalAveragePool", "Add Relu"],
    );
}

#[test]
fn views_join_their_writer() {
    check(
        vec![
            conv("x", "a"),
            node("Relu", &["a"], &["b"]),
            node("Reshape", &["b", "flat"], &["d"]),
            node("Identity", &["d"], &["y"]),
        ],
        &["y"],
        &["Conv Relu Reshape Identity"],
    );
}

#[test]
fn quantised_tensors_are_borders() {
    let scale = [
        f32s("s", &[], &[0.05]),
        TensorProto {
            name: Some("z".to_owned()),
            data_type: Some(2),
            int32_data: vec![128],
            ..TensorProto::default()
        },
    ];
    let nodes = vec![
        node("QuantizeLinear", &["x", "s", "z"], &["q"]),
        node("DequantizeLinear", &["q", "s", "z"], &["d"]),
        conv("d", "a"),
        node("Relu", &["a"], &["b"]),
        node("QuantizeLinear", &["b", "s", "z"], &["r"]),
        node("DequantizeLinear", &["r", "s", "z"], &["e"]),
        conv("e", "y"),
    ];
    let constants = weights().into_iter().chain(scale).collect();
    let layered = layered(&model(&[1, 2, 4, 4], nodes, constants, &["y"]));
    assert_eq!(
        operators(&layered),
        ["QuantizeLinear", "DequantizeLinear Conv Relu QuantizeLinear", "DequantizeLinear Conv"]
    );
    assert_eq!(layered.layers().tensors["r"].bytes(), 32);
    check_boundaries(&layered, |_| true);
}

#[test]
fn shape_arithmetic_is_folded() {
    let nodes = vec![
        conv("x", "a"),
        node("Shape", &["a"], &["shape"]),
        node("Gather", &["shape", "first"], &["n"]),
        node("Concat", &["n", "minus"], &["target"]).with_axis(0),
        node("MaxPool", &["a"], &["p"]).with_kernel(),
        node("Reshape", &["p", "target"], &["y"]),
    ];
    let constants = [weights(), vec![i64s("first", &[0]), i64s("minus", &[-1])]].concat();
    let layered = layered(&model(&[1, 2, 4, 4], nodes, constants, &["y"]));
    assert_eq!(operators(&layered), ["Conv", "MaxPool Reshape"]);
    assert_eq!(check_boundaries(&layered, |_| true), 1);
}

#[test]
fn constant_nodes_are_copied_to_every_segment_that_needs_them() {
    let nodes = vec![
        with_tensor(node("Constant", &[], &["k"]), "value", weight("", &[2, 2, 3, 3])),
        node("Neg", &["k"], &["m"]),
        with_ints(node("Conv", &["x", "m"], &["a"]), "kernel_shape", &[3, 3]),
        with_ints(node("Conv", &["a", "k"], &["y"]), "pads", &[1, 1, 1, 1]),
    ];
    let layered = layered(&model(&[1, 2, 4, 4], nodes, vec![], &["y"]));
    assert_eq!(operators(&layered), ["Conv", "Conv"]);
    assert!(layered.layers().layers.iter().all(|layer| layer.parameter_bytes == 144));
    assert_eq!(check_boundaries(&layered, |_| true), 1);
}

#[test]
fn tensors_of_unstable_shape_do_not_cross() {
    let nodes = vec![
        conv("x", "a"),
        node("NonZero", &["a"], &["i"]),
        with_int(node("Cast", &["i"], &["f"]), "to", 1),
        node("ReduceMax", &["f"], &["m"]).with_keepdims(),
        node("Mul", &["a", "m"], &["y"]),
    ];
    check(nodes, &["y"], &["Conv", "NonZero Cast ReduceMax Mul"]);
}

#[test]
fn captures_of_branches_are_followed() {
    let branch = |op: &str, name: &str| GraphProto {
        name: Some(name.to_owned()),
        node: vec![node(op, &["a", "w2"], &[name])],
        output: vec![ValueInfoProto { name: Some(name.to_owned()), ..Default::default() }],
        ..GraphProto::default()
    };
    let choice = node("If", &["flag"], &["y"]);
    let choice = with_graph(choice, "then_branch", branch("Add", "t"));
    let choice = with_graph(choice, "else_branch", branch("Sub", "e"));
    let nodes = vec![conv("x", "a"), node("MaxPool", &["x"], &["p"]).with_kernel(), choice];
    let constants = [weights(), vec![f32s("w2", &[], &[2.0])]].concat();
    let mut branching = model(&[1, 2, 4, 4], nodes, constants, &["y", "p"]);
    let graph = branching.graph.as_mut().unwrap();
    graph.input.push(value("flag", Bool, &[1]));
    graph.output[0] = value("y", F32, &[1, 2, 4, 4]);
    let layered = layered(&branching);
    assert_eq!(operators(&layered), ["Conv", "MaxPool", "If"]);
    assert_eq!(layered.layers().layers[2].reads, ["flag", "a"]);
    assert!(check_boundaries(&layered, |_| true) > 0);
}

#[test]
fn names_are_unique() {
    let named = |node: NodeProto| NodeProto { name: Some("conv".to_owned()), ..node };
    let nodes = vec![named(conv("x", "a")), named(conv("a", "b")), conv("b", "y")];
    let layered = layered(&model(&[1, 2, 4, 4], nodes, weights(), &["y"]));
    let names: Vec<&str> = layered.layers().layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["conv", "conv#2", "Conv:y"]);
}

#[test]
fn unused_nodes_are_left_out() {
    check(vec![conv("x", "y"), conv("x", "a"), node("Relu", &["a"], &["b"])], &["y"], &["Conv"]);
}

/// Attributes that some operators here need.
trait Attributes {
    fn with_axis(self, axis: i64) -> NodeProto;
    fn with_kernel(self) -> NodeProto;
    fn with_keepdims(self) -> NodeProto;
}

impl Attributes for NodeProto {
    fn with_axis(self, axis: i64) -> NodeProto {
        with_int(self, "axis", axis)
    }

    fn with_kernel(self) -> NodeProto {
        with_ints(self, "kernel_shape", &[2, 2])
    }

    fn with_keepdims(self) -> NodeProto {
        with_int(self, "keepdims", 0)
    }
}
