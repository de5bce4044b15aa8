use super::*;
use crate::error::ErrorKind;
use proptest::prelude::*;

fn request(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>) -> ModelInferRequest {
    ModelInferRequest { inputs, raw_input_contents: raw, ..Default::default() }
}

fn input(datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: "x".into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

fn refusal(request: ModelInferRequest) -> String {
    let error = input_tensors(request).expect_err("should be refused");
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

#[test]
fn raw_contents_are_shared_not_copied() {
    let tensor = Tensor::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let form = Form::Raw(tensor);
    let (description, bytes) = raw_input("x", &form);
    let address = bytes.as_ptr();
    let (tensors, contents) = input_tensors(request(vec![description], vec![bytes])).unwrap();
    assert_eq!((contents, &tensors[0]), (ContentsForm::Raw, &("x".to_owned(), form)));
    assert_eq!(tensors[0].1.bytes().as_ptr(), address);
}

#[test]
fn a_shape_is_refused_before_anything_is_allocated_for_it() {
    for (shape, reason) in [
        (vec![-1, 2], "negative"),
        (vec![i64::MAX, i64::MAX, i64::MAX], "more than"),
        (vec![1 << 40, 0], "more than"),
        (vec![1; 17], "dimensions"),
        (vec![1 << 29], "more than"),
    ] {
        let message = refusal(request(vec![input("FP32", &shape)], vec![Bytes::new()]));
        assert!(message.contains(reason), "{shape:?}: {message}");
        let message = refusal(request(vec![input("FP32", &shape)], vec![]));
        assert!(message.contains(reason), "{shape:?}: {message}");
    }
}

#[test]
fn raw_and_typed_contents_do_not_mix() {
    let mut both = input("FP32", &[1]);
    both.contents = Some(InferTensorContents { fp32_contents: vec![1.0], ..Default::default() });
    let four = Bytes::from_static(&[0; 4]);
    assert!(refusal(request(vec![both], vec![four.clone()])).contains("both raw and typed"));
    let two =
        vec![input("FP32", &[1]), InferInputTensor { name: "y".into(), ..input("FP32", &[1]) }];
    assert!(refusal(request(two, vec![four])).contains("1 raw contents for 2 tensors"));
}

#[test]
fn encoded_tensors_are_not_encoded_again() {
    let tensor = Tensor::from_f32(vec![1, 3], &[0.0, 0.5, 1.0]).unwrap();
    let encoded = crate::encoding::Encoder::new().unwrap().encode(Encoding::U8_ZSTD, &tensor);
    let form = Form::Encoded(encoded.unwrap());
    let (description, bytes) = raw_input("x", &form);
    assert_eq!((description.datatype.as_str(), description.shape.len()), ("UINT8", 1));
    assert_eq!(find_text(&description.parameters, "cutpoint_encoding"), Ok(Some("u8+zstd")));
    let (tensors, _) =
        input_tensors(request(vec![description.clone()], vec![bytes.clone()])).unwrap();
    assert_eq!(tensors, [("x".to_owned(), form)]);

    let with = |change: &dyn Fn(&mut InferInputTensor)| {
        let mut changed = description.clone();
        change(&mut changed);
        refusal(request(vec![changed], vec![bytes.clone()]))
    };
    let named = |name: &'static str| {
        move |t: &mut InferInputTensor| {
            t.parameters.insert(names::ENCODING.to_owned(), text(name));
        }
    };
    let message = with(&named("u4"));
    assert!(
        message.contains("tensor `x`: unknown encoding `u4`, expected one of zstd,"),
        "{message}"
    );
    assert!(with(&named("f16")).contains("asks for"));
    let number = |t: &mut InferInputTensor| {
        t.parameters.insert(names::ENCODING.to_owned(), super::super::parameters::number(1));
    };
    assert!(with(&number).contains("is not text"));
    let square = |t: &mut InferInputTensor| t.shape.insert(0, 1);
    assert!(with(&square).contains("raw UINT8 of one dimension"));
}

#[test]
fn tensors_that_do_not_match_the_description_are_refused() {
    let four = || vec![Bytes::from_static(&[0; 4])];
    assert!(refusal(request(vec![input("FP32", &[2])], four())).contains("has 8 bytes, found 4"));
    assert!(refusal(request(vec![input("BYTES", &[1])], four())).contains("none of"));
    let twice = vec![input("FP32", &[1]), input("FP32", &[1])];
    let raw = vec![Bytes::from_static(&[0; 4]); 2];
    assert!(refusal(request(twice, raw)).contains("given twice"));
    let nameless = InferInputTensor { name: String::new(), ..input("FP32", &[1]) };
    assert!(refusal(request(vec![nameless], four())).contains("name is empty"));
    let mut wide = input("INT8", &[1]);
    wide.contents = Some(InferTensorContents { int_contents: vec![128], ..Default::default() });
    assert!(refusal(request(vec![wide], vec![])).contains("does not fit in 8 bits"));
    let mut short = input("INT64", &[3]);
    short.contents = Some(InferTensorContents { int64_contents: vec![1], ..Default::default() });
    assert!(refusal(request(vec![short], vec![])).contains("has 1 elements"));
    let half = input("FP16", &[0]);
    assert!(refusal(request(vec![half], vec![])).contains("only as raw"));
}

proptest! {
    #[test]
    fn typed_contents_come_back_as_they_were(
        type_index in 0..ElementType::all().count(),
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let element_type = ElementType::all().nth(type_index).unwrap();
        let mut bytes = bytes;
        bytes.truncate(bytes.len() / element_type.size() * element_type.size());
        if element_type == ElementType::Bool {
            bytes.iter_mut().for_each(|b| *b &= 1);
        }
        let shape = vec![bytes.len() / element_type.size()];
        let tensor = Tensor::new(element_type, shape, bytes.into()).unwrap();
        let Some(output) = typed_output("x", &tensor) else {
            prop_assert_eq!(element_type, ElementType::F16);
            return Ok(());
        };
        let reply = ModelInferResponse { outputs: vec![output], ..Default::default() };
        let found = output_tensors(reply).unwrap();
        prop_assert_eq!(found, vec![("x".to_owned(), tensor)]);
    }

    #[test]
    fn no_message_panics(
        datatype in prop_oneof!["[A-Z0-9]{0,6}", Just("FP32".to_owned()), Just("INT8".to_owned())],
        shape in proptest::collection::vec(any::<i64>(), 0..4),
        small in proptest::collection::vec(0i64..4, 0..4),
        raw in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..3),
        floats in proptest::collection::vec(any::<f32>(), 0..8),
    ) {
        for shape in [&shape, &small] {
            let mut tensor = input(&datatype, shape);
            tensor.contents =
                Some(InferTensorContents { fp32_contents: floats.clone(), ..Default::default() });
            let raw = raw.iter().cloned().map(Bytes::from).collect();
            let _ = input_tensors(request(vec![tensor], raw));
        }
    }
}
