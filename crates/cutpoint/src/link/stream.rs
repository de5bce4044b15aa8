//! A stream of jobs: tensors leave one at a time in the order of the calls; replies come back in
//! any order.

use super::client::{Client, Core};
use super::connect::Peer;
use super::messages::{InferReply, InferRequest, infer_message, infer_reply};
use super::socket::Meter;
use super::warm_up::warm_up;
use crate::error::{Error, Result};
use crate::wire::inference::{ModelInferRequest, ModelStreamInferResponse};
use prost::Message;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// The bytes that gRPC puts before each message.
const MESSAGE_PREFIX_BYTES: u64 = 5;

/// When a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was handed to the link.
    pub start: Instant,
    /// When its last byte was handed to the socket, which buffers at most 16 KiB.
    pub end: Instant,
    /// Its bytes, including what the protocol adds to the tensors.
    pub bytes: u64,
}

/// The server's reply to a job.
#[derive(Clone, Debug)]
pub enum StreamReply {
    /// The job is computed.
    Done(InferReply),
    /// The server refused the job, failed to compute it, or answered with malformed tensors. Other
    /// jobs are not affected.
    Failed {
        /// The request's id; empty if the server does not report it.
        id: String,
        /// The server's message, or what is wrong with its reply.
        message: String,
        /// When the reply arrived.
        received: Instant,
    },
}

/// The result of waiting for a reply.
#[derive(Clone, Debug)]
pub enum Waited {
    /// A reply.
    Reply(StreamReply),
    /// No reply yet.
    Nothing,
    /// The stream has ended.
    Ended,
}

/// State that both ends share with the task between them.
struct Shared {
    meter: Arc<Meter>,
    requests: AtomicU64,
    end: Mutex<Option<Status>>,
}

/// The sending end of a stream. Dropping it announces that no more jobs come.
pub struct StreamSender {
    core: Arc<Core>,
    shared: Arc<Shared>,
    requests: mpsc::Sender<ModelInferRequest>,
    /// When the last message had left, as far as its sender knows.
    returned: Option<Instant>,
}

/// The receiving end of a stream. Dropping it abandons the stream.
pub struct StreamReceiver {
    core: Arc<Core>,
    shared: Arc<Shared>,
    replies: mpsc::UnboundedReceiver<(ModelStreamInferResponse, Instant)>,
    task: JoinHandle<()>,
}

impl Client {
    /// Opens a stream on its own connection, and warms the connection up. Only the first request
    /// shows whether the server offers streams: some servers answer the call only with their first
    /// reply.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Network`] or [`crate::error::ErrorKind::Protocol`] if the
    /// connection cannot be set up.
    pub fn open_stream(&self) -> Result<(StreamSender, StreamReceiver)> {
        let core = self.core.clone();
        let in_flight = Some(core.peer.in_flight.clone());
        let (channel, meter) = core.runtime().block_on(async {
            let (channel, meter) = core.peer.open(in_flight.clone()).await?;
            if !warm_up(&core.peer, channel.clone()).await {
                // What is left of a probe may still be on its way there.
                return core.peer.open(in_flight).await;
            }
            meter.begin_here();
            Ok((channel, meter))
        })?;
        let (requests, queue) = mpsc::channel(1);
        let (reply_sender, replies) = mpsc::unbounded_channel();
        let mut calls = core.peer.inference(channel);
        let (requests_sent, end) = (AtomicU64::new(0), Mutex::new(None));
        let shared = Arc::new(Shared { meter, requests: requests_sent, end });
        let watched = shared.clone();
        let task = core.runtime().spawn(async move {
            let end = match calls.model_stream_infer(ReceiverStream::new(queue)).await {
                Err(status) => Some(status),
                Ok(response) => pump(response.into_inner(), &reply_sender, &watched).await.err(),
            };
            watched.finish(end);
        });
        let sender =
            StreamSender { core: core.clone(), shared: shared.clone(), requests, returned: None };
        Ok((sender, StreamReceiver { core, shared, replies, task }))
    }
}

/// Passes replies on until there are no more.
async fn pump(
    mut stream: tonic::Streaming<ModelStreamInferResponse>,
    replies: &mpsc::UnboundedSender<(ModelStreamInferResponse, Instant)>,
    shared: &Shared,
) -> Result<(), Status> {
    let mut count = 0;
    while let Some(reply) = stream.message().await? {
        count += 1;
        // This also bounds the queue.
        if count > shared.requests.load(Ordering::SeqCst) {
            return Err(Status::internal("there are more replies than requests"));
        }
        if replies.send((reply, Instant::now())).is_err() {
            break;
        }
    }
    Ok(())
}

impl Shared {
    /// The stream has ended, for the first reason that is given.
    fn finish(&self, end: Option<Status>) {
        let mut held = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = end;
        }
        drop(held);
        // Only now: whoever waits for this finds the reason.
        self.meter.abandon();
    }

    /// The error that has ended the stream, if one has.
    fn error(&self, peer: &Peer) -> Option<Error> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.as_ref().map(|status| peer.failed(status, None))
    }
}

impl StreamSender {
    /// Sends a job, or a part of one, and waits until its last byte is handed to the socket.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Network`] if the connection broke, or no byte could be sent for
    /// the request timeout; [`crate::error::ErrorKind::Protocol`] if the server ended the stream
    /// with an error. The stream is unusable afterwards.
    pub fn send(&mut self, request: &InferRequest) -> Result<Sent> {
        let start = Instant::now();
        if let Some(returned) = self.returned {
            self.core.peer.pause(start.saturating_duration_since(returned));
        }
        let message = infer_message(request);
        let bytes = message.encoded_len() as u64 + MESSAGE_PREFIX_BYTES;
        let passage = self.shared.meter.announce(bytes);
        self.shared.requests.fetch_add(1, Ordering::SeqCst);
        let sent = async {
            // An error here means that the other end is dropped, which the passage tells too.
            let _ = self.requests.send(message).await;
            self.watch(passage).await
        };
        let end = self.core.runtime().block_on(sent)?;
        self.returned = Some(Instant::now());
        Ok(Sent { start, end, bytes })
    }

    async fn watch(&self, mut passage: oneshot::Receiver<Instant>) -> Result<Instant> {
        let patience = self.core.peer.options.request_timeout;
        let mut before = self.shared.meter.sent_bytes();
        loop {
            match tokio::time::timeout(patience, &mut passage).await {
                Ok(Ok(end)) => return Ok(end),
                Ok(Err(_)) => {
                    let peer = &self.core.peer;
                    let ended = || peer.network("the server has ended the stream");
                    return Err(self.shared.error(peer).unwrap_or_else(ended));
                }
                Err(_) => {
                    let now = self.shared.meter.sent_bytes();
                    if now == before {
                        let message = format!("no byte could be sent for {patience:?}");
                        return Err(self.core.peer.network(message));
                    }
                    before = now;
                }
            }
        }
    }
}

impl StreamReceiver {
    /// Waits at most `patience` for the next reply. The stream has ended when the sending end is
    /// dropped and all replies have arrived.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Network`] if the connection broke;
    /// [`crate::error::ErrorKind::Protocol`] if the server ended the stream with an error.
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<Waited> {
        let replies = &mut self.replies;
        let next = async { tokio::time::timeout(patience, replies.recv()).await };
        let Ok(next) = self.core.runtime().block_on(next) else { return Ok(Waited::Nothing) };
        let Some((message, received)) = next else {
            return self.shared.error(&self.core.peer).map_or(Ok(Waited::Ended), Err);
        };
        let reply = message.infer_response.unwrap_or_default();
        let id = reply.id.clone();
        let failed = |message| StreamReply::Failed { id, message, received };
        if !message.error_message.is_empty() {
            return Ok(Waited::Reply(failed(message.error_message)));
        }
        Ok(Waited::Reply(infer_reply(reply, received).map_or_else(
            |error| failed(format!("{:?}", error.at(format!("server {}", self.core.peer.address)))),
            StreamReply::Done,
        )))
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.finish(Some(Status::cancelled("the stream was given up on this side")));
    }
}
