//! Frames that arrive one after the other, shared with a server.
//!
//! ```text
//! cargo run --release -p cutpoint --example stream -- [PERIOD_MS [HOST:PORT]]
//! ```
//!
//! Without an address it starts a server of its own on loopback.

use cutpoint::engine::rten::Rten;
use cutpoint::server::{Server, ServerOptions};
use cutpoint::session::Replay;
use cutpoint::zoo::Network;
use cutpoint::{Cancel, Model, Policy, Session, SessionOptions};
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::units::Time;
use std::sync::Arc;

const FRAMES: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let period_ms = arguments.first().map_or(Ok(40.0), |text| text.parse())?;
    let period = Time::from_milliseconds(period_ms).ok_or("the period is not a time")?;
    let own = match arguments.get(1) {
        Some(_) => None,
        None => Some(Server::start(ServerOptions::local(Arc::new(Rten::new())), vec![])?),
    };
    let own_address = own.as_ref().map(|server| server.address().to_string());
    let server = arguments.get(1).cloned().or(own_address);

    let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    let frames: Vec<_> = (0..FRAMES as u64).map(|seed| model.synthetic_inputs(seed)).collect();
    let session =
        Session::open(vec![model], SessionOptions { server, ..SessionOptions::default() })?;
    let profile = session.profile()?;
    let jobs = [("squeezenet", FRAMES)];
    let options = PlanOptions::default();
    let stream = session.plan_stream(&profile, &jobs, Policy::Joint, &options, Some(period))?;
    let models = vec![stream.workload.jobs()[0]; FRAMES];
    let mut arrivals = Replay::new(period, &models, &frames);
    let execution =
        session.run_stream(&stream, &mut arrivals, &Cancel::new(), |job, outputs| {
            println!("frame {}: {} outputs", job.0, outputs.len());
        })?;
    print!("{}", stream.summary(&execution).render());
    Ok(())
}
