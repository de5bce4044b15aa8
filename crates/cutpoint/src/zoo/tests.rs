use super::Network;
use crate::engine::Engine;
use crate::engine::EngineOptions;
use crate::engine::rten::Rten;
use crate::onnx::{Model, ReadOptions};
use crate::tensor::Tensor;
use std::num::NonZeroUsize;

/// Weights and biases as published for networks without batch normalisation. With it, the two
/// numbers for each channel that it learns are one here: the bias of the convolution before.
fn parameters(network: Network) -> u64 {
    match network {
        Network::AlexNet => 61_100_840,
        Network::Vgg16 => 138_357_544,
        Network::ResNet18 => 11_689_512 - 4_800,
        Network::MobileNetV2 => 3_504_872 - 17_056,
        Network::GoogLeNet => 6_998_552,
        Network::SqueezeNet => 1_235_496,
    }
}

fn load(network: Network, seed: u64) -> Model {
    Model::from_bytes(network.to_onnx(seed).into(), network.name(), &ReadOptions::default())
        .unwrap()
}

fn threads() -> EngineOptions {
    EngineOptions { threads: NonZeroUsize::new(2).unwrap() }
}

fn check(network: Network) {
    let model = load(network, 1);
    let stored = model.stored_elements(|name| name.ends_with("weight") || name.ends_with("bias"));
    assert_eq!(stored, parameters(network));
    let mut session = Rten::new().load(&model.to_onnx().unwrap(), threads()).unwrap();
    let mut logits = |seed| {
        let inputs = model.synthetic_inputs(seed);
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (&**n, t)).collect();
        let outputs = session.run(&inputs).unwrap();
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].1.shape(), [1, 1000]);
        outputs[0].1.to_f32().unwrap()
    };
    let (a, b) = (logits(1), logits(2));
    assert!(a.iter().chain(&b).all(|v| v.is_finite()));
    let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let change = a.iter().zip(&b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    println!("{network}: {change} of {largest}");
    assert!(largest > 0.1 && largest < 100.0, "largest logit {largest}");
    assert!(change > 0.02 * largest, "two inputs: {change} of {largest}");
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
