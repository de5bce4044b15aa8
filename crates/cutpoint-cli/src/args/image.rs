//! Arguments that say how images become tensors.

use cutpoint::config::ImageConfig;
use cutpoint::input::ImageLayout;

/// Flattened into every subcommand that reads frames.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// Subtracted from each channel of an image, after scaling to 0..1.
    #[arg(long, value_name = "R,G,B", default_value = "0,0,0", value_parser = parse_channels)]
    image_mean: [f32; 3],

    /// Each channel of an image is divided by this.
    #[arg(long, value_name = "R,G,B", default_value = "1,1,1", value_parser = parse_deviations)]
    image_std: [f32; 3],

    /// The order of an image's axes, where the input's shape does not tell: nchw or nhwc.
    #[arg(long, value_name = "LAYOUT")]
    image_layout: Option<ImageLayout>,
}

impl ImageArgs {
    /// The same as part of a configuration.
    pub(crate) fn config(&self) -> ImageConfig {
        let (layout, mean, std) = (self.image_layout, self.image_mean, self.image_std);
        ImageConfig { size: None, mean, std, layout }
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
    let values = parse_channels(text)?;
    let is_valid = values.iter().all(|&v| v > 0.0);
    is_valid.then_some(values).ok_or_else(|| "expected numbers above 0".to_owned())
}
