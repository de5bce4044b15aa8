//! `cutpoint zoo`: well-known networks as ONNX files.

use crate::files::{print, write_whole};
use cutpoint::zoo::Network;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which network: alexnet, vgg16, googlenet, resnet18, squeezenet, mobilenet-v2, four-camera,
    /// multi-head or fpn-detector.
    #[arg(required_unless_present = "list")]
    network: Option<Network>,
    /// The file to write; - for standard output.
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
    /// The seed of the weights; the same seed gives the same file.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// List the networks and write nothing.
    #[arg(long, conflicts_with_all = ["network", "output"])]
    list: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    if let (Some(network), Some(output)) = (args.network, args.output) {
        write_whole(&output, &network.to_onnx(args.seed))?;
        log::info!("{network}, untrained, seed {}: {}", args.seed, output.display());
        return Ok(());
    }
    let names: String = Network::ALL.iter().map(|network| format!("{network}\n")).collect();
    Ok(print(&names)?)
}
