//! Cuts that a user names, good and bad, and what is in the segments.

use super::small::*;
use crate::error::ErrorKind;
use crate::onnx::LayeredModel;
use crate::onnx::proto::ModelProto;
use expect_test::{Expect, expect};
use prost::Message;

/// Two branches from `a` that meet in `y`, and an output `s` on the way.
fn diamond() -> LayeredModel {
    let nodes = vec![
        node("Abs", &["x"], &["a"]),
        node("MatMul", &["a", "w"], &["b"]),
        node("MatMul", &["a", "v"], &["c"]),
        node("Softmax", &["c"], &["s"]),
        node("Concat", &["b", "c"], &["d"]),
        node("Add", &["d", "k"], &["y"]),
    ];
    let mut nodes = nodes;
    nodes[4] = with_int(nodes[4].clone(), "axis", 1);
    let constants = vec![weight("w", &[4, 4]), weight("v", &[4, 4]), f32s("k", &[], &[1.0])];
    layered(&model(&[2, 4], nodes, constants, &["y", "s"]))
}

fn refused(tensors: &[&str], message: Expect, hint: Expect) {
    let error = diamond().cut_at(tensors).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cut);
    message.assert_eq(&error.to_string());
    hint.assert_eq(error.advice().unwrap_or_default());
}

#[test]
fn a_named_cut_has_the_smallest_prefix() {
    let layered = diamond();
    let cut = layered.cut_at(&["c", "a"]).unwrap();
    assert_eq!(cut.frontier, ["a", "c"]);
    let (prefix, suffix) = (layered.prefix(&cut).unwrap(), layered.suffix(&cut).unwrap());
    assert_eq!((prefix.inputs, prefix.outputs), (vec!["x".into()], vec!["a".into(), "c".into()]));
    assert_eq!(suffix.inputs, ["a", "c"]);
    assert_eq!(suffix.outputs, ["y", "s"]);
}

#[test]
fn readers_of_what_is_not_named_move_before_the_cut() {
    let layered = diamond();
    // Everything that reads c but the concatenation is in nobody's way: s is an output.
    let cut = layered.cut_at(&["d"]).unwrap();
    let prefix = layered.prefix(&cut).unwrap();
    assert_eq!(prefix.outputs, ["d", "s"]);
    check_same(&unsplit(layered.model()), &[&prefix, &layered.suffix(&cut).unwrap()]);
}

#[test]
fn an_input_may_cross() {
    let nodes = vec![node("Abs", &["x"], &["a"]), node("Add", &["a", "x"], &["y"])];
    let layered = layered(&model(&[1, 4], nodes, vec![], &["y"]));
    let cut = layered.cut_at(&["a", "x"]).unwrap();
    let (prefix, suffix) = (layered.prefix(&cut).unwrap(), layered.suffix(&cut).unwrap());
    assert_eq!(cut.frontier, ["x", "a"]);
    assert_eq!(prefix.outputs, ["a"]);
    assert_eq!(suffix.inputs, ["x", "a"]);
    check_same(&unsplit(layered.model()), &[&prefix, &suffix]);
}

#[test]
fn sets_that_are_not_cuts_are_refused_by_name() {
    refused(&["b"], expect!["b is not a cut: a would cross it as well"], expect!["name a too"]);
    refused(
        &["a", "d"],
        expect!["a, d is not a cut: nothing behind it reads a"],
        expect!["leave a out"],
    );
    refused(
        &["e"],
        expect![[r#"small.onnx: the model has no tensor "e""#]],
        expect!["cutpoint inspect lists the tensors of each cut"],
    );
    refused(
        &["w"],
        expect![[r#"small.onnx: tensor "w" is constant: every segment that needs it has it"#]],
        expect!["cutpoint inspect lists the tensors of each cut"],
    );
    refused(
        &["x"],
        expect!["only inputs of the model are named: nothing is before the cut"],
        expect![""],
    );
    refused(&["y"], expect!["y is not a cut: nothing behind it reads y"], expect!["leave y out"]);
}

#[test]
fn layers_that_are_not_convex_are_refused() {
    let layered = diamond();
    let last = layered.layers().layers.len() - 1;
    for (layers, message) in [
        (vec![0, last], "a segment reads what depends on its own output"),
        (vec![], "a segment of no layers"),
        (vec![99], "no layer 99"),
    ] {
        let error = layered.segment(&layers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cut);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn a_segment_holds_only_its_own_constants_and_names_its_model() {
    let layered = diamond();
    let cut = layered.cut_at(&["b", "c"]).unwrap();
    let suffix = layered.suffix(&cut).unwrap();
    let decoded = ModelProto::decode(suffix.onnx.as_slice()).unwrap();
    let graph = decoded.graph.as_ref().unwrap();
    let stored: Vec<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    assert_eq!(stored, ["k"]);
    let entry = |key: &str| {
        decoded.metadata_props.iter().find(|e| e.key() == key).map(|e| e.value().to_owned())
    };
    assert_eq!(entry("cutpoint.part").as_deref(), Some("suffix"));
    assert_eq!(entry("cutpoint.reads").as_deref(), Some(r#"["b","c"]"#));
    assert_eq!(entry("cutpoint.source_sha256").as_deref(), Some(layered.model().sha256()));
    assert_eq!(decoded.opset_import[0].version(), 17);
}

#[test]
fn a_segment_can_be_cut_again() {
    let layered = diamond();
    let whole = layered.whole().unwrap();
    let again = ModelProto::decode(whole.onnx.as_slice()).unwrap();
    let second = super::small::layered(&again);
    assert_eq!(second.layers().layers.len(), layered.layers().layers.len());
    assert_eq!(check_boundaries(&second, |_| true), layered.boundaries().len());
}
