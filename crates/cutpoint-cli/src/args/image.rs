//! The arguments that say how pictures become tensors.

use cutpoint::frames::{FrameOptions, ImageLayout, ImageOptions};

/// Flattened into every subcommand that reads frames.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// Subtracted from each channel of a picture, after scaling to 0..1.
    #[arg(long, value_name = "R,G,B", default_value = "0,0,0", value_parser = parse_channels)]
    image_mean: [f32; 3],

    /// Each channel of a picture is divided by this.
    #[arg(long, value_name = "R,G,B", default_value = "1,1,1", value_parser = parse_deviations)]
    image_std: [f32; 3],

    /// The order of a picture's axes, where the input's shape does not tell: nchw or nhwc.
    #[arg(long, value_name = "LAYOUT")]
    image_layout: Option<ImageLayout>,
}

impl ImageArgs {
    /// How frames are loaded.
    pub(crate) fn options(&self) -> FrameOptions {
        let (layout, mean, std) = (self.image_layout, self.image_mean, self.image_std);
        FrameOptions { image: ImageOptions { layout, mean, std } }
    }
}

/// One finite number for each channel.
fn parse_channels(text: &str) -> Result<[f32; 3], String> {
    let values: Option<Vec<f32>> =
        text.split(',').map(|v| v.trim().parse().ok().filter(|v: &f32| v.is_finite())).collect();
    let three = values.and_then(|values| values.try_into().ok());
    three.ok_or_else(|| "expected three numbers, as in 0.485,0.456,0.406".to_owned())
}

fn parse_deviations(text: &str) -> Result<[f32; 3], String> {
    let is_usable = |values: &[f32; 3]| values.iter().all(|&v| v > 0.0);
    parse_channels(text).and_then(|v| {
        if is_usable(&v) { Ok(v) } else { Err("expected numbers above 0".to_owned()) }
    })
}
