//! Four cameras around a vehicle: a chain of convolutions for each, joined late. An in-tree.

use super::builder::{Builder, Value};

/// The inputs, and what the names of each camera's layers begin with.
const CAMERAS: [&str; 4] = ["front", "left", "right", "rear"];

/// Width and height of each input.
const SIZE: usize = 192;

/// Channels, kernel and stride of the convolutions of each camera. The last one makes the tensor
/// small that a server may fuse.
const TRUNK: [[usize; 3]; 8] = [
    [32, 5, 2],
    [64, 3, 2],
    [64, 3, 1],
    [128, 3, 2],
    [128, 3, 1],
    [192, 3, 2],
    [192, 3, 1],
    [96, 1, 1],
];

/// The same of those behind the join.
const FUSION: [[usize; 3]; 4] = [[512, 3, 1]; 4];

pub(super) fn build(b: &mut Builder) -> Vec<(&'static str, Value)> {
    let views: Vec<Value> = CAMERAS.iter().map(|camera| trunk(b, camera)).collect();
    let mut x = b.concat("join", &views);
    x = b.convs("fusion", &x, &FUSION);
    x = b.global_average("", &x);
    vec![("logits", b.classifier("fc", &x))]
}

fn trunk(b: &mut Builder, camera: &str) -> Value {
    let view = b.input(camera, 3, SIZE);
    b.convs(&format!("{camera}.conv"), &view, &TRUNK)
}
