//! What a pause costs.
//!
//! Many systems let a connection that was idle begin again with a small window: the first message
//! after a pause takes up to several round trips longer than one that follows another. On Linux that
//! is so unless `net.ipv4.tcp_slow_start_after_idle` is 0.

use super::Client;
use super::measure::{Prober, median};
use crate::error::Result;
use std::time::Duration;

/// So often a message is sent after a pause; the median counts.
const PAUSES: usize = 3;

/// After a message behind a pause so many follow at once, of which the fastest counts.
const FOLLOWING: usize = 2;

/// The most bytes of a message.
const BYTES_MAX: u64 = 8 << 20;

impl Client {
    /// How much longer a message of `bytes` (8 MiB at most) takes to the server after a pause than
    /// right behind another one; nothing if it takes less. Blocks for three pauses and eleven messages.
    ///
    /// # Errors
    /// As [`Client::measure_link`].
    pub fn measure_pause(&self, bytes: u64, pause: Duration) -> Result<Duration> {
        let peer = self.core.peer.clone();
        let bytes = bytes.min(BYTES_MAX) as usize;
        self.core.runtime().block_on(async {
            let (channel, _) = peer.open().await?;
            let mut prober = Prober::new(&peer, channel, bytes).await?;
            // The connection is as warm as a stream's.
            for _ in 0..FOLLOWING {
                prober.up(bytes).await?;
            }
            let mut longer = Vec::with_capacity(PAUSES);
            for _ in 0..PAUSES {
                tokio::time::sleep(pause).await;
                let behind_pause = prober.up(bytes).await?;
                let mut following = Duration::MAX;
                for _ in 0..FOLLOWING {
                    following = following.min(prober.up(bytes).await?);
                }
                longer.push(behind_pause.saturating_sub(following));
            }
            Ok(median(&mut longer))
        })
    }
}
