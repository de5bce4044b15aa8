//! One job on this device: load a model, measure it, run it.
//!
//! ```text
//! cargo run --release -p cutpoint --example one_job -- [MODEL.onnx [INPUT.npy|INPUT.jpg]]
//! ```
//!
//! Without a model it takes SqueezeNet from the zoo; without an input it makes one.

use cutpoint::input::ImageOptions;
use cutpoint::zoo::Network;
use cutpoint::{Model, Policy, Session, SessionOptions};

fn main() -> cutpoint::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let model = match arguments.first() {
        Some(path) => Model::load(path)?,
        None => Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?,
    };
    let input = match arguments.get(1) {
        Some(path) => model.load_input(path, &ImageOptions::default())?,
        None => model.synthetic_inputs(1),
    };
    let name = model.name().to_owned();
    let session = Session::open(vec![model], SessionOptions::default())?;
    let planned = session.profile()?.plan(&[(&name, 1)], Policy::LocalOnly)?;
    println!("{:?} predicted on {}", planned.makespan(), session.engine_name());
    let outcome = session.run(&planned, &[input][..])?;
    println!("{} measured", outcome.execution.makespan);
    for (output, tensor) in &outcome.into_outputs()?[0] {
        println!("{output}: {:?}", tensor.shape());
    }
    Ok(())
}
