//! Cutpoint's own service: who the server is, how long layers and decoding take on it, how fast the
//! link is. Layers and decoding are measured on an executor, when its turn comes, so that no job of this
//! executor is computed at the same time.

use super::gate::Services;
use super::status;
use super::stopping::stopped;
use crate::encoding::{Encoded, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    DECODE_REPEATS_MAX, PROBE_REPLY_BYTES_MAX, PROFILE_BUDGET_MAX, PROFILE_REPEATS_MAX,
};
use crate::profile::{ProfileOptions, profile_model};
use crate::tensor::Tensor;
use crate::wire::PROTOCOL;
use crate::wire::cutpoint::cutpoint_server::Cutpoint;
use crate::wire::cutpoint::*;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The seed of the inputs; measured times do not depend on it.
const SEED: u64 = 1;

/// How often a tensor is decoded if the client does not say.
const DECODE_REPEATS: usize = 5;

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
        let request = request.into_inner();
        let how = options(&request)?;
        let model = self.model(&request.model, "")?;
        if model.is_suffix() {
            let name = request.model.escape_debug();
            let message = format!("model `{name}` is a suffix; measure what it was cut from");
            return Err(Status::failed_precondition(message));
        }
        let repository = self.repository.clone();
        let measured = self.executors.call(move |_, _| -> Result<String> {
            let (engine, options) = (&*repository.engine, repository.options);
            let model = model.layered(engine)?;
            let inputs = model.model().synthetic_inputs(SEED);
            let inputs: Vec<(&str, &Tensor)> =
                inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let profile = profile_model(engine, options, &model, &inputs, &how)?;
            serde_json::to_string(&profile).map_err(|error| {
                Error::new(ErrorKind::Protocol, "the profile cannot be written").because(error)
            })
        });
        Ok(Response::new(ProfileReply { profile: status::answer(measured).await? }))
    }

    async fn decode(
        &self,
        request: Request<DecodeRequest>,
    ) -> Result<Response<DecodeReply>, Status> {
        let request = request.into_inner();
        let name = request.encoding.escape_debug();
        let encoding = Encoding::from_name(&request.encoding)
            .ok_or_else(|| Status::invalid_argument(format!("unknown encoding `{name}`")))?;
        let encoded = Encoded::read(encoding, request.tensor).map_err(|e| status::of_error(&e))?;
        let repeats = count(request.repeats, DECODE_REPEATS, DECODE_REPEATS_MAX, "repeats")?;
        let measured = self.executors.call(move |_, decoder| -> Result<(Vec<Duration>, String)> {
            // The first time fills caches and does not count.
            let sha256 = decoder.decode(&encoded)?.sha256();
            let timed = |_| {
                let start = Instant::now();
                decoder.decode(&encoded)?;
                Ok(start.elapsed())
            };
            Ok(((0..repeats).map(timed).collect::<Result<_>>()?, sha256))
        });
        let (mut times, sha256) = status::answer(measured).await?;
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let nanoseconds = u64::try_from(median.as_nanos()).unwrap_or(u64::MAX);
        Ok(Response::new(DecodeReply { nanoseconds, sha256 }))
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
                    () = stopped(&mut stopping) => Err(status::stopping()),
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

/// How often something is done: as often as asked, or as usual if that is 0.
fn count(asked: u32, usual: usize, most: u32, what: &str) -> Result<usize, Status> {
    match asked {
        0 => Ok(usual),
        asked if asked <= most => Ok(asked as usize),
        _ => Err(Status::invalid_argument(format!("{asked} {what}, at most {most}"))),
    }
}

fn options(request: &ProfileRequest) -> Result<ProfileOptions, Status> {
    let usual = ProfileOptions::default();
    let runs = |asked, usual| count(asked, usual, PROFILE_REPEATS_MAX, "runs");
    let budget = match request.budget_ms {
        0 => usual.budget,
        ms => Duration::from_millis(ms).min(PROFILE_BUDGET_MAX),
    };
    Ok(ProfileOptions {
        warm_up: runs(request.warm_up, usual.warm_up)?,
        repeats: runs(request.repeats, usual.repeats)?,
        budget,
    })
}
