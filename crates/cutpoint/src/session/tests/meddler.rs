//! A peer between a device and a server that changes what they say to each other.

use crate::wire::cutpoint::cutpoint_client::CutpointClient;
use crate::wire::cutpoint::cutpoint_server::{Cutpoint, CutpointServer};
use crate::wire::cutpoint::{
    DecodeReply, DecodeRequest, HelloReply, HelloRequest, ProbeReply, ProbeRequest, ProfileReply,
    ProfileRequest,
};
use crate::wire::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::wire::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use crate::wire::inference::*;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// What a meddler does to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is passed on.
    Pass,
    /// Neither this reply nor any later one is passed on, and the stream stays open.
    Hang,
}

/// What is done to messages on streams.
#[derive(Clone)]
pub(crate) struct Habits {
    pub(crate) request: Arc<dyn Fn(&mut ModelInferRequest) + Send + Sync>,
    pub(crate) reply: Arc<dyn Fn(&mut ModelStreamInferResponse) -> Then + Send + Sync>,
}

/// The peer, as long as it lives.
pub(crate) struct Meddler {
    pub(crate) address: SocketAddr,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Meddler {
    /// Starts one before a server.
    pub(crate) fn start(server: SocketAddr, habits: Habits) -> Meddler {
        Meddler::start_as(server, habits, false)
    }

    /// Starts one that makes a plain server of Cutpoint's own: only the calls, parameters and
    /// datatypes of the protocol itself pass.
    pub(crate) fn start_plain(server: SocketAddr, habits: Habits) -> Meddler {
        Meddler::start_as(server, habits, true)
    }

    fn start_as(server: SocketAddr, habits: Habits, is_plain: bool) -> Meddler {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = runtime.block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{server}")).unwrap();
            let channel = endpoint.connect().await.unwrap();
            let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let address = incoming.local_addr().unwrap();
            let peer = Peer { channel, habits, is_plain };
            let services = Services {
                own: CutpointServer::new(peer.clone()),
                inference: GrpcInferenceServiceServer::new(peer),
            };
            let server = tonic::transport::Server::builder();
            tokio::spawn(server.serve_with_incoming(services, incoming));
            address
        });
        Meddler { address, runtime: Some(runtime) }
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Both services behind one port.
#[derive(Clone)]
struct Services {
    own: CutpointServer<Peer>,
    inference: GrpcInferenceServiceServer<Peer>,
}

impl Service<http::Request<Body>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.uri().path().contains(<CutpointServer<Peer> as NamedService>::NAME) {
            true => self.own.call(request),
            false => self.inference.call(request),
        }
    }
}

#[derive(Clone)]
struct Peer {
    channel: Channel,
    habits: Habits,
    is_plain: bool,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

macro_rules! unimplemented_calls {
    ($($name:ident: $request:ty => $reply:ty;)*) => {
        // What the attribute on the impl would make of `async fn`; it does not see into here.
        $(fn $name<'life0, 'async_trait>(
            &'life0 self,
            _: Request<$request>,
        ) -> Boxed<'async_trait, Result<Response<$reply>, Status>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        })*
    };
}

type Replies = ReceiverStream<Result<ModelStreamInferResponse, Status>>;

impl Habits {
    fn requests(
        &self,
        mut requests: Streaming<ModelInferRequest>,
    ) -> ReceiverStream<ModelInferRequest> {
        let (change, (sender, changed)) = (self.request.clone(), mpsc::channel(1));
        tokio::spawn(async move {
            while let Ok(Some(mut message)) = requests.message().await {
                change(&mut message);
                if sender.send(message).await.is_err() {
                    break;
                }
            }
        });
        ReceiverStream::new(changed)
    }

    fn replies(&self, mut replies: Streaming<ModelStreamInferResponse>) -> Replies {
        let (judge, (sender, judged)) = (self.reply.clone(), mpsc::channel(1));
        tokio::spawn(async move {
            while let Some(mut reply) = replies.message().await.transpose() {
                let then = reply.as_mut().map_or(Then::Pass, |reply| judge(reply));
                if then == Then::Hang {
                    sender.closed().await;
                }
                if sender.send(reply).await.is_err() {
                    break;
                }
            }
        });
        ReceiverStream::new(judged)
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Peer {
    type ModelStreamInferStream = Replies;

    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let request = request.into_inner();
        let is_known = |key: &String| key == "config" || key == "file:1/model.onnx";
        if let Some(key) = request.parameters.keys().find(|key| self.is_plain && !is_known(key)) {
            let message = format!("unrecognized load parameter '{key}'");
            return Err(Status::invalid_argument(message));
        }
        GrpcInferenceServiceClient::new(self.channel.clone()).repository_model_load(request).await
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let mut server = GrpcInferenceServiceClient::new(self.channel.clone());
        server.model_ready(request.into_inner()).await
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let mut server = GrpcInferenceServiceClient::new(self.channel.clone());
        server.model_infer(request.into_inner()).await
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let mut server = GrpcInferenceServiceClient::new(self.channel.clone());
        let requests = self.habits.requests(request.into_inner());
        let replies = server.model_stream_infer(requests).await?.into_inner();
        Ok(Response::new(self.habits.replies(replies)))
    }

    unimplemented_calls! {
        server_ready: ServerReadyRequest => ServerReadyResponse;
        server_metadata: ServerMetadataRequest => ServerMetadataResponse;
        model_metadata: ModelMetadataRequest => ModelMetadataResponse;
        model_config: ModelConfigRequest => ModelConfigResponse;
        model_statistics: ModelStatisticsRequest => ModelStatisticsResponse;
        repository_index: RepositoryIndexRequest => RepositoryIndexResponse;
        repository_model_unload: RepositoryModelUnloadRequest => RepositoryModelUnloadResponse;
    }
}

#[tonic::async_trait]
impl Cutpoint for Peer {
    type ProbeStream = Pin<Box<dyn Stream<Item = Result<ProbeReply, Status>> + Send>>;

    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        if self.is_plain {
            return Err(Status::unimplemented("hello"));
        }
        CutpointClient::new(self.channel.clone()).hello(request.into_inner()).await
    }

    async fn probe(
        &self,
        _: Request<Streaming<ProbeRequest>>,
    ) -> Result<Response<Self::ProbeStream>, Status> {
        Err(Status::unimplemented("probe"))
    }

    unimplemented_calls! {
        profile: ProfileRequest => ProfileReply;
        decode: DecodeRequest => DecodeReply;
    }
}
