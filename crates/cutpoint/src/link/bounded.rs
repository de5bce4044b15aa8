//! A stream's connection with a window: it limits the bytes in flight to what fills the link.

use crate::bandwidth::window::{Acknowledgement, bytes_for};
use cutpoint_plan::units::Bandwidth;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Systems count a socket's bytes with their overhead, about a quarter more, and Linux reserves
/// half of the requested buffer for it.
const ASKED: f64 = 1.25 / 2.0;

/// How many bytes may be in flight; shared by the connections of a client.
#[derive(Debug, Default)]
pub(super) struct InFlight(AtomicUsize);

impl InFlight {
    /// Sets the link and the acknowledgement delay from now on.
    pub(super) fn expect(&self, uplink: Bandwidth, acknowledgement: Acknowledgement) {
        self.0.store(bytes_for(uplink, acknowledgement).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A TCP connection that limits the bytes in flight.
pub(super) struct Bounded {
    tcp: TcpStream,
    in_flight: Option<Arc<InFlight>>,
    applied: usize,
}

impl Bounded {
    pub(super) fn new(tcp: TcpStream, in_flight: Option<Arc<InFlight>>) -> Bounded {
        Bounded { tcp, in_flight, applied: 0 }
    }

    fn apply(&mut self) -> io::Result<()> {
        let Some(in_flight) = &self.in_flight else { return Ok(()) };
        let bytes = in_flight.0.load(Ordering::Relaxed);
        if bytes != self.applied && bytes > 0 {
            let asked = (bytes as f64 * ASKED) as usize;
            socket2::SockRef::from(&self.tcp).set_send_buffer_size(asked)?;
            self.applied = bytes;
        }
        Ok(())
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.apply()?;
        Pin::new(&mut this.tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::units::Time;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn mbps(value: f64) -> Bandwidth {
        Bandwidth::from_mbit_per_s(value).unwrap()
    }

    fn behind(round_trip: u64) -> Acknowledgement {
        let round_trip = Time::from_nanoseconds(round_trip * 1_000_000);
        Acknowledgement { round_trip, answer: Time::ZERO }
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_sent_little_until_the_link_is_faster() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        socket2::SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
        let in_flight = Arc::new(InFlight::default());
        in_flight.expect(mbps(1.0), behind(10));
        let mut bounded = Bounded::new(tcp, Some(in_flight.clone()));
        let block = [7u8; 4096];
        let mut written = 0;
        let fill = async |bounded: &mut Bounded, written: &mut usize| {
            let wait = Duration::from_millis(200);
            while let Ok(done) = tokio::time::timeout(wait, bounded.write(&block)).await {
                *written += done.unwrap();
            }
        };
        fill(&mut bounded, &mut written).await;
        let at_first = written;
        in_flight.expect(mbps(20.0), behind(20));
        fill(&mut bounded, &mut written).await;
        assert!(written > at_first + 32_768, "{at_first} bytes, then {written}");
        drop(bounded);
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), written);
    }
}
