//! Segments that quantise and restore what crosses the cut.

use super::small::*;
use crate::encoding::{Decoder, Encoder, Encoding};
use crate::error::ErrorKind;
use crate::onnx::proto::ModelProto;
use crate::onnx::{LayeredModel, Segment};
use crate::tensor::{ElementType, Tensor, relative_difference};
use crate::zoo::Network;
use prost::Message;
use std::collections::BTreeMap;

fn forms(names: &[&str], encoding: Encoding) -> BTreeMap<String, Encoding> {
    names.iter().map(|name| ((*name).to_owned(), encoding)).collect()
}

/// What comes back when a tensor crosses the link in an encoding of this program.
fn crossed(encoding: Encoding, tensor: &Tensor) -> Tensor {
    let encoded = Encoder::new().unwrap().encode(encoding, tensor).unwrap();
    Decoder::default().decode(&encoded).unwrap()
}

/// The steps that restore a tensor, made visible as an output.
fn showing(suffix: &Segment, tensor: &str) -> Vec<u8> {
    let mut model = ModelProto::decode(suffix.onnx.as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let value = graph.value_info.iter().find(|value| value.name() == tensor).unwrap().clone();
    graph.output.push(value);
    model.encode_to_vec()
}

/// Checks that numbers come back within half a step, and, but for ties, as from this program.
fn check_restored(restored: &Tensor, own: &Tensor, raw: &Tensor) {
    let [restored, own, raw] = [restored, own, raw].map(|tensor| tensor.to_f32().unwrap());
    let ends = raw.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, greatest), &v| {
        (least.min(v), greatest.max(v))
    });
    let step = (ends.1 - ends.0) / 255.0;
    let off = restored.iter().zip(&raw).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(off <= step * 0.501 + f32::EPSILON, "{off} in steps of {step}");
    let others = restored.iter().zip(&own).filter(|(a, b)| (*a - *b).abs() > step * 1e-3).count();
    assert!(others * 1000 <= own.len(), "{others} of {} numbers differ", own.len());
}

/// Checks a cut in an encoding against the plain cut and this program's own encoding.
fn check(layered: &LayeredModel, tensors: &[&str], encoding: Encoding) {
    let whole = unsplit(layered.model());
    let cut = layered.cut_at(tensors).unwrap();
    let forms = forms(tensors, encoding);
    let prefix = layered.encoded_prefix(&cut, &forms).unwrap();
    let suffix = layered.encoded_suffix(&cut, &forms).unwrap();
    let plain = layered.prefix(&cut).unwrap();
    let made = run(&plain.onnx, &plain.inputs, &whole.inputs);
    let mut known = whole.inputs.clone();
    known.extend(run(&prefix.onnx, &prefix.inputs, &known));
    let mut sent = whole.inputs.clone();
    sent.extend(made.clone());
    for tensor in tensors {
        let raw = sent.get(*tensor).unwrap();
        let own = crossed(encoding, raw);
        let onnx = showing(&suffix, tensor);
        let restored = run(&onnx, &suffix.inputs, &known).remove(*tensor).unwrap();
        check_restored(&restored, &own, raw);
        sent.insert((*tensor).to_owned(), restored);
    }
    let plain = layered.suffix(&cut).unwrap();
    let expected = run(&plain.onnx, &plain.inputs, &sent);
    for (name, found) in run(&suffix.onnx, &suffix.inputs, &known) {
        let off = relative_difference(&found, &expected[&name]).unwrap();
        assert!(off <= 1e-5, "{name} behind {encoding}: {off:e}");
    }
}

/// Images through convolutions, one branch around them, and an output on the way.
fn branches() -> LayeredModel {
    let nodes = vec![
        node("Conv", &["x", "w"], &["a"]),
        node("Relu", &["a"], &["r"]),
        node("Abs", &["r"], &["b"]),
        node("Add", &["r", "b"], &["y"]),
    ];
    let constants = vec![weight("w", &[3, 2, 1, 1])];
    layered(&model(&[1, 2, 4, 5], nodes, constants, &["r", "y"]))
}

#[test]
fn tensors_cross_as_they_do_in_this_programs_own_encodings() {
    for encoding in [Encoding::U8, Encoding::U8_CHANNEL] {
        check(&branches(), &["r"], encoding);
        check(&branches(), &["r", "b"], encoding);
    }
}

#[test]
fn an_input_that_crosses_is_quantised_too() {
    let nodes = vec![node("Abs", &["x"], &["a"]), node("Add", &["a", "x"], &["y"])];
    let layered = layered(&model(&[1, 4], nodes, vec![], &["y"]));
    check(&layered, &["a", "x"], Encoding::U8);
}

#[test]
fn a_network_is_cut_in_encodings() {
    let model = Network::SqueezeNet.to_onnx(1);
    let layered = layered(&ModelProto::decode(model.as_slice()).unwrap());
    let boundaries = layered.boundaries();
    for boundary in boundaries.iter().step_by(boundaries.len() / 3) {
        let frontier: Vec<&str> = boundary.frontier.iter().map(String::as_str).collect();
        let rank = layered.layers().tensors[frontier[0]].shape.len();
        check(&layered, &frontier, Encoding::U8);
        if rank >= 3 {
            check(&layered, &frontier, Encoding::U8_CHANNEL);
        }
    }
}

#[test]
fn equal_numbers_come_back_as_they_were() {
    let nodes = vec![node("Mul", &["x", "zero"], &["a"]), node("Abs", &["a"], &["y"])];
    let layered = layered(&model(&[1, 4], nodes, vec![f32s("zero", &[], &[0.0])], &["y"]));
    check(&layered, &["a"], Encoding::U8);
}

#[test]
fn the_ports_are_named_after_the_tensor_and_the_file_tells_its_encoding() {
    let layered = branches();
    let cut = layered.cut_at(&["r"]).unwrap();
    let ports = ["r.u8", "r.least", "r.step"];
    let u8s = forms(&["r"], Encoding::U8);
    let prefix = layered.encoded_prefix(&cut, &u8s).unwrap();
    // `r` is also an output of the model.
    assert_eq!(prefix.outputs, ["r", "r.u8", "r.least", "r.step"]);
    let suffix = layered.encoded_suffix(&cut, &u8s).unwrap();
    assert_eq!(
        (suffix.inputs.as_slice(), suffix.outputs.as_slice()),
        (&ports.map(str::to_owned)[..], &["y".to_owned()][..])
    );
    let model = ModelProto::decode(suffix.onnx.as_slice()).unwrap();
    let told = model.metadata_props.iter().find(|entry| entry.key() == "cutpoint.encodings");
    assert_eq!(told.unwrap().value(), r#"{"r":"u8"}"#);
    let halves = layered.encoded_suffix(&cut, &forms(&["r"], Encoding::F16)).unwrap();
    assert_eq!(halves.inputs, ["r.f16"]);
    let graph = ModelProto::decode(halves.onnx.as_slice()).unwrap().graph.unwrap();
    assert_eq!(graph.node[0].op_type(), "Cast");
    let kind = super::super::tensor_type::tensor_type(&graph.input[0]).unwrap().elem_type();
    assert_eq!(kind, ElementType::F16.onnx_number());
    // Without encodings the parts are the plain ones.
    let plain = layered.encoded_prefix(&cut, &BTreeMap::new()).unwrap();
    assert_eq!(plain, layered.prefix(&cut).unwrap());
}

#[test]
fn encodings_without_an_onnx_form_are_refused_by_name() {
    let layered = branches();
    let cut = layered.cut_at(&["r"]).unwrap();
    let refused = |name: &str, encoding| {
        let error = layered.encoded_prefix(&cut, &forms(&[name], encoding)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cut);
        let other = layered.encoded_suffix(&cut, &forms(&[name], encoding)).unwrap_err();
        assert_eq!(error.to_string(), other.to_string());
        error.to_string()
    };
    assert!(refused("b", Encoding::U8).contains("\"b\": it does not cross this cut"));
    assert!(refused("r", Encoding::U8_ZSTD).contains("u8+zstd has no form in ONNX"));
    let nodes = vec![node("Abs", &["x"], &["a"]), node("Relu", &["a"], &["y"])];
    let flat = super::small::layered(&model(&[1, 4], nodes, vec![], &["y"]));
    let cut = flat.cut_at(&["a"]).unwrap();
    let error = flat.encoded_prefix(&cut, &forms(&["a"], Encoding::U8_CHANNEL)).unwrap_err();
    assert!(error.to_string().contains("at least 3 dimensions"), "{error}");
}
