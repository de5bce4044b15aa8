//! The device's side of the link: a blocking client for plain threads, whose uplink can be held
//! to a bandwidth, and which measures the link that it has.
//!
//! A [`Client`] speaks the Open Inference Protocol, version 2, so the other side may be Cutpoint's
//! own server or another one. Each stream has a connection of its own, on which a tensor's first
//! and last byte can be told; all connections of a client share one uplink limit.

mod connect;
pub(crate) mod in_flight;
mod measure;
mod pacer;
mod pause;
mod probe;
mod socket;
mod stream;
mod warm_up;

pub use measure::{LinkMeasurement, MeasureOptions};
pub use probe::LinkProbe;
pub use stream::{Sent, StreamReceiver, StreamReply, StreamSender, Waited};

use crate::encoding::{Encoded, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::profile::{ModelProfile, ProfileOptions};
use crate::tensor::Tensor;
use crate::wire::inference::{self, grpc_inference_service_client::GrpcInferenceServiceClient};
use crate::wire::limits::MESSAGE_BYTES_MAX;
use crate::wire::own::{self, cutpoint_client::CutpointClient};
use crate::wire::parameters::{find_number, names, number, repository_bytes, repository_text};
use crate::wire::{self, RepositoryParameters};
use bytes::Bytes;
use connect::Peer;
use cutpoint_plan::units::Bandwidth;
pub use in_flight::Acknowledgement;
use socket::Meter;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// How to connect to a server.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Holds everything that this client sends to a bandwidth, headers included.
    pub uplink_limit: Option<Bandwidth>,
    /// How long a connection may take to be set up.
    pub connect_timeout: Duration,
    /// How long an answer may take, and how long sending may stand still.
    pub request_timeout: Duration,
    /// How long the server may take to load or profile a model.
    pub load_timeout: Duration,
    /// Encrypts the connection.
    pub tls: Option<Tls>,
    /// The token that the server asks for.
    pub token: Option<String>,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        ConnectOptions {
            uplink_limit: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(600),
            tls: None,
            token: None,
        }
    }
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates in PEM: the server's own, or the authority's that signed it.
    pub authority_pem: Vec<u8>,
    /// The name in the server's certificate, where it is not the host in the address.
    pub server_name: Option<String>,
}

/// What a Cutpoint server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The program's version.
    pub version: String,
    /// Name and version of the inference engine.
    pub engine: String,
    /// How many threads one executor may use.
    pub threads: u32,
    /// How many jobs the server computes at the same time.
    pub executors: u32,
    /// The models that it holds.
    pub models: Vec<HeldModel>,
}

/// A model that a server holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldModel {
    /// Its name in requests.
    pub name: String,
    /// SHA-256 of its ONNX file, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// The part of a model that the server shall compute, cut from its own copy of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// SHA-256 of the whole model's ONNX file, in lower-case hexadecimal digits.
    pub source_sha256: String,
    /// The layers that stay on the device.
    pub device_layers: Vec<String>,
    /// Shapes of inputs that the file leaves open.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// Some or all input tensors of a job, to be computed on the server.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// The model's name on the server.
    pub model: String,
    /// Comes back with the reply. On a stream no two unanswered jobs may share it.
    pub id: String,
    /// Which part of the job this is; `None` if it is all of it. Only Cutpoint's own server puts
    /// a job together from parts.
    pub part: Option<Part>,
    /// Input tensors by name. Only Cutpoint's own server reads encodings.
    pub tensors: Vec<(String, Form)>,
}

/// Which of a job's messages one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// What a server takes to bring a tensor back from its encoding, and what it brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeMeasurement {
    /// The median of some runs.
    pub median: Duration,
    /// SHA-256 of the tensor's bytes; empty if the server does not tell.
    pub sha256: String,
}

/// A computed job.
#[derive(Clone, Debug)]
pub struct InferReply {
    /// The request's.
    pub id: String,
    /// The model's outputs by name.
    pub outputs: Vec<(String, Tensor)>,
    /// How long the job waited on the server; zero if the server does not tell.
    pub queue: Duration,
    /// How long the computation took; zero if the server does not tell.
    pub compute: Duration,
    /// When the reply had arrived.
    pub received: Instant,
}

/// A connection to a server. Clones share it. For plain threads: its calls block, and panic
/// within an asynchronous runtime.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
}

struct Core {
    peer: Arc<Peer>,
    channel: Channel,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Core {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime lives as long as its owner")
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// Connects to the server at `address`, HOST:PORT, and makes sure that it speaks the protocol.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if it cannot be reached, [`ErrorKind::Protocol`] if what answers
    /// there is no such server or refuses the token, [`ErrorKind::Usage`] if the address or an
    /// option makes no sense.
    pub fn connect(address: &str, options: ConnectOptions) -> Result<Client> {
        let peer = Arc::new(Peer::new(address, options)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cutpoint-link")
            .enable_all()
            .build()
            .map_err(|e| peer.network("the network threads cannot be started").because(e))?;
        let (channel, meter) = runtime.block_on(peer.open())?;
        let client = Client { core: Arc::new(Core { peer, channel, runtime: Some(runtime) }) };
        client.greet(&meter)?;
        Ok(client)
    }

    /// The address that it is connected to.
    pub fn address(&self) -> &str {
        &self.core.peer.address
    }

    /// Holds the uplink to another bandwidth from now on, of all connections of this client.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the client was made without a limit, or the link would be too slow
    /// to be imitated.
    pub fn set_uplink_limit(&self, limit: Bandwidth) -> Result<()> {
        self.core.peer.set_uplink_limit(limit)
    }

    /// Streams have no more on their way from now on than fills a link like this until it is
    /// acknowledged, so that answers do not wait behind it.
    pub fn expect_link(&self, uplink: Bandwidth, acknowledgement: Acknowledgement) {
        self.core.peer.in_flight.expect(uplink, acknowledgement);
    }

    /// The bandwidth that the uplink was held to at first.
    pub fn uplink_limit(&self) -> Option<Bandwidth> {
        self.core.peer.options.uplink_limit
    }

    fn greet(&self, meter: &Meter) -> Result<()> {
        let peer = &self.core.peer;
        let request = peer.request(inference::ServerLiveRequest {});
        let patience = peer.options.connect_timeout;
        let mut inference = self.inference();
        // The timer is made inside, where it finds the runtime.
        let live = async { tokio::time::timeout(patience, inference.server_live(request)).await };
        match self.core.runtime().block_on(live) {
            Err(_) => Err(peer
                .network(format!("accepts connections, but does not answer within {patience:?}"))
                .hint("is this the port of another program?")),
            Ok(Err(status)) => Err(peer.failed(&status, Some(&meter.greeting()))),
            Ok(Ok(reply)) if !reply.get_ref().live => Err(peer.network("says that it is not live")),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// What the server says about itself; `None` if it is not Cutpoint's own.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if it speaks another version; otherwise as for every call.
    pub fn hello(&self) -> Result<Option<Hello>> {
        let request = own::HelloRequest {
            protocol: wire::PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let request = self.core.peer.request(request);
        let mut client = self.own();
        let reply = match self.wait(self.request_timeout(), client.hello(request))? {
            Ok(reply) => reply.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => return Err(self.core.peer.failed(&status, None)),
        };
        if reply.protocol != wire::PROTOCOL {
            let (theirs, ours) = (reply.protocol, wire::PROTOCOL);
            return Err(self
                .core
                .peer
                .protocol(format!("speaks version {theirs} of the protocol, this side {ours}"))
                .hint("run the same version of Cutpoint on both sides"));
        }
        let models = reply.models.into_iter();
        let models = models.map(|m| HeldModel { name: m.name, sha256: m.sha256 }).collect();
        Ok(Some(Hello {
            version: reply.version,
            engine: reply.engine,
            threads: reply.threads,
            executors: reply.executors,
            models,
        }))
    }

    /// Whether a model is loaded and ready.
    ///
    /// # Errors
    /// As for every call: [`ErrorKind::Network`] if the connection fails, [`ErrorKind::Protocol`]
    /// if the server answers with an error.
    pub fn model_ready(&self, model: &str) -> Result<bool> {
        let request =
            inference::ModelReadyRequest { name: model.to_owned(), version: String::new() };
        let request = self.core.peer.request(request);
        let mut client = self.inference();
        match self.wait(self.request_timeout(), client.model_ready(request))? {
            Ok(reply) => Ok(reply.into_inner().ready),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(self.core.peer.failed(&status, None)),
        }
    }

    /// Has the server cut a suffix from a model that it holds, and load it as `name`. Nothing
    /// happens if it has that suffix under that name already.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Protocol`] if the server lacks the model, or the layers are
    /// no cut.
    pub fn load_suffix(&self, name: &str, suffix: &Suffix) -> Result<()> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|e| Error::new(ErrorKind::Usage, "cannot be written as JSON").because(e))
        };
        let mut parameters = RepositoryParameters::new();
        let mut put = |name: &str, text: String| {
            parameters.insert(name.to_owned(), repository_text(text));
        };
        put(names::SOURCE, suffix.source_sha256.clone());
        put(names::CUT, json(serde_json::to_string(&suffix.device_layers))?);
        put(names::SHAPES, json(serde_json::to_string(&suffix.shapes))?);
        self.load(name, parameters)
    }

    /// Sends a model and has the server load it as `name`.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Usage`] if the file is longer than a message may be.
    pub fn push_model(&self, name: &str, onnx: Bytes) -> Result<()> {
        self.push_model_with_config(name, r#"{"backend":"onnxruntime"}"#, onnx)
    }

    /// Sends a model together with its configuration, as other servers want it, in JSON.
    ///
    /// # Errors
    /// As [`Client::push_model`].
    pub fn push_model_with_config(&self, name: &str, config: &str, onnx: Bytes) -> Result<()> {
        if onnx.len() >= MESSAGE_BYTES_MAX {
            let size = onnx.len();
            let message =
                format!("a model of {size} bytes, at most {MESSAGE_BYTES_MAX} can be sent");
            return Err(Error::new(ErrorKind::Usage, message)
                .hint("start the server with the model: cutpoint serve MODEL"));
        }
        let mut parameters = RepositoryParameters::new();
        parameters.insert(names::CONFIG.to_owned(), repository_text(config));
        parameters.insert(names::FILE.to_owned(), repository_bytes(onnx));
        self.load(name, parameters)
    }

    fn load(&self, name: &str, parameters: RepositoryParameters) -> Result<()> {
        let request = inference::RepositoryModelLoadRequest {
            repository_name: String::new(),
            model_name: name.to_owned(),
            parameters,
        };
        let request = self.core.peer.request(request);
        let mut client = self.inference();
        self.call(self.core.peer.options.load_timeout, client.repository_model_load(request))?;
        Ok(())
    }

    /// Has the server drop a model that was loaded by a call.
    ///
    /// # Errors
    /// As for every call.
    pub fn unload_model(&self, name: &str) -> Result<()> {
        let request = inference::RepositoryModelUnloadRequest {
            repository_name: String::new(),
            model_name: name.to_owned(),
            parameters: RepositoryParameters::new(),
        };
        let request = self.core.peer.request(request);
        let mut client = self.inference();
        self.call(self.request_timeout(), client.repository_model_unload(request))?;
        Ok(())
    }

    /// Has the server measure a model's layers. The caller checks that the profile is of the
    /// model that it has, with [`ModelProfile::check`].
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Protocol`] if the server is not Cutpoint's own, or answers
    /// with something else than a profile.
    pub fn profile(&self, model: &str, how: &ProfileOptions) -> Result<ModelProfile> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let request = own::ProfileRequest {
            model: model.to_owned(),
            warm_up: count(how.warm_up),
            repeats: count(how.repeats),
            budget_ms: u64::try_from(how.budget.as_millis()).unwrap_or(u64::MAX),
        };
        let request = self.core.peer.request(request);
        let mut client = self.own();
        let reply = self.call(self.core.peer.options.load_timeout, client.profile(request))?;
        serde_json::from_str(&reply.profile).map_err(|error| {
            self.core.peer.protocol(format!("its profile cannot be read: {error}")).because(error)
        })
    }

    /// Has the server measure how long it takes to bring a tensor back from its encoding; `None` if
    /// the server cannot, because it is not Cutpoint's own.
    ///
    /// # Errors
    /// As for every call.
    pub fn measure_decode(&self, encoded: &Encoded) -> Result<Option<DecodeMeasurement>> {
        let request = own::DecodeRequest {
            encoding: encoded.encoding().name().to_owned(),
            tensor: encoded.bytes().clone(),
            repeats: 0,
        };
        let request = self.core.peer.request(request);
        let mut client = self.own();
        match self.wait(self.request_timeout(), client.decode(request))? {
            Ok(reply) => {
                let own::DecodeReply { nanoseconds, sha256 } = reply.into_inner();
                let median = Duration::from_nanos(nanoseconds);
                Ok(Some(DecodeMeasurement { median, sha256 }))
            }
            Err(status) if status.code() == Code::Unimplemented => Ok(None),
            Err(status) => Err(self.core.peer.failed(&status, None)),
        }
    }

    /// Has the server compute one job, and waits for it.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Protocol`] if the job's tensors do not fit the model.
    pub fn infer(&self, model: &str, tensors: &[(String, Form)]) -> Result<InferReply> {
        let request = InferRequest {
            model: model.to_owned(),
            id: String::new(),
            part: None,
            tensors: tensors.to_vec(),
        };
        let message = self.core.peer.request(infer_message(&request));
        let mut client = self.inference();
        let reply = self.call(self.request_timeout(), client.model_infer(message))?;
        infer_reply(reply, Instant::now()).map_err(|e| e.at(format!("server {}", self.address())))
    }

    fn request_timeout(&self) -> Duration {
        self.core.peer.options.request_timeout
    }

    fn inference(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.core.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn own(&self) -> CutpointClient<Channel> {
        CutpointClient::new(self.core.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Waits for an answer, however it turns out.
    fn wait<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<Response<T>, Status>> {
        let answer = async { tokio::time::timeout(patience, call).await };
        self.core
            .runtime()
            .block_on(answer)
            .map_err(|_| self.core.peer.network(format!("no answer within {patience:?}")))
    }

    fn call<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        match self.wait(patience, call)? {
            Ok(reply) => Ok(reply.into_inner()),
            Err(status) => Err(self.core.peer.failed(&status, None)),
        }
    }
}

/// A request as a message.
fn infer_message(request: &InferRequest) -> inference::ModelInferRequest {
    let mut message = inference::ModelInferRequest {
        model_name: request.model.clone(),
        id: request.id.clone(),
        ..Default::default()
    };
    if let Some(part) = request.part {
        message.parameters.insert(names::PART.to_owned(), number(part.index.into()));
        message.parameters.insert(names::PARTS.to_owned(), number(part.count.into()));
    }
    for (name, form) in &request.tensors {
        let (description, bytes) = wire::raw_input(name, form);
        message.inputs.push(description);
        message.raw_input_contents.push(bytes);
    }
    message
}

/// A message as a reply.
fn infer_reply(reply: inference::ModelInferResponse, received: Instant) -> Result<InferReply> {
    let duration = |name| {
        let number = find_number(&reply.parameters, name).ok().flatten();
        Duration::from_nanos(number.unwrap_or(0))
    };
    let (queue, compute) = (duration(names::QUEUE_NS), duration(names::COMPUTE_NS));
    let id = reply.id.clone();
    let outputs = wire::output_tensors(reply).map_err(|error| {
        Error::new(ErrorKind::Protocol, "a reply breaks the protocol").because(error)
    })?;
    Ok(InferReply { id, outputs, queue, compute, received })
}
