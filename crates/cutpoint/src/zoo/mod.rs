//! Well-known convolutional networks, built from their published architectures, so that everything
//! can be tried without a download.
//!
//! They are **untrained**: weights and biases are drawn from a seeded generator, spread evenly with
//! He's variance, so that activations neither vanish nor grow much from layer to layer and the
//! outputs depend on the input. What they compute is meaningless; what it costs is not. Batch
//! normalisation is folded into the convolution before it, as every inference engine does first, and
//! dropout is left out. Input `data` `[1, 3, 224, 224]`, output `logits` `[1, 1000]`.
//!
//! The bytes of a model are the same for the same seed.

mod alexnet;
mod builder;
mod googlenet;
mod mobilenet_v2;
mod resnet18;
mod squeezenet;
#[cfg(test)]
mod tests;
mod vgg16;

use builder::Builder;
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
}

impl Network {
    /// All networks, by the year of their publication.
    pub const ALL: [Network; 6] = [
        Network::AlexNet,
        Network::Vgg16,
        Network::GoogLeNet,
        Network::ResNet18,
        Network::SqueezeNet,
        Network::MobileNetV2,
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
        }
    }

    /// The bytes of an ONNX file.
    pub fn to_onnx(self, seed: u64) -> Vec<u8> {
        let mut builder = Builder::new(self.name(), seed);
        let input = builder.input(3, 224);
        let logits = match self {
            Network::AlexNet => alexnet::build(&mut builder, &input),
            Network::Vgg16 => vgg16::build(&mut builder, &input),
            Network::ResNet18 => resnet18::build(&mut builder, &input),
            Network::MobileNetV2 => mobilenet_v2::build(&mut builder, &input),
            Network::GoogLeNet => googlenet::build(&mut builder, &input),
            Network::SqueezeNet => squeezenet::build(&mut builder, &input),
        };
        builder.finish(&logits)
    }
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
