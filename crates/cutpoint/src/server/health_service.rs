//! The gRPC health checking protocol: the server, and each of its services, serves until it stops.

use super::gate::Services;
use crate::wire::health::health_check_response::ServingStatus;
use crate::wire::health::health_server::Health;
use crate::wire::health::{HealthCheckRequest, HealthCheckResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

const SERVICES: [&str; 3] = ["", "inference.GRPCInferenceService", "cutpoint.v1.Cutpoint"];

fn reply(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status_of(is_stopping: bool) -> ServingStatus {
    if is_stopping { ServingStatus::NotServing } else { ServingStatus::Serving }
}

#[tonic::async_trait]
impl Health for Services {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("no such service"));
        }
        Ok(Response::new(reply(status_of(*self.stopping.borrow()))))
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_known = SERVICES.contains(&request.get_ref().service.as_str());
        let (replies, receiver) = mpsc::channel(1);
        let mut stopping = self.stopping.clone();
        tokio::spawn(async move {
            loop {
                let is_stopping = *stopping.borrow_and_update();
                let status =
                    if is_known { status_of(is_stopping) } else { ServingStatus::ServiceUnknown };
                if replies.send(Ok(reply(status))).await.is_err() || is_stopping {
                    return;
                }
                tokio::select! {
                    () = replies.closed() => return,
                    changed = stopping.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
