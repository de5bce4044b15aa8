//! Small probes of the uplink in the middle of a run.

use super::client::{Client, Core};
use super::measure::{Direction, Prober};
use crate::error::Result;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::transport::Channel;

/// The largest probe.
const BYTES_MAX: u64 = 1 << 20;

/// How many bytes a connection sends at once when it is new or was idle; each round trip doubles
/// that. A larger probe is sent a second time, now that the window has room for it, unless it took
/// more than [`GROWTH_ROUND_TRIPS`], of which growing is a small part.
const FIRST_WINDOW_BYTES: usize = 14_480;
const GROWTH_ROUND_TRIPS: u32 = 8;

/// Sends probes on its own connection, opened with the first probe, so that they use the uplink
/// without entering a stream's order.
pub struct LinkProbe {
    core: Arc<Core>,
    channel: Mutex<Option<Channel>>,
}

impl Client {
    /// Prepares to probe the uplink; opens nothing yet.
    pub fn probe(&self) -> LinkProbe {
        LinkProbe { core: self.core.clone(), channel: Mutex::new(None) }
    }
}

impl LinkProbe {
    /// Sends `bytes` to the server, 1 MiB at most; returns how much longer the reply took than that
    /// to an empty message. If the connection's window may have been too small, sends them twice
    /// and counts the faster. Blocks.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Network`] if the connection fails or an answer takes longer than
    /// the request timeout; [`crate::error::ErrorKind::Protocol`] if the server answers with an
    /// error.
    pub fn up(&self, bytes: u64) -> Result<Duration> {
        let lock = || self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let held = lock().take();
        let peer = &self.core.peer;
        let bytes = bytes.min(BYTES_MAX) as usize;
        let (channel, time) = self.core.runtime().block_on(async {
            let channel = match held {
                Some(channel) => channel,
                None => peer.open(None).await?.0,
            };
            let mut prober = Prober::new(peer, channel.clone(), bytes).await?;
            let round_trip = prober.probe(Direction::Up, 0).await?;
            let mut time = prober.probe(Direction::Up, bytes).await?;
            if bytes > FIRST_WINDOW_BYTES && time <= GROWTH_ROUND_TRIPS * round_trip {
                time = time.min(prober.probe(Direction::Up, bytes).await?);
            }
            Ok::<_, crate::error::Error>((channel, time.saturating_sub(round_trip)))
        })?;
        *lock() = Some(channel);
        Ok(time)
    }
}
