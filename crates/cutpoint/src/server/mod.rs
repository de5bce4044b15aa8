//! The server: models behind the Open Inference Protocol, version 2, over gRPC.
//!
//! ```text
//! connections ─► gate ─► inference, own, health ─► jobs, assembly ─► queue ─► executors
//!              (token)    (one network thread)                              (compute threads)
//! ```
//!
//! Any client of the protocol can use it. Cutpoint's device adds three things: jobs whose tensors
//! come in several messages, suffixes that the server cuts from its own copy of a model, and
//! measurements. docs/wire.md has the details.

mod assembly;
mod cutpoint_service;
mod executors;
mod gate;
mod health_service;
mod inference_service;
mod jobs;
mod loading;
mod repository;
mod status;
mod stopping;
mod streams;

pub use repository::ServedModel;

use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    CONNECTION_CALLS_MAX, CONNECTION_WINDOW_BYTES, KEEP_ALIVE_TIMEOUT, MESSAGE_BYTES_MAX,
    MODELS_MAX, STREAM_WINDOW_BYTES,
};
use executors::Executors;
use gate::{Gate, Services};
use repository::{Candidate, Origin, Repository};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use stopping::{stop_signal, stopped};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// How long a stopping server waits for its clients.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How many models are loaded or split at the same time.
const BLOCKING_THREADS_MAX: usize = 4;

/// How a server is set up.
pub struct ServerOptions {
    /// Where it listens; port 0 for any that is free.
    pub listen: SocketAddr,
    /// How many jobs are computed at the same time. Every one needs a session of every model.
    pub executors: NonZeroUsize,
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// How it computes one job.
    pub engine_options: EngineOptions,
    /// Who may connect.
    pub security: Security,
    /// The longest message that is read; `None` for the limit of the protocol.
    pub message_bytes_max: Option<usize>,
}

impl ServerOptions {
    /// A server for programs on this machine: any free port of loopback, one job at a time on one
    /// thread.
    pub fn local(engine: Arc<dyn Engine>) -> ServerOptions {
        ServerOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            executors: NonZeroUsize::MIN,
            engine,
            engine_options: EngineOptions { threads: NonZeroUsize::MIN },
            security: Security::default(),
            message_bytes_max: None,
        }
    }
}

/// Who may connect, and whether others can read along.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Encrypts connections.
    pub tls: Option<TlsIdentity>,
    /// What a client must present.
    pub token: Option<String>,
    /// Allows an address beyond loopback without encryption and token.
    pub is_open: bool,
}

/// A server's certificate and key.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The certificate chain in PEM.
    pub certificate_pem: Vec<u8>,
    /// The private key in PEM.
    pub key_pem: Vec<u8>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity")
    }
}

/// A running server. For plain threads: starting and stopping block, and panic within an
/// asynchronous runtime.
pub struct Server {
    address: SocketAddr,
    executors: Arc<Executors>,
    stopping: watch::Sender<bool>,
    service: Option<JoinHandle<Result<(), tonic::transport::Error>>>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Server {
    /// Loads the models, then listens.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if an address beyond loopback lacks encryption or a token, or two
    /// models have one name; [`ErrorKind::Network`] if the address cannot be listened on; as
    /// [`Engine::load`] if a model cannot be loaded.
    pub fn start(options: ServerOptions, models: Vec<ServedModel>) -> Result<Server> {
        check_security(&options)?;
        if models.len() > MODELS_MAX {
            let message = format!("{} models, at most {MODELS_MAX} can be served", models.len());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let repository =
            Repository::new(options.engine.clone(), options.engine_options, options.executors);
        for model in models {
            serve_model(&repository, model)?;
        }
        let executors = Arc::new(Executors::start(options.executors)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("cutpoint-serve")
            .enable_all()
            .build();
        let network = |message: String| Error::new(ErrorKind::Network, message);
        let runtime = runtime
            .map_err(|e| network("the network threads cannot be started".into()).because(e))?;
        let (stopping, watched) = watch::channel(false);
        let services = Services {
            repository: Arc::new(repository),
            executors: executors.clone(),
            message_bytes_max: options.message_bytes_max.unwrap_or(MESSAGE_BYTES_MAX),
            stopping: watched.clone(),
        };
        let gate = Gate::new(services, options.security.token.as_deref());
        let (address, service) = {
            let _context = runtime.enter();
            listen(&options, gate, watched)?
        };
        let service = Some(runtime.spawn(service));
        log::info!("listening on {address}");
        Ok(Server { address, executors, stopping, service, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for Ctrl-C or a request to terminate.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if signals cannot be waited for, or the server has ended.
    pub fn wait_for_signal(&mut self) -> Result<()> {
        let error = |e: std::io::Error| {
            Error::new(ErrorKind::Network, "signals cannot be waited for").because(e)
        };
        let service = self.service.as_mut();
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the server");
        runtime.block_on(async {
            let ended = async {
                match service {
                    Some(service) => service.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                signal = stop_signal() => signal.map_err(error),
                _ = ended => Err(Error::new(ErrorKind::Network, "the server has ended")),
            }
        })
    }

    /// Lets no more jobs in, finishes those that are being computed, sends their replies, and
    /// ends. Waits no longer than a few seconds for clients.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        // Fails only if nobody listens to it.
        let _ = self.stopping.send(true);
        self.executors.stop();
        let Some(runtime) = self.runtime.take() else { return };
        if let Some(service) = self.service.take() {
            let ended = async { tokio::time::timeout(STOP_TIMEOUT, service).await };
            if runtime.block_on(ended).is_err() {
                log::warn!("some clients were still connected after {STOP_TIMEOUT:?}");
            }
        }
        runtime.shutdown_background();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn check_security(options: &ServerOptions) -> Result<()> {
    let security = &options.security;
    let is_safe = security.tls.is_some() && security.token.is_some();
    if options.listen.ip().is_loopback() || is_safe || security.is_open {
        return Ok(());
    }
    let message =
        format!("{} can be reached from other machines, without TLS and a token", options.listen);
    Err(Error::new(ErrorKind::Usage, message).hint(
        "give --tls-cert, --tls-key and --token-file, or --insecure if the network is trusted",
    ))
}

fn serve_model(repository: &Repository, served: ServedModel) -> Result<()> {
    let ServedModel { name, model } = served;
    crate::wire::check_name(&name)?;
    if repository.find(&name).is_some() {
        return Err(Error::new(ErrorKind::Usage, format!("two models are named {name:?}"))
            .hint("rename one of the files"));
    }
    let onnx = bytes::Bytes::from(model.model().to_onnx()?);
    let sha256 = model.model().sha256().to_owned();
    let candidate = Candidate {
        name,
        content: format!("given {sha256}"),
        sha256,
        origin: Origin::Given(Arc::new(model)),
        onnx,
    };
    repository.insert(candidate)
}

/// Binds the address; returns it and what serves it. Needs to be called within a runtime.
fn listen(
    options: &ServerOptions,
    gate: Gate,
    mut stopping: watch::Receiver<bool>,
) -> Result<(SocketAddr, impl Future<Output = Result<(), tonic::transport::Error>> + use<>)> {
    let at = |e: std::io::Error| {
        let message = format!("cannot listen: {e}");
        Error::new(ErrorKind::Network, message)
            .at(options.listen)
            .hint("is another server running there? port 0 takes any that is free")
            .because(e)
    };
    let listener = TcpIncoming::bind(options.listen).map_err(at)?;
    let address = listener.local_addr().map_err(at)?;
    let listener = listener.with_nodelay(Some(true));
    let mut server = tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CONNECTION_CALLS_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT));
    if let Some(tls) = &options.security.tls {
        let identity = Identity::from_pem(&tls.certificate_pem, &tls.key_pem);
        let unusable = |e| {
            Error::new(ErrorKind::Usage, "the certificate or its key cannot be used").because(e)
        };
        server = server.tls_config(ServerTlsConfig::new().identity(identity)).map_err(unusable)?;
    }
    let stop = async move { stopped(&mut stopping).await };
    Ok((address, server.serve_with_incoming_shutdown(gate, listener, stop)))
}
