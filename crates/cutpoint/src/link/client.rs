//! The client: one server, its calls, and the connections that they share.

use super::connect::{Calls, Peer};
use super::messages::{
    DecodeMeasurement, HeldModel, Hello, InferReply, InferRequest, Suffix, infer_message,
    infer_reply,
};
use super::options::ConnectOptions;
use super::socket::Meter;
use crate::bandwidth::window::Acknowledgement;
use crate::encoding::{Encoded, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::profile::{ModelProfile, ProfileOptions};
use crate::wire::cutpoint::{self as own, cutpoint_client::CutpointClient};
use crate::wire::inference::{self, grpc_inference_service_client::GrpcInferenceServiceClient};
use crate::wire::parameters::{names, repository_bytes, repository_text};
use crate::wire::{self, RepositoryParameters};
use bytes::Bytes;
use cutpoint_plan::units::Bandwidth;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// A connection to a server. Clones share it. For plain threads: its calls block, and panic inside
/// an asynchronous runtime.
#[derive(Clone)]
pub struct Client {
    pub(super) core: Arc<Core>,
}

pub(super) struct Core {
    pub(super) peer: Arc<Peer>,
    channel: Channel,
    /// `None` only while the client is dropped.
    runtime: Option<Runtime>,
}

impl Core {
    pub(super) fn runtime(&self) -> &Runtime {
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
    /// Connects to the server at `address`, HOST:PORT, and checks that it speaks the protocol.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if it cannot be reached, [`ErrorKind::Protocol`] if it does not speak
    /// the protocol or refuses the token, [`ErrorKind::Usage`] if the address or an option is
    /// invalid.
    pub fn connect(address: &str, options: ConnectOptions) -> Result<Client> {
        let peer = Arc::new(Peer::new(address, options)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cutpoint-link")
            .enable_all()
            .build()
            .map_err(|e| peer.network("the network threads cannot be started").because(e))?;
        let (channel, meter) = runtime.block_on(peer.open(None))?;
        let client = Client { core: Arc::new(Core { peer, channel, runtime: Some(runtime) }) };
        client.greet(&meter)?;
        Ok(client)
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.core.peer.address
    }

    /// Changes the bandwidth limit on the uplink, for all connections of this client.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the client was made without a limit, or the new limit is too slow
    /// for the pacer.
    pub fn set_uplink_limit(&self, limit: Bandwidth) -> Result<()> {
        self.core.peer.set_uplink_limit(limit)
    }

    /// Limits the bytes that streams have in flight to what fills this link until it is
    /// acknowledged, so that replies do not queue behind them.
    pub fn expect_link(&self, uplink: Bandwidth, acknowledgement: Acknowledgement) {
        self.core.peer.in_flight.expect(uplink, acknowledgement);
    }

    fn greet(&self, meter: &Meter) -> Result<()> {
        let peer = &self.core.peer;
        let patience = peer.options.connect_timeout;
        let mut calls = peer.inference(self.core.channel.clone());
        let call = calls.server_live(inference::ServerLiveRequest {});
        // The timer is made inside, where it finds the runtime.
        let live = async { tokio::time::timeout(patience, call).await };
        match self.core.runtime().block_on(live) {
            Err(_) => Err(peer
                .network(format!("accepts connections, but does not answer within {patience:?}"))
                .hint("is this the port of another program?")),
            Ok(Err(status)) => Err(peer.failed(&status, Some(&meter.greeting()))),
            Ok(Ok(reply)) if !reply.get_ref().live => Err(peer.network("says that it is not live")),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// The server's greeting; `None` if it is not Cutpoint's own.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if it speaks another version; otherwise as for every call.
    pub fn hello(&self) -> Result<Option<Hello>> {
        let request = own::HelloRequest {
            protocol: wire::PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let reply = self.call_unless(Code::Unimplemented, self.own().hello(request))?;
        let Some(reply) = reply else { return Ok(None) };
        if reply.protocol != wire::PROTOCOL {
            let (theirs, ours) = (reply.protocol, wire::PROTOCOL);
            let message = format!("speaks version {theirs} of the protocol, this side {ours}");
            let error = self.core.peer.protocol(message);
            return Err(error.hint("run the same version of Cutpoint on both sides"));
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
        let reply = self.call_unless(Code::NotFound, self.inference().model_ready(request))?;
        Ok(reply.is_some_and(|reply| reply.ready))
    }

    /// Has the server cut a suffix from a model that it holds, and load it as `name`. Does nothing
    /// if it already has that suffix under that name.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Protocol`] if the server lacks the model, or the layers are
    /// not a cut.
    pub fn load_suffix(&self, name: &str, suffix: &Suffix) -> Result<()> {
        let json = |value: serde_json::Result<String>| value.expect("names and numbers are JSON");
        let mut parameters = RepositoryParameters::new();
        let mut put = |name: &str, text: String| {
            parameters.insert(name.to_owned(), repository_text(text));
        };
        put(names::SOURCE, suffix.source_sha256.clone());
        put(names::CUT, json(serde_json::to_string(&suffix.device_layers)));
        put(names::SHAPES, json(serde_json::to_string(&suffix.shapes)));
        self.load(name, parameters)
    }

    /// Sends a model and has the server load it as `name`.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Usage`] if the file is longer than a message may be.
    pub fn push_model(&self, name: &str, onnx: Bytes) -> Result<()> {
        if onnx.len() >= MESSAGE_BYTES_MAX {
            let size = onnx.len();
            let message =
                format!("a model of {size} bytes, at most {MESSAGE_BYTES_MAX} can be sent");
            return Err(Error::new(ErrorKind::Usage, message)
                .hint("start the server with the model: cutpoint serve MODEL"));
        }
        let mut parameters = RepositoryParameters::new();
        // Generic servers need a configuration.
        let config = repository_text(r#"{"backend":"onnxruntime"}"#);
        parameters.insert(names::CONFIG.to_owned(), config);
        parameters.insert(names::FILE.to_owned(), repository_bytes(onnx));
        self.load(name, parameters)
    }

    fn load(&self, name: &str, parameters: RepositoryParameters) -> Result<()> {
        let request = inference::RepositoryModelLoadRequest {
            repository_name: String::new(),
            model_name: name.to_owned(),
            parameters,
        };
        let patience = self.core.peer.options.load_timeout;
        self.call(patience, self.inference().repository_model_load(request)).map(drop)
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
        let patience = self.core.peer.options.request_timeout;
        self.call(patience, self.inference().repository_model_unload(request)).map(drop)
    }

    /// Has the server measure a model's layers. The caller checks with [`ModelProfile::check`] that
    /// the profile belongs to its model.
    ///
    /// # Errors
    /// As for every call; [`ErrorKind::Protocol`] if the server is not Cutpoint's own, or does not
    /// answer with a profile.
    pub fn profile(&self, model: &str, how: &ProfileOptions) -> Result<ModelProfile> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let request = own::ProfileRequest {
            model: model.to_owned(),
            warm_up: count(how.warm_up),
            repeats: count(how.repeats),
            budget_ms: u64::try_from(how.budget.as_millis()).unwrap_or(u64::MAX),
        };
        let reply = self.call(self.core.peer.options.load_timeout, self.own().profile(request))?;
        serde_json::from_str(&reply.profile).map_err(|error| {
            self.core.peer.protocol(format!("its profile cannot be read: {error}")).because(error)
        })
    }

    /// Has the server measure how long a tensor takes to decode; `None` if it cannot, because it is
    /// not Cutpoint's own.
    ///
    /// # Errors
    /// As for every call.
    pub fn measure_decode(&self, encoded: &Encoded) -> Result<Option<DecodeMeasurement>> {
        let request = own::DecodeRequest {
            encoding: encoded.encoding().name().to_owned(),
            tensor: encoded.bytes().clone(),
            repeats: 0,
        };
        let reply = self.call_unless(Code::Unimplemented, self.own().decode(request))?;
        Ok(reply.map(|own::DecodeReply { nanoseconds, sha256 }| DecodeMeasurement {
            median: Duration::from_nanos(nanoseconds),
            sha256,
        }))
    }

    /// Has the server compute one job, and waits for the reply.
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
        let patience = self.core.peer.options.request_timeout;
        let reply = self.call(patience, self.inference().model_infer(infer_message(&request)))?;
        infer_reply(reply, Instant::now()).map_err(|e| e.at(format!("server {}", self.address())))
    }

    fn inference(&self) -> GrpcInferenceServiceClient<Calls> {
        self.core.peer.inference(self.core.channel.clone())
    }

    fn own(&self) -> CutpointClient<Calls> {
        self.core.peer.own(self.core.channel.clone())
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

    /// The answer; `None` if the server answers with this code.
    fn call_unless<T>(
        &self,
        code: Code,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Option<T>> {
        match self.wait(self.core.peer.options.request_timeout, call)? {
            Ok(reply) => Ok(Some(reply.into_inner())),
            Err(status) if status.code() == code => Ok(None),
            Err(status) => Err(self.core.peer.failed(&status, None)),
        }
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
