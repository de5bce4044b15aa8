//! A batch of jobs on a device and a server, until done or Ctrl-C.
//!
//! ```text
//! cargo run --release -p cutpoint --example batch -- [MODEL.onnx [HOST:PORT [JOBS]]]
//! ```
//!
//! Without a model it takes SqueezeNet from the zoo; without an address it starts a server of its
//! own on loopback.

use cutpoint::engine::rten::Rten;
use cutpoint::server::{Server, ServerOptions};
use cutpoint::zoo::Network;
use cutpoint::{JobOutcome, Model, Policy, Running, Session, SessionOptions};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let model = match arguments.first() {
        Some(path) => Model::load(path)?,
        None => Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?,
    };
    let own = match arguments.get(1) {
        Some(_) => None,
        None => Some(Server::start(ServerOptions::local(Arc::new(Rten::new())), vec![])?),
    };
    let own_address = own.as_ref().map(|server| server.address().to_string());
    let server = arguments.get(1).cloned().or(own_address);
    let jobs: u64 = arguments.get(2).map_or(Ok(20), |text| text.parse())?;

    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(batch(model, server, jobs))?;
    // A server is for plain threads: it is stopped outside the runtime.
    if let Some(server) = own {
        server.stop();
    }
    Ok(())
}

async fn batch(model: Model, server: Option<String>, jobs: u64) -> cutpoint::Result<()> {
    let name = model.name().to_owned();
    let frames: Vec<_> = (0..jobs).map(|seed| model.synthetic_inputs(seed)).collect();
    let options = SessionOptions { server, ..SessionOptions::default() };
    let session = Session::open_async(vec![model], options).await?;
    let profile = session.profile_async().await?;

    for policy in [Policy::LocalOnly, Policy::Joint] {
        let planned = profile.plan(&[(&name, frames.len())], policy)?;
        let offloaded = planned.offloaded();
        println!("{policy}: {:?} predicted, {offloaded} jobs use the server", planned.makespan());
        let outcome = until_interrupted(session.run_async(&planned, frames.clone())).await?;
        println!("{policy}: {} measured", outcome.execution.makespan);
        for (number, job) in outcome.jobs.iter().enumerate() {
            match job {
                JobOutcome::Done(_) => {}
                JobOutcome::Failed(cause) => println!("job {number} failed: {cause}"),
                JobOutcome::Cancelled => println!("job {number} was not done"),
            }
        }
        if outcome.execution.is_cancelled {
            break;
        }
    }
    Ok(())
}

/// The result of work, which Ctrl-C cancels.
async fn until_interrupted<T>(mut work: Running<T>) -> cutpoint::Result<T> {
    tokio::select! {
        result = &mut work => return result,
        _ = tokio::signal::ctrl_c() => work.cancel(),
    }
    work.await
}
