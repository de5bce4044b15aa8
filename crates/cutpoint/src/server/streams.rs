//! One bidirectional stream: its messages become jobs, in the order in which they are complete,
//! and its replies go out in the order in which the jobs are done.

use super::assembly::{Assembly, Outcome, PartMessage};
use super::executors::Executors;
use super::jobs::{self, ParsedRequest, ReplyForm};
use super::repository::Repository;
use super::status;
use super::stopping::stopped;
use crate::encoding::Form;
use crate::limits::STREAM_JOBS_MAX;
use crate::wire::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::{Status, Streaming};

/// What goes out.
pub(super) type Reply = Result<ModelStreamInferResponse, Status>;

/// A stream's state on the server.
pub(super) struct StreamServer {
    repository: Arc<Repository>,
    executors: Arc<Executors>,
    replies: mpsc::Sender<Reply>,
    slots: Arc<Semaphore>,
    assembly: Assembly,
}

impl StreamServer {
    pub(super) fn new(
        repository: Arc<Repository>,
        executors: Arc<Executors>,
        replies: mpsc::Sender<Reply>,
    ) -> StreamServer {
        let slots = Arc::new(Semaphore::new(STREAM_JOBS_MAX));
        StreamServer { repository, executors, replies, slots, assembly: Assembly::default() }
    }

    /// Handles messages until the client ends the stream, the connection is lost, or the server
    /// stops. Replies to jobs that are under way still go out afterwards.
    pub(super) async fn run(
        mut self,
        mut requests: Streaming<ModelInferRequest>,
        mut stopping: watch::Receiver<bool>,
    ) {
        loop {
            let expiry = self.assembly.next_expiry();
            let expire = async {
                match expiry {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                message = requests.message() => message,
                () = expire => {
                    self.expire().await;
                    continue;
                }
                // Jobs under way get their replies; then the stream ends by itself.
                () = stopped(&mut stopping) => return,
            };
            match message {
                Ok(Some(request)) => {
                    if self.handle(request).await.is_none() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(status) => {
                    // Fails only if the connection is lost.
                    let _ = self.replies.send(Err(status)).await;
                    return;
                }
            }
        }
    }

    async fn expire(&mut self) {
        for (model, id) in self.assembly.expire(Instant::now()) {
            self.refuse(model, id, "the job's other tensors did not come in time").await;
        }
    }

    async fn refuse(&self, model: String, id: String, message: impl Into<String>) {
        // Fails only if the connection is lost, which ends the stream anyway.
        let _ = self.replies.send(Ok(refusal(model, id, message.into()))).await;
    }

    /// `None` if the server is stopping.
    async fn handle(&mut self, request: ModelInferRequest) -> Option<()> {
        let arrived = Instant::now();
        let (model, id) = (request.model_name.clone(), request.id.clone());
        let part = jobs::part_of(&request).ok().flatten();
        match jobs::parse(request, arrived) {
            Ok(parsed) => self.accept(parsed).await,
            Err(status) => {
                let is_first = part.is_none_or(|(part, parts)| {
                    let (id, model) = (id.clone(), model.clone());
                    let message = PartMessage { id, model, part, parts, tensors: Vec::new() };
                    self.assembly.fail(arrived, message)
                });
                if is_first {
                    self.refuse(model, id, status.message()).await;
                }
                Some(())
            }
        }
    }

    async fn accept(&mut self, parsed: ParsedRequest) -> Option<()> {
        let ParsedRequest { reply, part, tensors, arrived } = parsed;
        let Some((part, parts)) = part else {
            return self.submit(reply, tensors, arrived).await;
        };
        let (id, model) = (reply.id.clone(), reply.model.clone());
        let message = PartMessage { id, model, part, parts, tensors };
        match self.assembly.handle_part(arrived, message) {
            Outcome::Waiting | Outcome::Swallowed => {}
            Outcome::Complete(tensors) => return self.submit(reply, tensors, arrived).await,
            Outcome::Refused(reason) => self.refuse(reply.model, reply.id, reason).await,
        }
        Some(())
    }

    async fn submit(
        &mut self,
        reply: ReplyForm,
        tensors: Vec<(String, Form)>,
        arrived: Instant,
    ) -> Option<()> {
        let job = match jobs::job(&self.repository, &reply, tensors, arrived) {
            Ok(job) => job,
            Err(status) => {
                self.refuse(reply.model, reply.id, status.message()).await;
                return Some(());
            }
        };
        // While these wait, the stream is not read: the client is held back.
        let slot = self.slots.clone().acquire_owned().await.ok()?;
        let room = self.executors.room(&job).await?;
        let answer = self.executors.submit(job, room);
        let replies = self.replies.clone();
        tokio::spawn(async move {
            let message = tokio::select! {
                () = replies.closed() => return,
                answer = status::answer(answer) => match answer {
                    Err(status) => refusal(reply.model, reply.id, status.message().into()),
                    Ok(computed) => ModelStreamInferResponse {
                        error_message: String::new(),
                        infer_response: Some(jobs::reply(reply, computed)),
                    },
                },
            };
            // Fails only if the connection is lost.
            let _ = replies.send(Ok(message)).await;
            drop(slot);
        });
        Some(())
    }
}

fn refusal(model_name: String, id: String, error_message: String) -> ModelStreamInferResponse {
    let reply = ModelInferResponse { model_name, id, ..Default::default() };
    ModelStreamInferResponse { error_message, infer_response: Some(reply) }
}
