//! A one-stage detector on a feature pyramid: a light backbone, a neck that joins its three scales
//! from the coarsest down (Lin and others 2017, arXiv 1612.03144), and a heavy head on each scale.

use super::builder::{Builder, Conv, Then, Value};

const SIZE: usize = 256;

/// Channels and number of convolutions of each stage; its first one halves width and height.
const STAGES: [(usize, usize); 5] = [(16, 1), (32, 2), (64, 4), (128, 7), (256, 4)];

/// The first stage whose result the neck reads.
const PYRAMID_FROM: usize = 2;

/// Channels of the pyramid.
const PYRAMID: usize = 32;

/// Channels, kernel and stride of the head's convolutions.
const TOWER: [[usize; 3]; 4] = [[224, 3, 1]; 4];

/// Of each place on each scale: class scores and box sides.
const SCORES: usize = 20;
const SIDES: usize = 4;

pub(super) fn build(b: &mut Builder) -> Vec<(&'static str, Value)> {
    let mut x = b.input("data", 3, SIZE);
    let mut laterals = Vec::new();
    for (stage, (channels, count)) in STAGES.into_iter().enumerate() {
        for number in 1..=count {
            let kernel = if stage == 0 { 5 } else { 3 };
            let stride = if number == 1 { 2 } else { 1 };
            let conv = Conv::new(channels, kernel).stride(stride).pad(kernel / 2);
            x = b.conv(&format!("stage{}.conv{number}", stage + 1), &x, conv, Then::Relu);
        }
        if stage >= PYRAMID_FROM {
            let name = format!("lateral{}", stage + 1);
            laterals.push((stage + 1, b.conv(&name, &x, Conv::new(PYRAMID, 1), Then::Relu)));
        }
    }
    let (mut scores, mut boxes) = (Vec::new(), Vec::new());
    let mut above: Option<Value> = None;
    while let Some((stage, lateral)) = laterals.pop() {
        let joined = match above {
            None => lateral,
            Some(coarse) => {
                let fine = b.double(&format!("up{stage}"), &coarse);
                b.add(&format!("join{stage}"), &lateral, &fine)
            }
        };
        let (s, sides) = head(b, stage, &joined);
        scores.push(s);
        boxes.push(sides);
        above = Some(joined);
    }
    vec![("scores", b.concat("scores", &scores)), ("boxes", b.concat("boxes", &boxes))]
}

/// Scores and boxes of one scale, each in a row.
fn head(b: &mut Builder, stage: usize, joined: &Value) -> (Value, Value) {
    let x = b.convs(&format!("head{stage}.conv"), joined, &TOWER);
    let side = SIZE >> stage;
    let mut row = |what: &str, channels: usize| {
        let name = format!("head{stage}.{what}");
        let map = b.conv(&name, &x, Conv::new(channels, 3).pad(1), Then::Nothing);
        b.flatten(&format!("{name}.flatten"), &map, side * side)
    };
    (row("scores", SCORES), row("boxes", SIDES))
}
