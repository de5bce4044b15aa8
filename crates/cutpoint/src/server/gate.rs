//! What stands before the services: the token, and which service a call is for.

use super::cutpoint_service::CutpointService;
use super::health_service::HealthService;
use super::inference_service::Inference;
use crate::wire::cutpoint::cutpoint_server::CutpointServer;
use crate::wire::health::health_server::HealthServer;
use crate::wire::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response, header::AUTHORIZATION};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// A token, kept as its hash: comparing hashes tells nothing about the token by its timing.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8; 32]>);

impl Token {
    pub(super) fn new(token: &str) -> Token {
        Token(Arc::new(Sha256::digest(token.as_bytes()).into()))
    }

    fn opens(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        presented == *self.0
    }
}

/// All services behind one port.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) inference: GrpcInferenceServiceServer<Inference>,
    pub(super) cutpoint: CutpointServer<CutpointService>,
    pub(super) health: HealthServer<HealthService>,
    pub(super) token: Option<Token>,
}

impl Gate {
    fn refusal(&self, request: &Request<Body>) -> Option<Status> {
        let token = self.token.as_ref()?;
        let Some(presented) = request.headers().get(AUTHORIZATION) else {
            return Some(Status::unauthenticated("a token is needed"));
        };
        let presented = presented.as_bytes();
        let bearer = presented.get(..7).filter(|b| b.eq_ignore_ascii_case(b"bearer "));
        match bearer {
            Some(_) if token.opens(&presented[7..]) => None,
            _ => Some(Status::unauthenticated("the token is wrong")),
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
        if service == <HealthServer<HealthService> as NamedService>::NAME {
            return self.health.call(request);
        }
        if let Some(refusal) = self.refusal(&request) {
            return Box::pin(std::future::ready(Ok(refusal.into_http())));
        }
        match service {
            <GrpcInferenceServiceServer<Inference> as NamedService>::NAME => {
                self.inference.call(request)
            }
            <CutpointServer<CutpointService> as NamedService>::NAME => self.cutpoint.call(request),
            _ => {
                let refusal = Status::new(Code::Unimplemented, "no such service");
                Box::pin(std::future::ready(Ok(refusal.into_http())))
            }
        }
    }
}
