//! Warms a connection up, so that its window fits the path.
//!
//! A new TCP connection begins with a small window and doubles it with each round trip, so on a
//! link with a long round trip its first tensors take about twice as long as bytes over bandwidth.
//! Therefore a stream's connection carries probes of doubling size before the first job, until they
//! get no faster: first up, then down, since results come back through a window of their own.

use super::connect::Peer;
use super::measure::{Direction, Prober};
use crate::error::Error;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// The first probe, and the largest.
const BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 20;

/// A probe faster than the previous one by this factor means that the window still grows.
const FASTER: f64 = 1.2;

/// After this time the connection is used as it is.
const LIMIT: Duration = Duration::from_secs(3);

/// Warms a connection up if the server is Cutpoint's own; returns whether the connection is idle
/// again. If it is not, that is not an error: the next user of the connection learns why.
pub(super) async fn warm_up(peer: &Peer, channel: Channel) -> bool {
    let begin = Instant::now();
    let probes = async {
        let mut prober = Prober::new(peer, channel, *BYTES.end()).await?;
        if !prober.is_own() {
            return Ok(());
        }
        let round_trip = prober.probe(Direction::Up, 0).await?;
        for direction in [Direction::Up, Direction::Down] {
            let (mut bytes, mut before) = (*BYTES.start(), 0.0);
            loop {
                let time = prober.probe(direction, bytes).await?;
                let rate = bytes as f64 / time.saturating_sub(round_trip).as_secs_f64().max(1e-9);
                if rate < FASTER * before || 2 * bytes > *BYTES.end() {
                    break;
                }
                (bytes, before) = (2 * bytes, rate);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(LIMIT, probes).await {
        Ok(Ok(())) => {
            log::debug!("the connection is warm after {:?}", begin.elapsed());
            true
        }
        Ok(Err(error)) => {
            let error: Error = error;
            log::debug!("the connection stays cold: {error}");
            false
        }
        Err(_) => {
            log::debug!("the connection is not warm after {LIMIT:?}");
            false
        }
    }
}
