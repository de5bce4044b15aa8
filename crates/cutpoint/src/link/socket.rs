//! The two layers around the client's TCP connection: one holds the uplink to a bandwidth and to what
//! fills it, the other watches HTTP/2 frames go out, to tell when a message's first and last byte left.
//!
//! From the outside in: HTTP/2, [`Metered`], TLS where it is used, [`Paced`], TCP.

use crate::bandwidth::pacer::Pacer;
use crate::bandwidth::window::{Acknowledgement, bytes_for};
use cutpoint_plan::units::Bandwidth;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// The bytes that pass the virtual link at once.
const CHUNK_BYTES: usize = 4096;

/// Systems count what a socket holds with its administration, about a quarter more than the bytes,
/// and Linux takes half of what it is asked for as meant for that.
const ASKED: f64 = 1.25 / 2.0;

/// Timers fire up to a millisecond after they are due. Aiming half of that earlier makes the
/// error small and centred.
const TIMER_LEAD: Duration = Duration::from_micros(500);

/// How many of the peer's first bytes are kept, to identify it if it does not speak HTTP/2.
const GREETING_BYTES: usize = 48;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How many bytes may be on their way; shared by the connections of a client.
#[derive(Debug, Default)]
pub(super) struct InFlight(AtomicUsize);

impl InFlight {
    /// From now on the link and its acknowledgements are like this.
    pub(super) fn expect(&self, uplink: Bandwidth, acknowledgement: Acknowledgement) {
        self.0.store(bytes_for(uplink, acknowledgement).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A TCP connection whose writes pass a virtual link, which other connections may share, and which
/// holds no more than may be on its way.
pub(super) struct Paced {
    tcp: TcpStream,
    pacer: Option<Arc<Mutex<Pacer>>>,
    in_flight: Option<Arc<InFlight>>,
    /// How many bytes the system was last told that it may hold.
    applied: usize,
    sleep: Pin<Box<Sleep>>,
    state: PacedState,
}

enum PacedState {
    /// No bytes are on the virtual link.
    Free,
    /// This many bytes are on the virtual link, until the timer fires.
    Passing(usize),
    /// This many bytes have passed and may be written.
    Passed(usize),
}

impl Paced {
    /// Needs to be called within a runtime.
    pub(super) fn new(
        tcp: TcpStream,
        pacer: Option<Arc<Mutex<Pacer>>>,
        in_flight: Option<Arc<InFlight>>,
    ) -> Paced {
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        Paced { tcp, pacer, in_flight, applied: 0, sleep, state: PacedState::Free }
    }

    fn poll_tcp(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = self.in_flight.as_ref().map_or(0, |held| held.0.load(Ordering::Relaxed));
        if bytes != self.applied && bytes > 0 {
            let asked = (bytes as f64 * ASKED) as usize;
            socket2::SockRef::from(&self.tcp).set_send_buffer_size(asked)?;
            self.applied = bytes;
        }
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(pacer) = this.pacer.as_ref().filter(|_| !buf.is_empty()) else {
            return this.poll_tcp(cx, buf);
        };
        loop {
            match this.state {
                PacedState::Free => {
                    let size = buf.len().min(CHUNK_BYTES);
                    let now = Instant::now();
                    let end = lock(pacer).reserve(now, size);
                    let due = end.checked_sub(TIMER_LEAD).unwrap_or(end);
                    if due <= now {
                        this.state = PacedState::Passed(size);
                    } else {
                        this.sleep.as_mut().reset(due.into());
                        this.state = PacedState::Passing(size);
                    }
                }
                PacedState::Passing(size) => {
                    ready!(this.sleep.as_mut().poll(cx));
                    lock(pacer).release(Instant::now());
                    this.state = PacedState::Passed(size);
                }
                PacedState::Passed(size) => {
                    let part = &buf[..size.min(buf.len())];
                    let written = ready!(this.poll_tcp(cx, part))?;
                    this.state = match size.saturating_sub(written) {
                        0 => PacedState::Free,
                        left => PacedState::Passed(left),
                    };
                    return Poll::Ready(Ok(written));
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

/// The state of one connection's bytes.
#[derive(Debug, Default)]
pub(super) struct Meter {
    log: Mutex<MeterLog>,
}

#[derive(Debug, Default)]
struct MeterLog {
    frames: FrameScanner,
    awaited: VecDeque<Awaited>,
    /// Where the next message begins, in bytes of message data.
    announced: u64,
    greeting: Vec<u8>,
    abandoned: bool,
}

#[derive(Debug)]
struct Awaited {
    end: u64,
    answer: oneshot::Sender<Instant>,
}

impl Meter {
    /// Announces that the connection's next message has `bytes`. The returned receiver gets the
    /// moment at which its last byte was handed to the socket; it is dropped with the connection.
    pub(super) fn announce(&self, bytes: u64) -> oneshot::Receiver<Instant> {
        let (answer, receiver) = oneshot::channel();
        let mut log = lock(&self.log);
        log.announced += bytes;
        let end = log.announced;
        if !log.abandoned {
            log.awaited.push_back(Awaited { end, answer });
        }
        receiver
    }

    /// Skips bytes that left without being announced; the next message begins here.
    pub(super) fn begin_here(&self) {
        let mut log = lock(&self.log);
        log.announced = log.frames.message_bytes;
    }

    /// Drops all answers that are awaited now or later.
    pub(super) fn abandon(&self) {
        let mut log = lock(&self.log);
        log.abandoned = true;
        log.awaited.clear();
    }

    /// How many bytes of messages have left.
    pub(super) fn sent_bytes(&self) -> u64 {
        lock(&self.log).frames.message_bytes
    }

    /// The first bytes that the peer sent.
    pub(super) fn greeting(&self) -> Vec<u8> {
        lock(&self.log).greeting.clone()
    }

    fn wrote(&self, bytes: &[u8]) {
        lock(&self.log).frames.scan(bytes);
    }

    fn flushed(&self, now: Instant) {
        let mut log = lock(&self.log);
        let sent = log.frames.message_bytes;
        while let Some(message) = log.awaited.pop_front_if(|m| m.end <= sent) {
            // Nobody listens any more after a timeout.
            let _ = message.answer.send(now);
        }
    }

    fn read(&self, bytes: &[u8]) {
        let mut log = lock(&self.log);
        let room = GREETING_BYTES.saturating_sub(log.greeting.len());
        log.greeting.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Follows the HTTP/2 frames that a client writes and counts the payload of DATA frames.
#[derive(Debug)]
struct FrameScanner {
    /// Bytes of the connection preface, or of the current frame's payload, still to come.
    payload_left: u64,
    is_data: bool,
    header: [u8; 9],
    header_length: usize,
    message_bytes: u64,
}

impl Default for FrameScanner {
    fn default() -> FrameScanner {
        const PREFACE_BYTES: u64 = 24;
        FrameScanner {
            payload_left: PREFACE_BYTES,
            is_data: false,
            header: [0; 9],
            header_length: 0,
            message_bytes: 0,
        }
    }
}

impl FrameScanner {
    fn scan(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let here = self.payload_left.min(bytes.len() as u64);
                self.payload_left -= here;
                if self.is_data {
                    self.message_bytes += here;
                }
                bytes = &bytes[here as usize..];
                continue;
            }
            self.header[self.header_length] = bytes[0];
            self.header_length += 1;
            bytes = &bytes[1..];
            if self.header_length == self.header.len() {
                let [a, b, c, kind, ..] = self.header;
                self.payload_left = u64::from(u32::from_be_bytes([0, a, b, c]));
                self.is_data = kind == 0;
                self.header_length = 0;
            }
        }
    }
}

/// A connection that reports what passes to a [`Meter`].
pub(super) struct Metered {
    inner: Box<dyn Io>,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(inner: Box<dyn Io>, meter: Arc<Meter>) -> Metered {
        Metered { inner, meter }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.meter.abandon();
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?;
        this.meter.wrote(&buf[..written.min(buf.len())]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        this.meter.flushed(Instant::now());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.meter.read(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::units::Time;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let [_, a, b, c] = (payload as u32).to_be_bytes();
        let mut bytes = vec![a, b, c, kind, 0, 0, 0, 0, 1];
        bytes.resize(9 + payload, 0xAB);
        bytes
    }

    #[test]
    fn a_message_ends_with_its_last_byte_for_any_frame_boundaries() {
        let meter = Meter::default();
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut first = meter.announce(30);
        let mut second = meter.announce(10);
        meter.wrote(&[b'P'; 24]);
        meter.wrote(&frame(4, 18));
        meter.wrote(&frame(0, 20));
        meter.flushed(at(1));
        assert!(first.try_recv().is_err());
        meter.wrote(&frame(8, 4));
        meter.wrote(&frame(0, 15));
        meter.flushed(at(2));
        assert_eq!(first.try_recv(), Ok(at(2)));
        assert!(second.try_recv().is_err());
        meter.wrote(&frame(0, 5));
        meter.flushed(at(3));
        assert_eq!(second.try_recv(), Ok(at(3)));
    }

    #[test]
    fn a_lost_connection_drops_its_waiters() {
        let meter = Meter::default();
        let mut before = meter.announce(30);
        meter.abandon();
        let mut after = meter.announce(30);
        assert_eq!(before.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(after.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

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
        let mut bounded = Paced::new(tcp, None, Some(in_flight.clone()));
        let block = [7u8; 4096];
        let mut written = 0;
        let fill = async |bounded: &mut Paced, written: &mut usize| {
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

    proptest! {
        #[test]
        fn only_data_counts_however_writes_are_cut(
            frames in proptest::collection::vec((0u8..10, 0usize..300), 0..20),
            cuts in proptest::collection::vec(1usize..200, 1..20),
        ) {
            let mut stream = vec![b'P'; 24];
            let mut expected = 0;
            for (kind, payload) in frames {
                stream.extend(frame(kind, payload));
                expected += if kind == 0 { payload as u64 } else { 0 };
            }
            let mut scanner = FrameScanner::default();
            let mut rest = stream.as_slice();
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (part, left) = rest.split_at(rest.len().min(*cuts.next().expect("a cycle")));
                scanner.scan(part);
                rest = left;
            }
            prop_assert_eq!(scanner.message_bytes, expected);
        }
    }
}
