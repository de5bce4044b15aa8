//! Authentication and routing in front of the services.

use super::executors::Executors;
use super::repository::Repository;
use crate::digest::sha256;
use crate::limits::PROBE_REPLY_BYTES_MAX;
use crate::wire::cutpoint::cutpoint_server::CutpointServer;
use crate::wire::health::health_server::HealthServer;
use crate::wire::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response, header::AUTHORIZATION};
use tonic::server::NamedService;

/// The services of the three protocols.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) repository: Arc<Repository>,
    pub(super) executors: Arc<Executors>,
    pub(super) message_bytes_max: usize,
    /// Whether the server is to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// All services behind one port.
#[derive(Clone)]
pub(super) struct Gate {
    inference: GrpcInferenceServiceServer<Services>,
    cutpoint: CutpointServer<Services>,
    health: HealthServer<Services>,
    /// The token's SHA-256: comparing hashes tells nothing about the token by its timing.
    token: Option<Arc<str>>,
}

impl Gate {
    pub(super) fn new(services: Services, token: Option<&str>) -> Gate {
        let message_bytes_max = services.message_bytes_max;
        Gate {
            inference: GrpcInferenceServiceServer::new(services.clone())
                .max_decoding_message_size(message_bytes_max),
            cutpoint: CutpointServer::new(services.clone())
                .max_decoding_message_size(PROBE_REPLY_BYTES_MAX as usize),
            health: HealthServer::new(services),
            token: token.map(|token| sha256(token.as_bytes()).into()),
        }
    }

    fn refusal(&self, request: &Request<Body>) -> Option<Status> {
        let token = self.token.as_ref()?;
        let Some(presented) = request.headers().get(AUTHORIZATION) else {
            return Some(Status::unauthenticated("missing token"));
        };
        let presented = presented.as_bytes();
        let bearer = presented.get(..7).filter(|b| b.eq_ignore_ascii_case(b"bearer "));
        match bearer {
            Some(_) if sha256(&presented[7..]) == **token => None,
            _ => Some(Status::unauthenticated("wrong token")),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The services are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|p| p.split_once('/')).map_or("", |p| p.0);
        // Whoever balances load or restarts servers has no token, and learns nothing else.
        if service == <HealthServer<Services> as NamedService>::NAME {
            return self.health.call(request);
        }
        let refuse =
            |refusal: Status| -> Answer { Box::pin(std::future::ready(Ok(refusal.into_http()))) };
        if let Some(refusal) = self.refusal(&request) {
            return refuse(refusal);
        }
        match service {
            <GrpcInferenceServiceServer<Services> as NamedService>::NAME => {
                self.inference.call(request)
            }
            <CutpointServer<Services> as NamedService>::NAME => self.cutpoint.call(request),
            _ => refuse(Status::unimplemented("no such service")),
        }
    }
}
