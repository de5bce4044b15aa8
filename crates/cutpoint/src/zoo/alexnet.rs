//! AlexNet in one tower.

use super::builder::{Builder, Conv, Then, Value};

pub(super) fn build(b: &mut Builder, data: &Value) -> Value {
    let mut x = b.conv("conv1", data, Conv::new(64, 11).stride(4).pad(2), Then::Relu);
    x = b.max_pool("pool1", &x, [3, 2], [0; 4]);
    x = b.conv("conv2", &x, Conv::new(192, 5).pad(2), Then::Relu);
    x = b.max_pool("pool2", &x, [3, 2], [0; 4]);
    x = b.conv("conv3", &x, Conv::new(384, 3).pad(1), Then::Relu);
    x = b.conv("conv4", &x, Conv::new(256, 3).pad(1), Then::Relu);
    x = b.conv("conv5", &x, Conv::new(256, 3).pad(1), Then::Relu);
    x = b.max_pool("pool5", &x, [3, 2], [0; 4]);
    x = b.flatten("flatten", &x, 6 * 6);
    x = b.dense("fc6", &x, 4096, Then::Relu);
    x = b.dense("fc7", &x, 4096, Then::Relu);
    b.classifier("fc8", &x)
}
