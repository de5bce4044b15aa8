//! Cuts of the zoo: every one of the lighter networks on small images, a sample of the heavy ones.

use super::small::*;
use crate::engine::rten::Rten;
use crate::onnx::{LayeredModel, OnnxModel, ReadOptions};
use crate::zoo::Network;

fn network(network: Network, size: usize) -> LayeredModel {
    layered(network, [("data".to_owned(), vec![1, 3, size, size])].into())
}

fn layered(
    network: Network,
    shapes: std::collections::BTreeMap<String, Vec<usize>>,
) -> LayeredModel {
    let bytes = network.to_onnx(1).into();
    let model = OnnxModel::from_bytes(bytes, network.name(), &ReadOptions { shapes }).unwrap();
    model.into_layers(&Rten::new()).unwrap()
}

#[test]
fn every_cut_of_resnet18() {
    let layered = network(Network::ResNet18, 64);
    assert_eq!(layered.layers().layers.len(), 23);
    assert_eq!(check_boundaries(&layered, |_| true), 22);
}

#[test]
fn every_cut_of_mobilenet_v2() {
    let layered = network(Network::MobileNetV2, 64);
    assert_eq!(layered.layers().layers.len(), 54);
    assert_eq!(check_boundaries(&layered, |_| true), 53);
}

#[test]
fn every_cut_of_googlenet() {
    let layered = network(Network::GoogLeNet, 64);
    assert_eq!(layered.layers().layers.len(), 81);
    assert_eq!(check_boundaries(&layered, |_| true), 80);
}

#[test]
fn every_cut_of_squeezenet() {
    let layered = network(Network::SqueezeNet, 64);
    assert_eq!(layered.layers().layers.len(), 38);
    assert_eq!(check_boundaries(&layered, |_| true), 37);
}

#[test]
fn cuts_of_googlenet_at_full_size() {
    let layered = network(Network::GoogLeNet, 224);
    assert_eq!(check_boundaries(&layered, |layers| layers % 20 == 5), 4);
}

#[test]
fn cuts_of_alexnet() {
    let layered = network(Network::AlexNet, 224);
    assert_eq!(layered.layers().layers.len(), 11);
    assert_eq!(check_boundaries(&layered, |layers| layers == 3 || layers == 9), 2);
}

#[test]
fn a_cut_of_vgg16() {
    let layered = network(Network::Vgg16, 224);
    assert_eq!(layered.layers().layers.len(), 21);
    assert_eq!(check_boundaries(&layered, |layers| layers == 10), 1);
}

#[test]
fn every_cut_of_four_camera() {
    let small = |camera: &str| (camera.to_owned(), vec![1, 3, 64, 64]);
    let layered =
        layered(Network::FourCamera, ["front", "left", "right", "rear"].map(small).into());
    assert_eq!(layered.layers().layers.len(), 39);
    assert_eq!(check_boundaries(&layered, |_| true), 38);
}

#[test]
fn every_cut_of_multi_head() {
    let layered = network(Network::MultiHead, 64);
    assert_eq!(layered.layers().layers.len(), 34);
    assert_eq!(check_boundaries(&layered, |_| true), 33);
}

#[test]
fn cuts_of_fpn_detector() {
    let layered = network(Network::FpnDetector, 256);
    assert_eq!(layered.layers().layers.len(), 45);
    assert_eq!(check_boundaries(&layered, |layers| layers % 6 == 5), 7);
}
