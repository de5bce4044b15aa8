//! MobileNet of version 2, width 1.

use super::builder::{Builder, Conv, Then, Value};

/// Expansion, channels, repeats, stride of the first repeat.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = b.conv("conv1", data, Conv::new(32, 3).stride(2).pad(1), Then::Relu6);
    for (stage, [expansion, channels, repeats, stride]) in (1..).zip(STAGES) {
        for block in 1..=repeats {
            let stride = if block == 1 { stride } else { 1 };
            let name = format!("stage{stage}.block{block}");
            x = inverted_residual(b, &name, &x, expansion, channels, stride);
        }
    }
    x = b.conv("conv2", &x, Conv::new(1280, 1), Then::Relu6);
    x = b.global_average("", &x);
    b.classifier("fc", &x)
}

fn inverted_residual(
    b: &mut Builder,
    name: &str,
    x: &Value,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Value {
    let wide = x.channels * expansion;
    let mut y = x.clone();
    if expansion > 1 {
        y = b.conv(&format!("{name}.expand"), &y, Conv::new(wide, 1), Then::Relu6);
    }
    let depthwise = Conv::new(wide, 3).stride(stride).pad(1).depthwise();
    y = b.conv(&format!("{name}.depthwise"), &y, depthwise, Then::Relu6);
    y = b.conv(&format!("{name}.project"), &y, Conv::new(channels, 1), Then::Nothing);
    if stride == 1 && x.channels == channels {
        y = b.add(&format!("{name}.add"), x, &y);
    }
    y
}
