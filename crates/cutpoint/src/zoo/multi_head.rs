//! One trunk, and a head for each of three tasks that begins by making its own tensor small. An
//! out-tree.

use super::builder::{Builder, Then, Value};

/// The tasks and the length of each one's output.
const HEADS: [(&str, usize); 3] = [("objects", 1000), ("pose", 34), ("attributes", 128)];

/// Channels, kernel and stride of the trunk's convolutions.
const TRUNK: [[usize; 3]; 4] = [[32, 7, 2], [64, 3, 2], [64, 3, 1], [128, 3, 2]];

/// The same of each head.
const HEAD: [[usize; 3]; 8] = [
    [128, 3, 1],
    [128, 3, 2],
    [128, 3, 1],
    [128, 3, 1],
    [64, 1, 1],
    [384, 3, 1],
    [384, 3, 1],
    [384, 3, 1],
];

pub(super) fn build(b: &mut Builder) -> Vec<(&'static str, Value)> {
    let data = b.input("data", 3, 224);
    let shared = b.convs("trunk.conv", &data, &TRUNK);
    HEADS.iter().map(|&(task, length)| (task, head(b, task, &shared, length))).collect()
}

fn head(b: &mut Builder, task: &str, shared: &Value, length: usize) -> Value {
    let mut x = b.convs(&format!("{task}.conv"), shared, &HEAD);
    x = b.global_average(&format!("{task}."), &x);
    b.dense(&format!("{task}.fc"), &x, length, Then::Nothing)
}
