//! Measuring the link itself: TCP in bulk each way, and UDP round trips.
//!
//! A connection begins with an [`Order`]. The side that receives measures, because it alone sees
//! what the link delivered.

pub(crate) mod measure;
pub(crate) mod serve;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Bytes in a UDP message.
pub(crate) const PING_BYTES: usize = 64;
/// The longest bulk transfer.
const BULK_LIMIT: Duration = Duration::from_secs(60);
/// How long one read or write may take.
const STALL_LIMIT: Duration = Duration::from_secs(20);
const CHUNK_BYTES: usize = 16 * 1024;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Up,
    Down,
}

/// A bulk transfer.
#[derive(Clone, Copy, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// How long each bulk transfer takes.
    #[arg(long)]
    bulk_ms: u64,
    /// How much of that is not measured.
    #[arg(long)]
    warm_up_ms: u64,
    /// How much a sender may have on its way, so that the link's queue does not overflow.
    #[arg(long)]
    send_buffer_bytes: usize,
}

/// The purpose of a connection: its first line, in JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Order {
    way: Way,
    transfer: Transfer,
}

/// The receiver's counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// All bytes.
    pub(crate) bytes: u64,
    /// Bytes that came after the warm-up.
    pub(crate) measured_bytes: u64,
    /// How long those took.
    pub(crate) measured_ms: f64,
}

/// Both ends' counts of a bulk transfer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bulk {
    /// Bytes that the sender handed to its kernel; none where the receiver cannot know.
    pub(crate) sent_bytes: Option<u64>,
    /// The receiver's counts.
    pub(crate) received: Received,
}

/// Everything that `probe-measure` measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From device to server.
    pub(crate) uplink: Bulk,
    /// From server to device.
    pub(crate) downlink: Bulk,
    /// Round trips, ascending.
    pub(crate) rtt_ms: Vec<f64>,
    /// Messages that nobody answered.
    pub(crate) unanswered: usize,
}

/// Writes for the duration of a transfer; returns the number of bytes.
fn send(mut stream: &TcpStream, transfer: Transfer) -> anyhow::Result<u64> {
    let duration = Duration::from_millis(transfer.bulk_ms);
    ensure!(duration <= BULK_LIMIT, "a transfer of {} ms is too long", transfer.bulk_ms);
    socket2::SockRef::from(stream).set_send_buffer_size(transfer.send_buffer_bytes)?;
    let chunk = [0x5a; CHUNK_BYTES];
    let deadline = Instant::now() + duration;
    let mut bytes = 0;
    while Instant::now() < deadline {
        match stream.write(&chunk) {
            Ok(written) => bytes += written as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot send"),
        }
    }
    Ok(bytes)
}

/// Reads to the end and measures from the first byte after the warm-up.
fn receive(mut stream: impl Read, transfer: Transfer) -> anyhow::Result<Received> {
    let warm_up = Duration::from_millis(transfer.warm_up_ms);
    let mut buffer = vec![0; 4 * CHUNK_BYTES];
    let mut bytes = 0;
    let mut first: Option<Instant> = None;
    let mut mark: Option<(Instant, u64)> = None;
    let mut last = Instant::now();
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot receive"),
        };
        last = Instant::now();
        bytes += count as u64;
        let first = *first.get_or_insert(last);
        if mark.is_none() && last - first >= warm_up {
            mark = Some((last, bytes));
        }
    }
    let (since, before) = mark.context("the transfer ended before its warm-up did")?;
    Ok(Received {
        bytes,
        measured_bytes: bytes - before,
        measured_ms: (last - since).as_secs_f64() * 1e3,
    })
}

fn set_limits(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(STALL_LIMIT))?;
    stream.set_write_timeout(Some(STALL_LIMIT))
}
