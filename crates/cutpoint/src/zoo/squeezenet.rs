//! SqueezeNet of version 1.1.

use super::builder::{Builder, Conv, Then, Value};

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = b.conv("conv1", data, Conv::new(64, 3).stride(2), Then::Relu);
    x = b.max_pool("pool1", &x, [3, 2], [0; 4]);
    x = fire(b, "fire2", &x, 16, 64);
    x = fire(b, "fire3", &x, 16, 64);
    x = b.max_pool("pool3", &x, [3, 2], [0; 4]);
    x = fire(b, "fire4", &x, 32, 128);
    x = fire(b, "fire5", &x, 32, 128);
    x = b.max_pool("pool5", &x, [3, 2], [0; 4]);
    x = fire(b, "fire6", &x, 48, 192);
    x = fire(b, "fire7", &x, 48, 192);
    x = fire(b, "fire8", &x, 64, 256);
    x = fire(b, "fire9", &x, 64, 256);
    x = b.conv("conv10", &x, Conv::new(1000, 1), Then::Relu);
    b.global_average("", &x)
}

fn fire(b: &mut Builder, name: &str, x: &Value, squeezed: usize, expanded: usize) -> Value {
    let s = b.conv(&format!("{name}.squeeze"), x, Conv::new(squeezed, 1), Then::Relu);
    let one = b.conv(&format!("{name}.expand1x1"), &s, Conv::new(expanded, 1), Then::Relu);
    let three = b.conv(&format!("{name}.expand3x3"), &s, Conv::new(expanded, 3).pad(1), Then::Relu);
    b.concat(&format!("{name}.concat"), &[one, three])
}
