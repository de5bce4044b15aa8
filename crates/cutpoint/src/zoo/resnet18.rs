//! ResNet with 18 layers of weights.

use super::builder::{Builder, Conv, Then, Value};

const STAGES: [usize; 4] = [64, 128, 256, 512];
const BLOCKS_PER_STAGE: usize = 2;

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = b.conv("conv1", data, Conv::new(64, 7).stride(2).pad(3), Then::Relu);
    x = b.max_pool("pool1", &x, [3, 2], [1; 4]);
    for (stage, channels) in (1..).zip(STAGES) {
        for block in 1..=BLOCKS_PER_STAGE {
            let stride = if stage > 1 && block == 1 { 2 } else { 1 };
            x = basic_block(b, &format!("stage{stage}.block{block}"), &x, channels, stride);
        }
    }
    x = b.global_average("", &x);
    b.classifier("fc", &x)
}

fn basic_block(b: &mut Builder, name: &str, x: &Value, channels: usize, stride: usize) -> Value {
    let first = Conv::new(channels, 3).stride(stride).pad(1);
    let y = b.conv(&format!("{name}.conv1"), x, first, Then::Relu);
    let y = b.conv(&format!("{name}.conv2"), &y, Conv::new(channels, 3).pad(1), Then::Nothing);
    let shortcut = if stride == 1 {
        x.clone()
    } else {
        let project = Conv::new(channels, 1).stride(stride);
        b.conv(&format!("{name}.shortcut"), x, project, Then::Nothing)
    };
    let sum = b.add(&format!("{name}.add"), &y, &shortcut);
    b.relu(name, &sum)
}
