//! Measures the link. Probes of several sizes go through a connection like a stream's, one after
//! the other, and a line is fitted to the times of their replies.
//!
//! Many systems restart an idle connection with a small window: the first message after a pause
//! takes up to several round trips longer than one that follows another. On Linux this happens
//! unless `net.ipv4.tcp_slow_start_after_idle` is 0. Its cost is measured, too.

use super::client::Client;
use super::connect::{Calls, Peer};
use crate::error::Result;
use crate::limits::PROBE_REPLY_BYTES_MAX;
use crate::profile::median;
use crate::wire::cutpoint::{ProbeReply, ProbeRequest};
use crate::wire::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::wire::inference::{ModelInferRequest, model_infer_request::InferInputTensor};
use bytes::Bytes;
use cutpoint_plan::units::Bandwidth;
use std::error::Error as _;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};

/// The smallest and the largest probe.
const PROBE_BYTES: std::ops::Range<usize> = 2048..(8 << 20);

/// How many round trips are not counted, and how many are.
const ROUND_TRIP_WARMUPS: usize = 3;
const ROUND_TRIPS: usize = 15;

/// The wanted number of probes of each size.
const REPEATS: u32 = 5;

/// How often a message is sent after a pause; the median counts.
const PAUSES: usize = 3;

/// How many messages follow at once after the one behind a pause; the fastest counts.
const FOLLOWING: usize = 2;

/// The most bytes of a message.
const PAUSE_BYTES_MAX: u64 = 8 << 20;

/// How long measuring a link usually may take.
pub const MEASURE_BUDGET: Duration = Duration::from_secs(3);

/// The link as measured through the real connection, its limit and encryption included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkMeasurement {
    /// From device to server.
    pub uplink: Bandwidth,
    /// From server to device; `None` if the server is not Cutpoint's own.
    pub downlink: Option<Bandwidth>,
    /// The median time of an empty message and its empty reply.
    pub round_trip: Duration,
    /// The time of a message on the uplink beyond its bytes and the round trip.
    pub message_overhead: Duration,
    /// Half the distance between the quartiles of the uplink's bandwidth, as a fraction of it:
    /// above 0.1 the measurement is noisy.
    pub spread: f64,
}

impl Client {
    /// Measures the link on its own connection, after warming it up. After `budget` no optional probe
    /// is started.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Network`] if the connection fails or an answer takes longer
    /// than the request timeout; [`crate::error::ErrorKind::Protocol`] if the server answers with
    /// an error.
    pub fn measure_link(&self, budget: Duration) -> Result<LinkMeasurement> {
        let peer = self.core.peer.clone();
        self.core.runtime().block_on(measure(peer, budget))
    }

    /// How much longer a message of `bytes` (8 MiB at most) takes to the server after a pause than
    /// right behind another one; zero if it takes less. Blocks for three pauses and eleven
    /// messages.
    ///
    /// # Errors
    /// As [`Client::measure_link`].
    pub fn measure_pause(&self, bytes: u64, pause: Duration) -> Result<Duration> {
        let peer = self.core.peer.clone();
        let bytes = bytes.min(PAUSE_BYTES_MAX) as usize;
        self.core.runtime().block_on(async {
            let (channel, _) = peer.open(None).await?;
            let mut prober = Prober::new(&peer, channel, bytes).await?;
            // The connection is as warm as a stream's.
            for _ in 0..FOLLOWING {
                prober.probe(Direction::Up, bytes).await?;
            }
            let mut longer = Vec::with_capacity(PAUSES);
            for _ in 0..PAUSES {
                tokio::time::sleep(pause).await;
                let behind_pause = prober.probe(Direction::Up, bytes).await?;
                let mut following = Duration::MAX;
                for _ in 0..FOLLOWING {
                    following = following.min(prober.probe(Direction::Up, bytes).await?);
                }
                longer.push(behind_pause.saturating_sub(following));
            }
            Ok(median_time(&mut longer))
        })
    }
}

async fn measure(peer: std::sync::Arc<Peer>, budget: Duration) -> Result<LinkMeasurement> {
    let (channel, _) = peer.open(None).await?;
    let mut prober = Prober::new(&peer, channel, PROBE_BYTES.end).await?;
    let mut round_trips = Vec::new();
    for index in 0..ROUND_TRIP_WARMUPS + ROUND_TRIPS {
        let time = prober.probe(Direction::Up, 0).await?;
        if index >= ROUND_TRIP_WARMUPS {
            round_trips.push(time);
        }
    }
    let round_trip = median_time(&mut round_trips);
    let up = sample(&mut prober, Direction::Up, round_trip, budget * 3 / 5).await?;
    let up = fit(&up);
    let downlink = match prober.probes {
        Probes::Refused(_) => None,
        Probes::Own { .. } => {
            let down = sample(&mut prober, Direction::Down, round_trip, budget * 2 / 5).await?;
            Some(fit(&down).bandwidth)
        }
    };
    Ok(LinkMeasurement {
        uplink: up.bandwidth,
        downlink,
        round_trip,
        message_overhead: up.intercept.saturating_sub(round_trip),
        spread: up.spread,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    bytes: usize,
    time: Duration,
}

/// Probes of three sizes in turn. The first probes double in size until one takes its share of
/// the budget; they warm the connection up and are not counted.
async fn sample(
    prober: &mut Prober<'_>,
    direction: Direction,
    round_trip: Duration,
    budget: Duration,
) -> Result<Vec<Sample>> {
    let begin = Instant::now();
    // Sizes 1, 1/2, 1/4 take 7/4 of the largest; the doubling before takes twice the largest.
    let share = budget / (2 + 2 * REPEATS);
    let mut largest = PROBE_BYTES.start;
    loop {
        let time = prober.probe(direction, largest).await?;
        if time.saturating_sub(round_trip) >= share || 2 * largest > PROBE_BYTES.end {
            break;
        }
        largest *= 2;
    }
    let mut samples = Vec::new();
    for repeat in 0..REPEATS {
        // One round is necessary for a result at all.
        if repeat > 0 && begin.elapsed() > budget {
            break;
        }
        for bytes in [largest, largest / 4, largest / 2] {
            samples.push(Sample { bytes, time: prober.probe(direction, bytes).await? });
        }
    }
    Ok(samples)
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    bandwidth: Bandwidth,
    intercept: Duration,
    spread: f64,
}

/// The line through the samples by the median of all slopes between two of them (Theil, Sen),
/// which a few slow probes do not move.
fn fit(samples: &[Sample]) -> Fit {
    let mut slopes = Vec::new();
    for (index, a) in samples.iter().enumerate() {
        for b in samples[..index].iter().filter(|b| b.bytes != a.bytes) {
            let run = a.bytes as f64 - b.bytes as f64;
            slopes.push((a.time.as_secs_f64() - b.time.as_secs_f64()) / run);
        }
    }
    let largest = samples.iter().map(|s| s.bytes).max().unwrap_or(1);
    let mut slope = median(&slopes);
    if slope <= 0.0 {
        // The link is faster than the clock is steady: all that can be said is "at least".
        let fastest = samples.iter().filter(|s| s.bytes == largest).map(|s| s.time).min();
        slope = fastest.unwrap_or_default().as_secs_f64().max(1e-9) / largest as f64;
    }
    let intercepts: Vec<f64> =
        samples.iter().map(|s| s.time.as_secs_f64() - s.bytes as f64 * slope).collect();
    let intercept = median(&intercepts).max(0.0);
    let mut rates: Vec<f64> = samples
        .iter()
        .filter(|s| s.bytes == largest)
        .map(|s| s.bytes as f64 / (s.time.as_secs_f64() - intercept).max(1e-9))
        .collect();
    rates.sort_by(f64::total_cmp);
    let quartile = |quarter: usize| {
        rates.get((rates.len().saturating_sub(1) * quarter + 2) / 4).copied().unwrap_or(0.0)
    };
    let spread = (quartile(3) - quartile(1)) / 2.0 / quartile(2).max(1e-9);
    let bandwidth = Bandwidth::from_mbit_per_s(8e-6 / slope);
    Fit {
        bandwidth: bandwidth.expect("a positive slope has a finite inverse here"),
        intercept: Duration::from_secs_f64(intercept),
        spread,
    }
}

fn median_time(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) struct Prober<'a> {
    peer: &'a Peer,
    payload: Bytes,
    probes: Probes,
}

enum Probes {
    /// Cutpoint's own probe.
    Own { requests: mpsc::Sender<ProbeRequest>, replies: Streaming<ProbeReply> },
    /// Any server of the Open Inference Protocol reads a whole request before it finds that the
    /// model does not exist.
    Refused(GrpcInferenceServiceClient<Calls>),
}

impl<'a> Prober<'a> {
    /// Prepares probes of up to `bytes_max`.
    pub(super) async fn new(
        peer: &'a Peer,
        channel: Channel,
        bytes_max: usize,
    ) -> Result<Prober<'a>> {
        let (requests, queue) = mpsc::channel(1);
        let mut own = peer.own(channel.clone());
        // A server may wait for the first message before it answers the call.
        requests.try_send(ProbeRequest::default()).expect("the queue has room for one");
        let call = own.probe(ReceiverStream::new(queue));
        let first = within(peer, first_reply(call)).await?;
        let probes = match first {
            Ok(replies) => Probes::Own { requests, replies },
            Err(status) if status.code() == Code::Unimplemented => {
                Probes::Refused(peer.inference(channel))
            }
            Err(status) => return Err(peer.failed(&status, None)),
        };
        Ok(Prober { peer, payload: Bytes::from(vec![0x5A; bytes_max]), probes })
    }

    /// Whether the server is Cutpoint's own.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.probes, Probes::Own { .. })
    }

    /// Sends `bytes` in this direction; returns how long the reply took.
    pub(super) async fn probe(&mut self, direction: Direction, bytes: usize) -> Result<Duration> {
        let payload = self.payload.slice(..bytes.min(self.payload.len()));
        let peer = self.peer;
        let begin = Instant::now();
        let answer = match &mut self.probes {
            Probes::Own { requests, replies } => {
                let request = match direction {
                    Direction::Up => ProbeRequest { payload, reply_bytes: 0 },
                    Direction::Down => ProbeRequest {
                        payload: Bytes::new(),
                        reply_bytes: (bytes as u64).min(PROBE_REPLY_BYTES_MAX),
                    },
                };
                within(peer, async {
                    // If this fails, the replies say why.
                    let _ = requests.send(request).await;
                    match replies.message().await? {
                        Some(_) => Ok(()),
                        None => Err(Status::unavailable("the server has ended the stream")),
                    }
                })
                .await?
            }
            Probes::Refused(client) => {
                match within(peer, client.model_infer(refused_request(payload))).await? {
                    // Made by this side, when the connection broke.
                    Err(status) if status.source().is_some() => Err(status),
                    _ => Ok(()),
                }
            }
        };
        match answer {
            Ok(()) => Ok(begin.elapsed()),
            Err(status) => Err(peer.failed(&status, None)),
        }
    }
}

async fn first_reply(
    call: impl Future<Output = Result<Response<Streaming<ProbeReply>>, Status>>,
) -> Result<Streaming<ProbeReply>, Status> {
    let mut replies = call.await?.into_inner();
    match replies.message().await? {
        Some(_) => Ok(replies),
        None => Err(Status::unavailable("the server has ended the stream")),
    }
}

/// A request for a model that no server has.
fn refused_request(payload: Bytes) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "cutpoint-probe".to_owned(),
        inputs: vec![InferInputTensor {
            name: "probe".to_owned(),
            datatype: "UINT8".to_owned(),
            shape: vec![payload.len() as i64],
            ..Default::default()
        }],
        raw_input_contents: vec![payload],
        ..Default::default()
    }
}

async fn within<T>(
    peer: &Peer,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<Result<T, Status>> {
    let patience = peer.options.request_timeout;
    tokio::time::timeout(patience, answer)
        .await
        .map_err(|_| peer.network(format!("no answer to a probe within {patience:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(mbit_per_s: f64, overhead_ms: f64, sizes: &[usize]) -> Vec<Sample> {
        let seconds = |bytes: usize| bytes as f64 * 8e-6 / mbit_per_s + overhead_ms / 1e3;
        sizes
            .iter()
            .map(|&bytes| Sample { bytes, time: Duration::from_secs_f64(seconds(bytes)) })
            .collect()
    }

    #[test]
    fn a_line_gives_bandwidth_and_overhead() {
        let fit = fit(&samples(18.88, 5.5, &[100_000, 50_000, 25_000, 100_000, 50_000, 25_000]));
        assert!((fit.bandwidth.mbit_per_s() - 18.88).abs() < 1e-4, "{fit:?}");
        assert!((fit.intercept.as_secs_f64() - 0.0055).abs() < 1e-7, "{fit:?}");
        assert!(fit.spread < 1e-4, "{fit:?}");
    }

    #[test]
    fn a_few_slow_probes_do_not_move_the_line() {
        let mut samples = samples(8.0, 1.0, &[40_000, 20_000, 10_000].repeat(5));
        samples[3].time *= 3;
        samples[8].time *= 2;
        let fit = fit(&samples);
        assert!((fit.bandwidth.mbit_per_s() - 8.0).abs() < 1e-4, "{fit:?}");
    }

    #[test]
    fn a_link_faster_than_the_clock_is_steady_still_has_a_bandwidth() {
        let time = Duration::from_micros(100);
        let samples = [40_000, 20_000, 10_000].map(|bytes| Sample { bytes, time });
        let fit = fit(&samples);
        assert!((fit.bandwidth.mbit_per_s() - 3200.0).abs() < 1e-6, "{fit:?}");
    }
}
