//! GoogLeNet.

use super::builder::{Builder, Conv, Then, Value};

/// Channels of an inception module: 1x1; reduction and 3x3; reduction and 5x5; after the pooling.
type Inception = (&'static str, [usize; 6]);

const STAGES: [&[Inception]; 3] = [
    &[("3a", [64, 96, 128, 16, 32, 32]), ("3b", [128, 128, 192, 32, 96, 64])],
    &[
        ("4a", [192, 96, 208, 16, 48, 64]),
        ("4b", [160, 112, 224, 24, 64, 64]),
        ("4c", [128, 128, 256, 24, 64, 64]),
        ("4d", [112, 144, 288, 32, 64, 64]),
        ("4e", [256, 160, 320, 32, 128, 128]),
    ],
    &[("5a", [256, 160, 320, 32, 128, 128]), ("5b", [384, 192, 384, 48, 128, 128])],
];

/// The poolings round sizes up; at even sizes that is one row and column of padding at the end.
const ROUND_UP: [usize; 4] = [0, 0, 1, 1];

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = b.conv("conv1", data, Conv::new(64, 7).stride(2).pad(3), Then::Relu);
    x = b.max_pool("pool1", &x, [3, 2], ROUND_UP);
    x = b.conv("conv2_reduce", &x, Conv::new(64, 1), Then::Relu);
    x = b.conv("conv2", &x, Conv::new(192, 3).pad(1), Then::Relu);
    for (number, modules) in (2..).zip(STAGES) {
        x = b.max_pool(&format!("pool{number}"), &x, [3, 2], ROUND_UP);
        for (name, channels) in modules {
            x = inception(b, &format!("inception_{name}"), &x, *channels);
        }
    }
    x = b.global_average("", &x);
    b.classifier("fc", &x)
}

fn inception(b: &mut Builder, name: &str, x: &Value, channels: [usize; 6]) -> Value {
    let [one, reduce3, three, reduce5, five, pooled] = channels;
    let a = b.conv(&format!("{name}.1x1"), x, Conv::new(one, 1), Then::Relu);
    let y = b.conv(&format!("{name}.3x3_reduce"), x, Conv::new(reduce3, 1), Then::Relu);
    let y = b.conv(&format!("{name}.3x3"), &y, Conv::new(three, 3).pad(1), Then::Relu);
    let z = b.conv(&format!("{name}.5x5_reduce"), x, Conv::new(reduce5, 1), Then::Relu);
    let z = b.conv(&format!("{name}.5x5"), &z, Conv::new(five, 5).pad(2), Then::Relu);
    let p = b.max_pool(&format!("{name}.pool"), x, [3, 1], [1; 4]);
    let p = b.conv(&format!("{name}.pool_proj"), &p, Conv::new(pooled, 1), Then::Relu);
    b.concat(&format!("{name}.concat"), &[a, y, z, p])
}
