//! Both engines on models of a few nodes. ONNX Runtime takes part where its library is found; a
//! test that goes without it says so on standard error.

use super::onnxruntime::OnnxRuntime;
use super::rten::Rten;
use super::{Engine, EngineOptions, InferenceSession};
use crate::error::{Error, ErrorKind};
use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use prost::Message;
use std::io::{Write, stderr};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

const OPTIONS: EngineOptions = EngineOptions { threads: NonZeroUsize::MIN };

fn engines() -> Vec<Arc<dyn Engine>> {
    static RUNTIME: OnceLock<Option<Arc<dyn Engine>>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| match OnnxRuntime::is_present() {
        true => Some(Arc::new(OnnxRuntime::find(None).unwrap())),
        false => None,
    });
    if runtime.is_none() {
        // Not with eprintln, which the test harness keeps to itself.
        writeln!(
            stderr(),
            "skipped for ONNX Runtime: no library at ORT_DYLIB_PATH or in the cache"
        )
        .unwrap();
    }
    let rten: Arc<dyn Engine> = Arc::new(Rten::new());
    std::iter::once(rten).chain(runtime.clone()).collect()
}

fn value(name: &str, element_type: ElementType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| tensor_shape_proto::Dimension {
        value: Some(match size {
            0 => tensor_shape_proto::dimension::Value::DimParam("n".into()),
            size => tensor_shape_proto::dimension::Value::DimValue(size),
        }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element_type.onnx_number()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None };
    ValueInfoProto { name: Some(name.into()), r#type: Some(r#type), ..Default::default() }
}

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.into()),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: outputs.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(7),
        ints: values.to_vec(),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(2),
        i: Some(value),
        ..Default::default()
    }
}

fn model(
    nodes: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    input: Vec<ValueInfoProto>,
    output: Vec<ValueInfoProto>,
) -> Vec<u8> {
    let graph = GraphProto {
        name: Some("test".into()),
        node: nodes,
        initializer,
        input,
        output,
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let model = ModelProto {
        ir_version: Some(8),
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

/// `y = x + x` with an open first dimension.
fn doubling(element_type: ElementType) -> Vec<u8> {
    let (x, y) = (value("x", element_type, &[0, 2]), value("y", element_type, &[0, 2]));
    model(vec![node("Add", &["x", "x"], &["y"])], vec![], vec![x], vec![y])
}

fn tensor(element_type: ElementType, shape: &[usize], bytes: &[u8]) -> Tensor {
    Tensor::new(element_type, shape.to_vec(), Bytes::copy_from_slice(bytes)).unwrap()
}

fn refused(result: crate::error::Result<Box<dyn InferenceSession>>) -> Error {
    result.err().expect("the engine accepts what it should refuse")
}

#[test]
fn inputs_that_do_not_fit_are_refused_by_name() {
    let x = Tensor::from_f32(vec![1, 2], &[1.0, 2.0]).unwrap();
    let long = Tensor::from_f32(vec![1, 3], &[0.0; 3]).unwrap();
    let flat = Tensor::from_f32(vec![2], &[0.0; 2]).unwrap();
    let integers = tensor(ElementType::I32, &[1, 2], &[0; 8]);
    let cases: [(&[(&str, &Tensor)], &str); 6] = [
        (&[], "input \"x\" is missing, expected FP32 [n, 2]"),
        (&[("z", &x)], "unknown input \"z\", the model has [\"x\"]"),
        (&[("x", &x), ("x", &x)], "input \"x\" is given twice"),
        (&[("x", &long)], "input \"x\": expected FP32 [n, 2], found FP32 [1, 3]"),
        (&[("x", &flat)], "input \"x\": expected FP32 [n, 2], found FP32 [2]"),
        (&[("x", &integers)], "input \"x\": expected FP32 [n, 2], found INT32 [1, 2]"),
    ];
    for engine in engines() {
        let mut session = engine.load(&doubling(ElementType::F32), OPTIONS).unwrap();
        for (inputs, message) in &cases {
            let error = session.run(inputs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{}", engine.name());
            assert_eq!(error.to_string(), *message, "{}", engine.name());
        }
        let (name, y) = session.run(&[("x", &x)]).unwrap().remove(0);
        assert_eq!((name.as_str(), y.to_f32().unwrap()), ("y", vec![2.0, 4.0]));
    }
}

#[test]
fn outputs_have_the_element_type_that_the_model_declares() {
    let cases: [(ElementType, Vec<u8>, Vec<u8>); 4] = [
        (ElementType::F32, bytes_of(&[1.5f32, -2.0]), bytes_of(&[3.0f32, -4.0])),
        (ElementType::F64, bytes_of(&[1.5f64, -2.0]), bytes_of(&[3.0f64, -4.0])),
        (ElementType::I32, bytes_of(&[7i32, -9]), bytes_of(&[14i32, -18])),
        (ElementType::I64, bytes_of(&[7i64, -9]), bytes_of(&[14i64, -18])),
    ];
    for engine in engines() {
        for (element_type, input, expected) in &cases {
            let mut session = engine.load(&doubling(*element_type), OPTIONS).unwrap();
            let x = tensor(*element_type, &[1, 2], input);
            let (_, y) = session.run(&[("x", &x)]).unwrap().remove(0);
            assert_eq!(y, tensor(*element_type, &[1, 2], expected), "{}", engine.name());
        }
    }
}

#[test]
fn truth_values_positions_and_bytes_keep_their_types() {
    // is_less = x < z, position = the largest of x, same = bytes.
    let position = NodeProto {
        attribute: vec![int("axis", 1), int("keepdims", 0)],
        ..node("ArgMax", &["x"], &["position"])
    };
    let nodes = vec![
        node("Less", &["x", "z"], &["is_less"]),
        position,
        node("Identity", &["b"], &["same"]),
    ];
    let inputs = ["x", "z"].map(|name| value(name, ElementType::F32, &[1, 2]));
    let inputs = [inputs.to_vec(), vec![value("b", ElementType::U8, &[2])]].concat();
    let outputs = vec![
        value("is_less", ElementType::Bool, &[1, 2]),
        value("position", ElementType::I64, &[1]),
        value("same", ElementType::U8, &[2]),
    ];
    let onnx = model(nodes, vec![], inputs, outputs);
    let x = Tensor::from_f32(vec![1, 2], &[1.0, 5.0]).unwrap();
    let z = Tensor::from_f32(vec![1, 2], &[2.0, 2.0]).unwrap();
    let b = tensor(ElementType::U8, &[2], &[0, 255]);
    for engine in engines() {
        let mut session = engine.load(&onnx, OPTIONS).unwrap();
        let found = session.run(&[("b", &b), ("z", &z), ("x", &x)]).unwrap();
        let expected = [
            ("is_less".to_owned(), tensor(ElementType::Bool, &[1, 2], &[1, 0])),
            ("position".to_owned(), tensor(ElementType::I64, &[1], &1i64.to_le_bytes())),
            ("same".to_owned(), b.clone()),
        ];
        assert_eq!(found, expected, "{}", engine.name());
    }
}

#[test]
fn unaligned_bytes_are_accepted() {
    let message = Bytes::from([&[0xff][..], &bytes_of(&[1.5f32, -2.0])].concat());
    let x = Tensor::new(ElementType::F32, vec![1, 2], message.slice(1..)).unwrap();
    for engine in engines() {
        let mut session = engine.load(&doubling(ElementType::F32), OPTIONS).unwrap();
        let (_, y) = session.run(&[("x", &x)]).unwrap().remove(0);
        assert_eq!(y.to_f32().unwrap(), [3.0, -4.0], "{}", engine.name());
    }
}

#[test]
fn rten_refuses_integers_that_it_cannot_hold() {
    let mut session = Rten::new().load(&doubling(ElementType::I64), OPTIONS).unwrap();
    let x = tensor(ElementType::I64, &[1, 2], &bytes_of(&[1i64 << 31, 0]));
    let error = session.run(&[("x", &x)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert_eq!(
        error.to_string(),
        "input \"x\": value 2147483648 does not fit the 32 bits that rten computes with"
    );
    assert!(error.advice().unwrap().contains("cutpoint engine install"));
}

fn integer_convolution(pads: &[i64]) -> Vec<u8> {
    let weights = TensorProto {
        name: Some("w".into()),
        dims: vec![1, 1, 3, 3],
        data_type: Some(ElementType::U8.onnx_number()),
        raw_data: Some(vec![1; 9].into()),
        ..Default::default()
    };
    let convolution = NodeProto {
        name: Some("conv".into()),
        attribute: vec![ints("kernel_shape", &[3, 3]), ints("pads", pads)],
        ..node("ConvInteger", &["x", "w"], &["y"])
    };
    let x = value("x", ElementType::U8, &[1, 1, 4, 4]);
    let y = value("y", ElementType::I32, &[1, 1, 0, 0]);
    model(vec![convolution], vec![weights], vec![x], vec![y])
}

#[test]
fn rten_refuses_padded_integer_convolutions_only() {
    let error = refused(Rten::new().load(&integer_convolution(&[1, 1, 1, 1]), OPTIONS));
    assert_eq!(error.kind(), ErrorKind::Engine);
    let message = "node \"conv\": rten gives wrong results for ConvInteger with padding";
    assert_eq!(error.to_string(), message);
    assert!(error.advice().unwrap().contains("cutpoint engine install"));
    let x = tensor(ElementType::U8, &[1, 1, 4, 4], &[2; 16]);
    for engine in engines() {
        let mut session = engine.load(&integer_convolution(&[0; 4]), OPTIONS).unwrap();
        let (_, y) = session.run(&[("x", &x)]).unwrap().remove(0);
        let expected = tensor(ElementType::I32, &[1, 1, 2, 2], &bytes_of(&[18i32; 4]));
        assert_eq!(y, expected, "{}", engine.name());
    }
}

#[test]
fn unknown_operators_are_refused() {
    let (x, y) = (value("x", ElementType::F32, &[2]), value("y", ElementType::F32, &[2]));
    let onnx = model(vec![node("Frobnicate", &["x"], &["y"])], vec![], vec![x], vec![y]);
    for engine in engines() {
        let error = refused(engine.load(&onnx, OPTIONS));
        assert_eq!(error.kind(), ErrorKind::Engine, "{}", engine.name());
        assert!(error.to_string().contains("Frobnicate"), "{error}");
    }
    let error = refused(Rten::new().load(&onnx, OPTIONS));
    assert!(error.advice().unwrap().contains("cutpoint engine install"));
}

#[test]
fn files_that_are_not_models_are_refused() {
    let outside = TensorProto {
        name: Some("w".into()),
        dims: vec![2],
        data_type: Some(1),
        data_location: Some(1),
        ..Default::default()
    };
    let y = || vec![value("y", ElementType::F32, &[2])];
    let nodes = || vec![node("Identity", &["w"], &["y"])];
    let sequence = ValueInfoProto {
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::SequenceType(Box::default())),
            denotation: None,
        }),
        ..value("s", ElementType::F32, &[])
    };
    let cases = [
        (b"\xff\xff".to_vec(), "not an ONNX model: failed to decode"),
        (vec![], "not an ONNX model: it holds no graph"),
        (model(nodes(), vec![outside], vec![], y()), "the weights of \"w\" lie in another file"),
        (model(nodes(), vec![], vec![sequence], y()), "inputs and outputs: \"s\" is not a tensor"),
    ];
    for engine in engines() {
        for (onnx, message) in &cases {
            let error = refused(engine.load(onnx, OPTIONS));
            assert_eq!(error.kind(), ErrorKind::Model, "{}", engine.name());
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}

#[test]
fn a_damaged_model_never_panics() {
    let onnx = integer_convolution(&[0; 4]);
    let rten = Rten::new();
    let x = tensor(ElementType::U8, &[1, 1, 4, 4], &[2; 16]);
    for at in 0..onnx.len() {
        let cut_short = rten.load(&onnx[..at], OPTIONS);
        let mut changed = onnx.clone();
        changed[at] ^= 0x55;
        for mut session in [cut_short, rten.load(&changed, OPTIONS)].into_iter().flatten() {
            if let Err(error) = session.run(&[("x", &x)]) {
                assert!(matches!(error.kind(), ErrorKind::Engine | ErrorKind::Input), "{error}");
            }
        }
    }
}

fn bytes_of<T: bytemuck::Pod>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}
