//! Cutpoint's own service: who the server is, how long layers and decoding take on it, how fast the
//! link is.

use super::gate::Services;
use super::stopping::stopped;
use crate::limits::PROBE_REPLY_BYTES_MAX;
use crate::wire::PROTOCOL;
use crate::wire::cutpoint::cutpoint_server::Cutpoint;
use crate::wire::cutpoint::*;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl Cutpoint for Services {
    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let models = self.repository.all();
        let entry = |model: &Arc<super::repository::LoadedModel>| ModelEntry {
            name: model.name.to_owned(),
            sha256: model.sha256.to_owned(),
        };
        Ok(Response::new(HelloReply {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: self.repository.engine.name(),
            threads: count(self.repository.options.threads.get()),
            executors: count(self.repository.executors.get()),
            models: models.iter().map(entry).collect(),
            message_bytes_max: self.message_bytes_max as u64,
        }))
    }

    async fn profile(
        &self,
        request: Request<ProfileRequest>,
    ) -> Result<Response<ProfileReply>, Status> {
        super::profiling::profile(&self.repository, &self.executors, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn decode(
        &self,
        request: Request<DecodeRequest>,
    ) -> Result<Response<DecodeReply>, Status> {
        super::profiling::decode(&self.executors, request.into_inner()).await.map(Response::new)
    }

    type ProbeStream = ReceiverStream<Result<ProbeReply, Status>>;

    async fn probe(
        &self,
        request: Request<Streaming<ProbeRequest>>,
    ) -> Result<Response<Self::ProbeStream>, Status> {
        let (replies, receiver) = mpsc::channel(1);
        let mut stopping = self.stopping.clone();
        tokio::spawn(async move {
            let mut requests = request.into_inner();
            loop {
                let request = tokio::select! {
                    request = requests.message() => request,
                    () = stopped(&mut stopping) => Err(super::status::stopping()),
                };
                let reply = match request {
                    Ok(Some(request)) => answer(&request),
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let is_last = reply.is_err();
                if replies.send(reply).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn answer(request: &ProbeRequest) -> Result<ProbeReply, Status> {
    if request.reply_bytes > PROBE_REPLY_BYTES_MAX {
        return Err(Status::invalid_argument(format!(
            "a reply of {} bytes, at most {PROBE_REPLY_BYTES_MAX}",
            request.reply_bytes
        )));
    }
    Ok(ProbeReply {
        payload: Bytes::from(vec![0xA5; request.reply_bytes as usize]),
        received_bytes: request.payload.len() as u64,
    })
}
