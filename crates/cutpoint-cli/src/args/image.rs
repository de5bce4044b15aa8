//! Arguments that say how images become tensors.

use super::values;
use cutpoint::config::ImageConfig;
use cutpoint::input::ImageLayout;

/// Flattened into every subcommand that reads frames.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// Subtracted from each channel of an image, after scaling to 0..1.
    #[arg(long, value_name = "R,G,B", default_value = "0,0,0", value_parser = values::channels)]
    image_mean: [f32; 3],

    /// Each channel of an image is divided by this.
    #[arg(long, value_name = "R,G,B", default_value = "1,1,1", value_parser = values::deviations)]
    image_std: [f32; 3],

    /// The order of an image's axes, if the input's shape leaves it open: nchw or nhwc.
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
