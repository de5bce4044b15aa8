//! VGG with 16 layers of weights.

use super::builder::{Builder, Conv, Then, Value};

/// Channels and number of convolutions of each block.
const BLOCKS: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = data.clone();
    for (block, (channels, count)) in (1..).zip(BLOCKS) {
        for number in 1..=count {
            let conv = Conv::new(channels, 3).pad(1);
            x = b.conv(&format!("conv{block}_{number}"), &x, conv, Then::Relu);
        }
        x = b.max_pool(&format!("pool{block}"), &x, [2, 2], [0; 4]);
    }
    x = b.flatten("flatten", &x, 7 * 7);
    x = b.dense("fc6", &x, 4096, Then::Relu);
    x = b.dense("fc7", &x, 4096, Then::Relu);
    b.classifier("fc8", &x)
}
