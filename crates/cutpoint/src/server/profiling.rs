//! Measuring where the work will be done, a model's layers or how tensors are brought back from
//! encodings: on an executor, when its turn comes, so that no job of this executor is computed at
//! the same time.

use super::executors::Executors;
use super::repository::Repository;
use super::{jobs, status};
use crate::encoding::{Encoded, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{DECODE_REPEATS_MAX, PROFILE_BUDGET_MAX, PROFILE_REPEATS_MAX};
use crate::profile::{ProfileOptions, profile_model};
use crate::tensor::Tensor;
use crate::wire::cutpoint::{DecodeReply, DecodeRequest, ProfileReply, ProfileRequest};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::Status;

/// The seed of the inputs; measured times do not depend on it.
const SEED: u64 = 1;

pub(super) async fn profile(
    repository: &Arc<Repository>,
    executors: &Executors,
    request: ProfileRequest,
) -> Result<ProfileReply, Status> {
    let how = options(&request)?;
    let model = jobs::find_model(repository, &request.model, "")?;
    if model.is_suffix() {
        let name = request.model.escape_debug();
        let message = format!("model `{name}` is a suffix; measure what it was cut from");
        return Err(Status::failed_precondition(message));
    }
    let repository = repository.clone();
    let measured = executors.call(move |_, _| -> Result<String> {
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
    Ok(ProfileReply { profile: status::answer(measured).await? })
}

/// How often a tensor is decoded if the client does not say.
const DECODE_REPEATS: usize = 5;

/// What an executor takes to bring a tensor back from an encoding.
pub(super) async fn decode(
    executors: &Executors,
    request: DecodeRequest,
) -> Result<DecodeReply, Status> {
    let name = request.encoding.escape_debug();
    let encoding = Encoding::from_name(&request.encoding)
        .ok_or_else(|| Status::invalid_argument(format!("unknown encoding `{name}`")))?;
    let encoded = Encoded::read(encoding, request.tensor).map_err(|e| status::of_error(&e))?;
    let repeats = count(request.repeats, DECODE_REPEATS, DECODE_REPEATS_MAX, "repeats")?;
    let measured = executors.call(move |_, decoder| -> Result<(Vec<Duration>, String)> {
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
    Ok(DecodeReply { nanoseconds, sha256 })
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
