//! Well-known convolutional networks, built from their published architectures, so that everything
//! can be tried without a download.
//!
//! They are **untrained**: weights and biases are drawn from a seeded generator, spread evenly with
//! He's variance, so that activations neither vanish nor grow much from layer to layer and the
//! outputs depend on the input. What they compute is meaningless; what it costs is not. Batch
//! normalisation is folded into the convolution before it, as every inference engine does first, and
//! dropout is left out. The published ones have input `data` `[1, 3, 224, 224]` and output `logits`
//! `[1, 1000]`.
//!
//! Three more are ours, in the shape of networks whose branches can be sent while others compute:
//! four cameras joined late (inputs `front`, `left`, `right`, `rear` `[1, 3, 192, 192]`, output
//! `logits` `[1, 1000]`), three heads on one trunk (outputs `objects` `[1, 1000]`, `pose` `[1, 34]`,
//! `attributes` `[1, 128]`), and a detector on a feature pyramid (input `data` `[1, 3, 256, 256]`,
//! outputs `scores` `[1, 26880]` and `boxes` `[1, 5376]`).
//!
//! The bytes of a model are the same for the same seed.

mod alexnet;
mod builder;
mod four_camera;
mod fpn_detector;
mod googlenet;
mod mobilenet_v2;
mod multi_head;
mod resnet18;
mod squeezenet;
#[cfg(test)]
#[cfg(feature = "rten")]
mod tests;
mod vgg16;

use builder::{Builder, Value};
use std::fmt;
use std::str::FromStr;

/// A network of the zoo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Krizhevsky 2014 (arXiv 1404.5997): one tower, without local response normalisation.
    AlexNet,
    /// Simonyan and Zisserman 2014 (arXiv 1409.1556), configuration D.
    Vgg16,
    /// He and others 2015 (arXiv 1512.03385), 18 layers.
    ResNet18,
    /// Sandler and others 2018 (arXiv 1801.04381), width 1.
    MobileNetV2,
    /// Szegedy and others 2014 (arXiv 1409.4842), without local response normalisation and without
    /// the classifiers that are used in training only.
    GoogLeNet,
    /// Iandola and others 2016 (arXiv 1602.07360), version 1.1.
    SqueezeNet,
    /// A chain of convolutions for each of four cameras, fused late.
    FourCamera,
    /// A trunk with three heads.
    MultiHead,
    /// A light backbone, a feature pyramid of three scales, and a heavy head on each.
    FpnDetector,
}

impl Network {
    /// All networks: the published ones by year, then our own.
    pub const ALL: [Network; 9] = [
        Network::AlexNet,
        Network::Vgg16,
        Network::GoogLeNet,
        Network::ResNet18,
        Network::SqueezeNet,
        Network::MobileNetV2,
        Network::FourCamera,
        Network::MultiHead,
        Network::FpnDetector,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Network::AlexNet => "alexnet",
            Network::Vgg16 => "vgg16",
            Network::ResNet18 => "resnet18",
            Network::MobileNetV2 => "mobilenet-v2",
            Network::GoogLeNet => "googlenet",
            Network::SqueezeNet => "squeezenet",
            Network::FourCamera => "four-camera",
            Network::MultiHead => "multi-head",
            Network::FpnDetector => "fpn-detector",
        }
    }

    /// The bytes of an ONNX file.
    pub fn to_onnx(self, seed: u64) -> Vec<u8> {
        let mut builder = Builder::new(self.name(), seed);
        let outputs = match self {
            Network::AlexNet => classifier(&mut builder, alexnet::build),
            Network::Vgg16 => classifier(&mut builder, vgg16::build),
            Network::ResNet18 => classifier(&mut builder, resnet18::build),
            Network::MobileNetV2 => classifier(&mut builder, mobilenet_v2::build),
            Network::GoogLeNet => classifier(&mut builder, googlenet::build),
            Network::SqueezeNet => classifier(&mut builder, squeezenet::build),
            Network::FourCamera => four_camera::build(&mut builder),
            Network::MultiHead => multi_head::build(&mut builder),
            Network::FpnDetector => fpn_detector::build(&mut builder),
        };
        builder.finish(&outputs)
    }
}

/// A network of one input and one output.
fn classifier(
    builder: &mut Builder,
    build: fn(&mut Builder, &Value) -> Value,
) -> Vec<(&'static str, Value)> {
    let data = builder.input("data", 3, 224);
    vec![("logits", build(builder, &data))]
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Network {
    type Err = String;

    /// Case, hyphens and underscores do not matter.
    fn from_str(text: &str) -> Result<Network, String> {
        let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
        Network::ALL.into_iter().find(|n| plain(n.name()) == plain(text)).ok_or_else(|| {
            let known: Vec<_> = Network::ALL.iter().map(|n| n.name()).collect();
            format!("no network {text:?}; expected one of {}", known.join(", "))
        })
    }
}
