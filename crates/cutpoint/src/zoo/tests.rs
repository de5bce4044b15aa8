use super::Network;
use crate::engine::Engine;
use crate::engine::EngineOptions;
use crate::engine::rten::Rten;
use crate::onnx::{OnnxModel, ReadOptions};
use crate::tensor::Tensor;
use std::num::NonZeroUsize;

/// Weights and biases as published for networks without batch normalisation. With it, the two
/// numbers for each channel that it learns are one here: the bias of the convolution before. Our
/// own networks have no published number.
fn parameters(network: Network) -> Option<u64> {
    Some(match network {
        Network::AlexNet => 61_100_840,
        Network::Vgg16 => 138_357_544,
        Network::ResNet18 => 11_689_512 - 4_800,
        Network::MobileNetV2 => 3_504_872 - 17_056,
        Network::GoogLeNet => 6_998_552,
        Network::SqueezeNet => 1_235_496,
        Network::FourCamera | Network::MultiHead | Network::FpnDetector => return None,
    })
}

fn load(network: Network, seed: u64) -> OnnxModel {
    OnnxModel::from_bytes(network.to_onnx(seed).into(), network.name(), &ReadOptions::default())
        .unwrap()
}

fn threads() -> EngineOptions {
    EngineOptions { threads: NonZeroUsize::new(2).unwrap() }
}

fn check(network: Network) {
    let model = load(network, 1);
    let stored = model.stored_elements(|name| name.ends_with("weight") || name.ends_with("bias"));
    assert_eq!(stored, parameters(network).unwrap_or(stored));
    let mut session = Rten::new().load(&model.to_onnx().unwrap(), threads()).unwrap();
    let mut outputs = |inputs: &[(String, Tensor)]| -> Vec<Vec<f32>> {
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (&**n, t)).collect();
        let made = session.run(&inputs).unwrap();
        made.iter().map(|(_, tensor)| tensor.to_f32().unwrap()).collect()
    };
    let inputs: Vec<(String, Tensor)> = model.synthetic_inputs(1).into_iter().collect();
    let others: Vec<(String, Tensor)> = model.synthetic_inputs(2).into_iter().collect();
    let before = outputs(&inputs);
    for changed in 0..inputs.len() {
        let mut inputs = inputs.clone();
        inputs[changed] = others[changed].clone();
        let name = &inputs[changed].0;
        for (a, b) in before.iter().zip(&outputs(&inputs)) {
            assert!(a.iter().chain(b).all(|v| v.is_finite()));
            let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let change = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            println!("{network}: {change} of {largest} for another {name}");
            assert!(largest > 0.05 && largest < 100.0, "largest output {largest}");
            assert!(change > 0.02 * largest, "two of {name}: {change} of {largest}");
        }
    }
}

fn output_shapes(network: Network) -> Vec<(String, Vec<usize>)> {
    let model = load(network, 1).into_layers(&Rten::new()).unwrap();
    let graph = model.layers();
    graph.outputs.iter().map(|name| (name.clone(), graph.tensors[name].shape.clone())).collect()
}

#[test]
fn alexnet_has_its_parameters_and_answers_to_its_input() {
    check(Network::AlexNet);
}

#[test]
fn vgg16_has_its_parameters_and_answers_to_its_input() {
    check(Network::Vgg16);
}

#[test]
fn resnet18_has_its_parameters_and_answers_to_its_input() {
    check(Network::ResNet18);
}

#[test]
fn mobilenet_v2_has_its_parameters_and_answers_to_its_input() {
    check(Network::MobileNetV2);
}

#[test]
fn googlenet_has_its_parameters_and_answers_to_its_input() {
    check(Network::GoogLeNet);
}

#[test]
fn squeezenet_has_its_parameters_and_answers_to_its_input() {
    check(Network::SqueezeNet);
}

#[test]
fn four_camera_answers_to_each_camera() {
    check(Network::FourCamera);
    assert_eq!(output_shapes(Network::FourCamera), [("logits".to_owned(), vec![1, 1000])]);
}

#[test]
fn multi_head_answers_with_each_head() {
    check(Network::MultiHead);
    let expected = [("objects", 1000), ("pose", 34), ("attributes", 128)];
    assert_eq!(
        output_shapes(Network::MultiHead),
        expected.map(|(n, l)| (n.to_owned(), vec![1, l]))
    );
}

#[test]
fn fpn_detector_answers_on_every_scale() {
    check(Network::FpnDetector);
    let places = 32 * 32 + 16 * 16 + 8 * 8;
    let expected = [("scores", 20 * places), ("boxes", 4 * places)];
    assert_eq!(
        output_shapes(Network::FpnDetector),
        expected.map(|(n, l)| (n.to_owned(), vec![1, l]))
    );
}

#[test]
fn a_seed_decides_the_bytes() {
    let of = |seed| Network::SqueezeNet.to_onnx(seed);
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}

#[test]
fn names_are_read_back() {
    for network in Network::ALL {
        assert_eq!(network.name().parse(), Ok(network));
    }
    assert_eq!("VGG-16".parse(), Ok(Network::Vgg16));
    let error = "lenet".parse::<Network>().unwrap_err();
    assert!(error.contains("alexnet"), "{error}");
}
