//! How much a stream may have on its way: enough to fill the link, and not so much that answers wait
//! behind it.
//!
//! A sender that is free to fills every queue on the way, and keeps it full. The server's answers are
//! acknowledged through the same queue, so an answer of more than a few packets then takes several
//! times the time that the queue takes to empty: on a link of 18.88 Mbit/s with a queue of 1 MiB, half a
//! second each. Once bandwidth and round trip are known, no more is needed on the way than what the
//! link holds; the rest waits here, where it is in nobody's way.

use cutpoint_plan::units::{Bandwidth, Time};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is on its way beyond twice what the link holds: so much time of sending, while the sender
/// waits for a processor, and so many bytes.
const SPARE: Duration = Duration::from_millis(10);
const SPARE_BYTES: f64 = 16_384.0;

/// Of more than this the system is left alone: systems seldom let a program ask for more.
const BYTES_MAX: f64 = 262_144.0;

/// Systems count what a socket holds with its administration, about a quarter more than the bytes,
/// and Linux takes half of what it is asked for as meant for that.
const ASKED: f64 = 1.25 / 2.0;

/// How many bytes may be on their way; shared by the connections of a client.
#[derive(Debug, Default)]
pub(super) struct InFlight(AtomicUsize);

impl InFlight {
    /// From now on the link is like this.
    pub(super) fn expect(&self, uplink: Bandwidth, round_trip: Duration) {
        self.0.store(bytes_for(uplink, round_trip).unwrap_or(0), Ordering::Relaxed);
    }
}

/// How many bytes fill a link; `None` if so many that nothing needs to be done.
fn bytes_for(uplink: Bandwidth, round_trip: Duration) -> Option<usize> {
    let bytes_per_s = uplink.mbit_per_s() * 1e6 / 8.0;
    let seconds = 2.0 * round_trip.as_secs_f64() + SPARE.as_secs_f64();
    let bytes = bytes_per_s * seconds + SPARE_BYTES;
    (bytes <= BYTES_MAX && bytes_per_s > 0.0).then_some(bytes as usize)
}

/// How long what may be on its way takes to cross a link.
pub(crate) fn time_in_flight(uplink: Bandwidth, round_trip: Time) -> Time {
    let spare = Time::from_nanoseconds(SPARE.as_nanos() as u64);
    let bytes = uplink.transfer_time(SPARE_BYTES as u64).unwrap_or(Time::ZERO);
    round_trip * 2 + spare + bytes
}

/// A TCP connection that holds no more than it should.
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn mbps(value: f64) -> Bandwidth {
        Bandwidth::from_mbit_per_s(value).unwrap()
    }

    #[test]
    fn a_link_is_filled_and_little_more() {
        for (uplink, ms) in [(1.1, 100), (5.85, 50), (18.88, 5)] {
            let round_trip = Duration::from_millis(ms);
            let holds = uplink * 1e6 / 8.0 * round_trip.as_secs_f64();
            let bytes = bytes_for(mbps(uplink), round_trip).unwrap() as f64;
            assert!(bytes > 2.0 * holds && bytes < 2.0 * holds + 64_000.0, "{uplink}: {bytes}");
            let time = time_in_flight(mbps(uplink), Time::from_nanoseconds(ms * 1_000_000));
            let crossing = mbps(uplink).transfer_time(bytes as u64).unwrap().milliseconds();
            assert!((time.milliseconds() - crossing).abs() < 0.1, "{uplink}: {time}");
        }
        assert_eq!(bytes_for(mbps(8_000.0), Duration::from_micros(90)), None);
        assert_eq!(bytes_for(mbps(0.0), Duration::from_millis(5)), None);
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_sent_little_until_the_link_is_faster() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        socket2::SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
        let in_flight = Arc::new(InFlight::default());
        in_flight.expect(mbps(1.0), Duration::from_millis(10));
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
        in_flight.expect(mbps(20.0), Duration::from_millis(20));
        fill(&mut bounded, &mut written).await;
        assert!(written > at_first + 32_768, "{at_first} bytes, then {written}");
        drop(bounded);
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), written);
    }
}
