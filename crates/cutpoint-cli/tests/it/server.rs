//! Server and client over real sockets on loopback.

mod faults;
mod inference;
mod protocol;
mod security;

use bytes::Bytes;
use cutpoint::engine::rten::Rten;
use cutpoint::engine::{Engine, EngineOptions};
use cutpoint::link::{
    Client, ConnectOptions, InferRequest, StreamReceiver, StreamReply, Suffix, Waited,
};
use cutpoint::onnx::{LayeredModel, OnnxModel, ReadOptions};
use cutpoint::server::{Security, ServedModel, Server, ServerOptions};
use cutpoint::tensor::Tensor;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// `x` [1, 8], two branches `left_out` and `right_out` [1, 6], `y` [1, 3].
const FORK: &[u8] = include_bytes!("../../../../testdata/models/fork.onnx");

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const ENGINE_OPTIONS: EngineOptions = EngineOptions { threads: ONE };

fn fork() -> LayeredModel {
    let model = OnnxModel::from_bytes(Bytes::from_static(FORK), "fork", &ReadOptions::default());
    model.unwrap().into_layers(&Rten::new()).unwrap()
}

fn options(executors: usize) -> ServerOptions {
    ServerOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        executors: NonZeroUsize::new(executors).unwrap(),
        engine: Arc::new(Rten::new()),
        engine_options: ENGINE_OPTIONS,
        security: Security::default(),
        message_bytes_max: None,
    }
}

fn start(options: ServerOptions) -> Server {
    Server::start(options, vec![ServedModel { name: "fork".into(), model: fork() }]).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect(&server.address().to_string(), ConnectOptions::default()).unwrap()
}

/// Input number `seed`.
fn input(seed: usize) -> Tensor {
    let values: Vec<f32> = (0..8).map(|i| ((seed * 8 + i) as f32 * 0.37).sin()).collect();
    Tensor::from_f32(vec![1, 8], &values).unwrap()
}

/// What a model computes here, without a server.
fn run_here(onnx: &[u8], inputs: &[(&str, &Tensor)]) -> Vec<(String, Tensor)> {
    Rten::new().load(onnx, ENGINE_OPTIONS).unwrap().run(inputs).unwrap()
}

fn expected(seed: usize) -> Tensor {
    run_here(FORK, &[("x", &input(seed))]).remove(0).1
}

fn request(id: usize) -> InferRequest {
    InferRequest {
        model: "fork".into(),
        id: id.to_string(),
        part: None,
        tensors: vec![("x".into(), input(id).into())],
    }
}

/// The suffix behind both branches.
fn suffix_of(model: &LayeredModel) -> Suffix {
    let names = model.layers().layers.iter();
    let writes = |tensors: &[String]| {
        tensors.iter().any(|tensor| tensor == "left_out" || tensor == "right_out")
    };
    Suffix {
        source_sha256: model.model().sha256().to_owned(),
        device_layers: names.filter(|l| writes(&l.writes)).map(|l| l.name.clone()).collect(),
        shapes: [("x".to_owned(), vec![1, 8])].into(),
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// The next reply, if one comes.
fn next_reply(receiver: &mut StreamReceiver) -> Option<StreamReply> {
    match receiver.recv_timeout(PATIENCE).unwrap() {
        Waited::Reply(reply) => Some(reply),
        Waited::Nothing | Waited::Ended => None,
    }
}
