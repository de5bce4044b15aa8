//! One connection to a server: TCP, TLS if asked for, the layers of [`super::socket`], and HTTP/2,
//! with errors for people when any of them fails.

use super::options::{ConnectOptions, Tls};
use super::socket::{InFlight, Io, Meter, Metered, Paced};
use crate::bandwidth::pacer::{MBIT_PER_S_MIN, Pacer};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    CONNECTION_WINDOW_BYTES, KEEP_ALIVE_TIMEOUT, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES,
};
use crate::wire::cutpoint::cutpoint_client::CutpointClient;
use crate::wire::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use cutpoint_plan::units::Bandwidth;
use hyper_util::rt::TokioIo;
use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Bytes that the kernel accepts before they are on the wire. Small, so that a message counts as
/// sent only when it nearly is.
const UNSENT_BYTES_MAX: u32 = 16 << 10;

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Adds the token, if there is one, to each call.
#[derive(Clone)]
pub(super) struct Authorization(Option<MetadataValue<Ascii>>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub(super) type Calls = InterceptedService<Channel, Authorization>;

/// A server, and how to connect to it.
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) options: ConnectOptions,
    pacer: Option<Arc<Mutex<Pacer>>>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    authorization: Authorization,
    /// How many bytes streams may have in flight.
    pub(super) in_flight: Arc<InFlight>,
}

impl Peer {
    pub(super) fn new(address: &str, options: ConnectOptions) -> Result<Peer> {
        let host = host_of(address)?;
        let pacer = match options.uplink_limit {
            None => None,
            Some(limit) => {
                let refuse = || Error::new(ErrorKind::Usage, too_slow(limit));
                Some(Arc::new(Mutex::new(Pacer::new(limit).ok_or_else(refuse)?)))
            }
        };
        let tls = options.tls.as_ref().map(|tls| tls_connector(tls, host)).transpose()?;
        let header = |token| format!("Bearer {token}").parse();
        let authorization = options.token.as_ref().map(header).transpose().map_err(|_| {
            Error::new(ErrorKind::Usage, "the token has characters that no header can carry")
        })?;
        let authorization = Authorization(authorization);
        let (address, in_flight) = (address.to_owned(), Arc::default());
        Ok(Peer { address, options, pacer, tls, authorization, in_flight })
    }

    /// The calls of the Open Inference Protocol through a connection.
    pub(super) fn inference(&self, channel: Channel) -> GrpcInferenceServiceClient<Calls> {
        GrpcInferenceServiceClient::with_interceptor(channel, self.authorization.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The calls of Cutpoint's own service through a connection.
    pub(super) fn own(&self, channel: Channel) -> CutpointClient<Calls> {
        CutpointClient::with_interceptor(channel, self.authorization.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Tells a limited uplink for how long nothing was to be sent.
    pub(super) fn pause(&self, pause: Duration) {
        if let Some(pacer) = &self.pacer {
            pacer.lock().unwrap_or_else(PoisonError::into_inner).pause(pause);
        }
    }

    /// Changes the uplink limit, if there is one and the pacer can hold the new one.
    pub(super) fn set_uplink_limit(&self, limit: Bandwidth) -> Result<()> {
        let usage = |message: String| Err(Error::new(ErrorKind::Usage, message));
        let Some(pacer) = &self.pacer else {
            return usage("the uplink of this connection is not held to a bandwidth".to_owned());
        };
        if !pacer.lock().unwrap_or_else(PoisonError::into_inner).set_bandwidth(limit) {
            return usage(too_slow(limit));
        }
        Ok(())
    }

    /// Opens a connection, which may limit the bytes in flight to what fills the link. The meter
    /// watches it until it is lost.
    pub(super) async fn open(
        self: &Arc<Peer>,
        in_flight: Option<Arc<InFlight>>,
    ) -> Result<(Channel, Arc<Meter>)> {
        let meter = Arc::new(Meter::default());
        let mut first = Some(self.dial(meter.clone(), in_flight).await?);
        let peer = self.clone();
        let connector = tower::service_fn(move |_| {
            let ready = first.take();
            let peer = peer.clone();
            async move {
                match ready {
                    Some(connection) => Ok(TokioIo::new(connection)),
                    None => peer.dial(Arc::new(Meter::default()), None).await.map(TokioIo::new),
                }
            }
        });
        let channel = self.endpoint()?.connect_with_connector(connector).await;
        let channel = channel
            .map_err(|error| self.network("the connection cannot be set up").because(error))?;
        Ok((channel, meter))
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let invalid = |_| bad_address(&self.address);
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.address)).map_err(invalid)?;
        let endpoint = endpoint
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if self.tls.is_none() {
            return Ok(endpoint);
        }
        // TLS is made in `dial`; this only tells the server the right scheme.
        let origin = format!("https://{}", self.address);
        Ok(endpoint.origin(origin.parse().map_err(|_| bad_address(&self.address))?))
    }

    async fn dial(&self, meter: Arc<Meter>, in_flight: Option<Arc<InFlight>>) -> Result<Metered> {
        let dialled = async {
            let tcp = TcpStream::connect(&self.address).await.map_err(|e| self.unreachable(e))?;
            let tuned = tcp.set_nodelay(true).and_then(|()| limit_unsent(&tcp));
            tuned.map_err(|e| self.network("the connection cannot be set up").because(e))?;
            let paced = Paced::new(tcp, self.pacer.clone(), in_flight);
            let io: Box<dyn Io> = match &self.tls {
                None => Box::new(paced),
                Some((connector, name)) => {
                    let tls = connector.connect(name.clone(), paced).await;
                    Box::new(tls.map_err(|e| self.tls_failed(e))?)
                }
            };
            Ok(Metered::new(io, meter))
        };
        let patience = self.options.connect_timeout;
        tokio::time::timeout(patience, dialled).await.unwrap_or_else(|_| {
            Err(self
                .network(format!("no connection within {patience:?}"))
                .hint("check the address, and that no firewall is in between"))
        })
    }

    pub(super) fn network(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Network, message).at(format!("server {}", self.address))
    }

    pub(super) fn protocol(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Protocol, message).at(format!("server {}", self.address))
    }

    fn unreachable(&self, error: io::Error) -> Error {
        let address = &self.address;
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self
                .network("nothing listens there")
                .hint(format!("start a server: cutpoint serve MODEL --listen {address}")),
            _ => self
                .network(format!("cannot be reached: {error}"))
                .hint("the address is HOST:PORT, for example 127.0.0.1:7070"),
        }
        .because(error)
    }

    fn tls_failed(&self, error: io::Error) -> Error {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidMessage(_)) => self
                .protocol("does not speak TLS")
                .hint("leave the certificate out, or start the server with --tls-cert, --tls-key"),
            Some(rustls::Error::InvalidCertificate(reason)) => self
                .protocol(format!("its certificate is not accepted: {reason}"))
                .hint("give the certificate (or its authority's) that the server was started with, and the name in it"),
            _ => self.network(format!("the TLS handshake failed: {error}")),
        }
        .because(error)
    }

    /// The error for a failed call. `greeting` are the first bytes that the server sent, if the
    /// call was the first on its connection.
    pub(super) fn failed(&self, status: &Status, greeting: Option<&[u8]>) -> Error {
        let message = status.message();
        let error = match status.code() {
            // Made by this side, when the connection broke or never spoke HTTP/2.
            _ if status.source().is_some() => match greeting {
                Some(greeting) if !greeting.is_empty() && !is_http2(greeting) => {
                    return self.stranger(greeting);
                }
                Some([]) => self
                    .network("closed the connection without sending anything")
                    .hint("if the server uses TLS, give its certificate"),
                _ => self.network(format!("the connection broke: {}", innermost(status))),
            },
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => {
                self.network(format!("is not available: {message}"))
            }
            Code::Unauthenticated => self
                .protocol(format!("refuses the token: {message}"))
                .hint("give the token that the server was started with (--token-file)"),
            Code::Unimplemented => self.protocol(format!("does not offer this call: {message}")),
            code => self.protocol(format!("answers {code:?}: {message}")),
        };
        error.because(status.clone())
    }

    fn stranger(&self, greeting: &[u8]) -> Error {
        if let [21, 3, ..] = greeting {
            return self
                .protocol("speaks TLS, and this side does not")
                .hint("give the server's certificate, or its authority's");
        }
        let line = greeting.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or(greeting);
        self.protocol(format!("does not speak gRPC; it says `{}`", line.escape_ascii()))
            .hint("is this the port of another program?")
    }
}

/// Every HTTP/2 server begins with a SETTINGS frame.
fn is_http2(greeting: &[u8]) -> bool {
    matches!(greeting, [0, 0, _, 4, ..]) || greeting.len() < 4
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn too_slow(limit: Bandwidth) -> String {
    let found = limit.mbit_per_s();
    format!("an uplink of {found} Mbit/s is below the smallest, {MBIT_PER_S_MIN} Mbit/s")
}

fn bad_address(address: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("invalid address `{address}`: expected HOST:PORT"))
        .hint("for example 127.0.0.1:7070 or [::1]:7070")
}

fn host_of(address: &str) -> Result<&str> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| bad_address(address))?;
    let unbracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = unbracketed.unwrap_or(host);
    let is_plain = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    match port.parse::<u16>() {
        Ok(_) if is_plain && (unbracketed.is_some() || !host.contains(':')) => Ok(host),
        _ => Err(bad_address(address)),
    }
}

fn tls_connector(tls: &Tls, host: &str) -> Result<(TlsConnector, ServerName<'static>)> {
    let usage = |message: String| Error::new(ErrorKind::Usage, message);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&tls.authority_pem) {
        let added = certificate
            .map_err(|e| e.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|e| e.to_string()));
        added.map_err(|e| usage(format!("the certificate cannot be used: {e}")))?;
    }
    if roots.is_empty() {
        return Err(usage("the certificate file has no PEM certificate".into()));
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| usage(e.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name.clone()).map_err(|_| {
        usage(format!("invalid server name `{name}`: expected a DNS name or an IP address"))
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn limit_unsent(tcp: &TcpStream) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    socket2::SockRef::from(tcp).set_send_buffer_size(4 * UNSENT_BYTES_MAX as usize)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(host_of("127.0.0.1:7070").unwrap(), "127.0.0.1");
        assert_eq!(host_of("[::1]:7070").unwrap(), "::1");
        assert_eq!(host_of("edge.example:1").unwrap(), "edge.example");
        for address in ["", "host", ":1", "host:", "host:x", "host:65536", "::1:7070", "a/b:1"] {
            assert_eq!(host_of(address).unwrap_err().kind(), ErrorKind::Usage, "{address}");
        }
    }
}
