//! What is read, and what is refused with which words.

use super::small::*;
use crate::error::ErrorKind;
use crate::onnx::proto::{ModelProto, StringStringEntryProto, TensorProto};
use crate::onnx::{OnnxModel, ReadOptions};
use crate::tensor::ElementType::{self, F32, I64};
use bytes::Bytes;
use expect_test::{Expect, expect};
use prost::Message;
use std::path::Path;

fn refused(model: &ModelProto, expected: Expect) {
    expected.assert_eq(&read(model).unwrap_err().to_string());
}

fn bytes_refused(bytes: &[u8], expected: Expect) {
    let bytes = Bytes::copy_from_slice(bytes);
    let error = OnnxModel::from_bytes(bytes, "file.onnx", &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    expected.assert_eq(&error.to_string());
}

fn relu() -> ModelProto {
    model(&[1, 4], vec![node("Relu", &["x"], &["y"])], vec![], &["y"])
}

#[test]
fn files_that_are_not_models_are_refused() {
    bytes_refused(b"", expect!["file.onnx: not an ONNX model: the file is empty"]);
    bytes_refused(
        b"\x89PNG\r\n\x1a\n and so on",
        expect![[
            r#"file.onnx: not an ONNX model: failed to decode Protobuf message: invalid wire type value: 6"#
        ]],
    );
    bytes_refused(
        b"{\"json\": true}",
        expect![
            "file.onnx: not an ONNX model: failed to decode Protobuf message: buffer underflow"
        ],
    );
    let whole = relu().encode_to_vec();
    bytes_refused(
        &whole[..whole.len() - 3],
        expect!["file.onnx: the protobuf ends too early: a truncated ONNX model, or none"],
    );
    bytes_refused(
        &ModelProto { graph: None, ..relu() }.encode_to_vec(),
        expect!["file.onnx: not an ONNX model: it holds no graph"],
    );
}

#[test]
fn no_truncation_panics() {
    let whole = relu().encode_to_vec();
    for length in 0..whole.len() {
        let bytes = Bytes::copy_from_slice(&whole[..length]);
        OnnxModel::from_bytes(bytes, "file.onnx", &ReadOptions::default()).ok();
    }
}

#[test]
fn inconsistent_graphs_are_refused() {
    let of = |nodes, outputs: &[&str]| model(&[1, 4], nodes, vec![], outputs);
    refused(&of(vec![], &["x"]), expect!["small.onnx: the graph is empty: it has no nodes"]);
    refused(
        &of(vec![node("Relu", &["x"], &["y"]), node("Abs", &["x"], &["y"])], &["y"]),
        expect![[r#"small.onnx: node Abs that writes "y": tensor "y" is defined more than once"#]],
    );
    refused(
        &of(vec![node("Add", &["x", "z"], &["y"])], &["y"]),
        expect![[
            r#"small.onnx: node Add that writes "y": nothing writes tensor "z", which is read here"#
        ]],
    );
    refused(
        &of(vec![node("Relu", &["x"], &["y"])], &["z"]),
        expect![[r#"small.onnx: model outputs: no node writes tensor "z", which is an output"#]],
    );
    refused(
        &of(vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"])], &["b"]),
        expect![[
            r#"small.onnx: node Add that writes "a": the node reads what depends on its own output"#
        ]],
    );
    refused(
        &ModelProto { opset_import: vec![], ..relu() },
        expect!["small.onnx: the model declares no operator set"],
    );
}

#[test]
fn stored_tensors_must_have_their_size() {
    let of = |tensor: TensorProto| {
        model(&[1, 4], vec![node("Add", &["x", "w"], &["y"])], vec![tensor], &["y"])
    };
    refused(
        &of(f32s("w", &[4], &[1.0; 3])),
        expect![[
            r#"small.onnx: initializer "w": shape [4] asks for 16 bytes, found 12 bytes by its values"#
        ]],
    );
    let huge = TensorProto { raw_data: Some(Bytes::from_static(b"1234")), ..f32s("w", &[], &[]) };
    refused(
        &of(TensorProto { dims: vec![i64::MAX, i64::MAX], ..huge.clone() }),
        expect![[
            r#"small.onnx: initializer "w": shape [9223372036854775807, 9223372036854775807] makes no sense"#
        ]],
    );
    refused(
        &of(TensorProto { dims: vec![-4], ..huge }),
        expect![[r#"small.onnx: initializer "w": shape [-4] makes no sense"#]],
    );
}

#[test]
fn nodes_in_any_order_are_sorted() {
    let nodes = vec![node("Relu", &["a"], &["y"]), node("Abs", &["x"], &["a"])];
    let layered = layered(&model(&[1, 4], nodes, vec![], &["y"]));
    assert_eq!(operators(&layered), ["Abs", "Relu"]);
}

#[test]
fn constants_listed_as_inputs_are_not_inputs() {
    let mut old =
        model(&[1, 4], vec![node("Add", &["x", "w"], &["y"])], vec![weight("w", &[4])], &["y"]);
    old.ir_version = Some(3);
    old.graph.as_mut().unwrap().input.push(value("w", F32, &[4]));
    let read = read(&old).unwrap();
    assert_eq!(read.inputs().len(), 1);
    let written = ModelProto::decode(read.to_onnx().unwrap().as_slice()).unwrap();
    assert_eq!(written.ir_version(), 4);
}

#[test]
fn an_open_first_dimension_is_one() {
    let open = model(&[-1, 4], vec![node("Relu", &["x"], &["y"])], vec![], &["y"]);
    assert_eq!(read(&open).unwrap().inputs()[0].1.shape, [1, 4]);
}

fn with_shape(model: &ModelProto, name: &str, shape: &[usize]) -> crate::error::Result<OnnxModel> {
    let shapes = [(name.to_owned(), shape.to_vec())].into();
    OnnxModel::from_bytes(model.encode_to_vec().into(), "small.onnx", &ReadOptions { shapes })
}

#[test]
fn shapes_can_be_given() {
    let open = model(&[1, -1], vec![node("Relu", &["x"], &["y"])], vec![], &["y"]);
    let error = read(&open).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    expect![[r#"small.onnx: input "x": the file leaves dimensions open: 1xN"#]]
        .assert_eq(&error.to_string());
    assert_eq!(error.advice(), Some("give them, for example --shape x=1x224"));
    assert_eq!(with_shape(&open, "x", &[1, 7]).unwrap().inputs()[0].1.shape, [1, 7]);
    let error = with_shape(&open, "x", &[7]).unwrap_err();
    expect![[r#"small.onnx: input "x": shape 7 given, expected 1xN"#]]
        .assert_eq(&error.to_string());
    let error = with_shape(&open, "data", &[7]).unwrap_err();
    expect![[r#"small.onnx: a shape is given for "data", which is not an input of the model"#]]
        .assert_eq(&error.to_string());
    let error = with_shape(&open, "x", &[1, usize::MAX]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
}

#[test]
fn a_symbol_has_one_size_everywhere() {
    let mut two = model(&[1, -1], vec![node("Add", &["x", "z"], &["y"])], vec![], &["y"]);
    two.graph.as_mut().unwrap().input.push(value("z", F32, &[1, -1]));
    assert_eq!(with_shape(&two, "x", &[1, 5]).unwrap().inputs()[1].1.shape, [1, 5]);
}

#[test]
fn inputs_of_unknown_type_are_refused() {
    let mut bfloat = relu();
    let input = &mut bfloat.graph.as_mut().unwrap().input[0];
    *input = value("x", F32, &[1, 4]);
    if let Some(crate::onnx::proto::type_proto::Value::TensorType(tensor)) =
        input.r#type.as_mut().and_then(|t| t.value.as_mut())
    {
        tensor.elem_type = Some(16);
    }
    refused(
        &bfloat,
        expect![[r#"small.onnx: input "x": ONNX's element type 16 is not supported"#]],
    );
}

fn external(location: &str, offset: u64, length: u64) -> ModelProto {
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    };
    let tensor = TensorProto {
        float_data: vec![],
        data_location: Some(1),
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        ..f32s("w", &[4], &[])
    };
    model(&[1, 4], vec![node("Add", &["x", "w"], &["y"])], vec![tensor], &["y"])
}

fn load_external(folder: &Path, model: &ModelProto) -> Result<OnnxModel, String> {
    let path = folder.join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    OnnxModel::load(&path, &ReadOptions::default())
        .map_err(|e| e.to_string().replace(&folder.display().to_string(), "FOLDER"))
}

#[test]
fn external_data_is_read_in() {
    let folder = tempfile::tempdir().unwrap();
    let values = [0.0f32, 0.0, 1.0, 2.0, 3.0, 4.0];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), bytes).unwrap();
    let model = load_external(folder.path(), &external("weights.bin", 8, 16)).unwrap();
    let found = unsplit(&model);
    let x = found.inputs["x"].to_f32().unwrap();
    let expected: Vec<f32> = x.iter().zip([1.0, 2.0, 3.0, 4.0]).map(|(x, w)| x + w).collect();
    assert_eq!(found.outputs["y"].to_f32().unwrap(), expected);
}

#[test]
fn external_data_elsewhere_or_missing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights.bin"), [0; 16]).unwrap();
    let refuse = |location: &str, offset, length, expected: Expect| {
        let model = external(location, offset, length);
        expected.assert_eq(&load_external(folder.path(), &model).unwrap_err());
    };
    refuse(
        "none.bin",
        0,
        16,
        expect![[
            r#"FOLDER/model.onnx: external data of tensor "w": cannot read FOLDER/none.bin: No such file or directory (os error 2)"#
        ]],
    );
    refuse(
        "../weights.bin",
        0,
        16,
        expect![[
            r#"FOLDER/model.onnx: external data of tensor "w": invalid location "../weights.bin": expected a relative path inside the model's folder"#
        ]],
    );
    refuse(
        "/etc/passwd",
        0,
        16,
        expect![[
            r#"FOLDER/model.onnx: external data of tensor "w": invalid location "/etc/passwd": expected a relative path inside the model's folder"#
        ]],
    );
    refuse(
        "weights.bin",
        8,
        16,
        expect![[
            r#"FOLDER/model.onnx: external data of tensor "w": FOLDER/weights.bin has 16 bytes, the tensor is 16 bytes at 8"#
        ]],
    );
    refuse(
        "weights.bin",
        u64::MAX,
        16,
        expect![[
            r#"FOLDER/model.onnx: external data of tensor "w": FOLDER/weights.bin has 16 bytes, the tensor is 16 bytes at 18446744073709551615"#
        ]],
    );
    refuse(
        "weights.bin",
        0,
        8,
        expect![[
            r#"FOLDER/model.onnx: initializer "w": shape [4] asks for 16 bytes, found 8 bytes"#
        ]],
    );
    let alone = read(&external("weights.bin", 0, 16)).unwrap_err();
    assert_eq!(alone.advice(), Some("read the model from its file"));
}

#[test]
fn nothing_is_lost_in_writing() {
    let mut full = relu();
    full.producer_name = Some("somebody".to_owned());
    full.graph.as_mut().unwrap().value_info.push(value("x", ElementType::F32, &[1, 4]));
    full.opset_import.push(crate::onnx::proto::OperatorSetIdProto {
        domain: Some("com.example".to_owned()),
        version: Some(3),
    });
    let written = read(&full).unwrap().to_onnx().unwrap();
    assert_eq!(ModelProto::decode(written.as_slice()).unwrap(), full);
}

#[test]
fn truth_values_and_whole_numbers_have_synthetic_inputs() {
    let mut whole = model(&[1, 4], vec![node("Cast", &["n"], &["y"])], vec![], &["y"]);
    whole.graph.as_mut().unwrap().node[0] = with_int(node("Cast", &["n"], &["y"]), "to", 1);
    whole.graph.as_mut().unwrap().input = vec![value("n", I64, &[64])];
    let inputs = read(&whole).unwrap().synthetic_inputs(1);
    let values: Vec<i64> = bytemuck::pod_collect_to_vec(inputs[0].1.bytes());
    assert!(
        values.iter().all(|v| [0, 1].contains(v)) && values.contains(&0) && values.contains(&1)
    );
}
