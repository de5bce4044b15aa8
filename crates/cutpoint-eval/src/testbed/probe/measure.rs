//! The device's side of a measurement.

use super::{Bulk, Measured, Order, PING_BYTES, Transfer, Way, receive, send, set_limits};
use crate::testbed::host::priority::raise_this_thread;
use anyhow::Context;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer is waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Rest between two UDP messages, so that each meets an empty link.
const REST: Duration = Duration::from_millis(10);

/// Flags of `testbed probe-measure`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where a `probe-serve` listens.
    #[arg(long)]
    server: SocketAddr,
    #[command(flatten)]
    transfer: Transfer,
    /// How many UDP messages are sent.
    #[arg(long)]
    pings: u64,
}

/// Measures and prints a [`Measured`] as JSON.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // On a busy machine one that waits for its turn would measure that wait.
    raise_this_thread();
    let (rtt_ms, unanswered) = measure_round_trips(args)?;
    let measured = Measured {
        uplink: measure_bulk(args, Way::Up)?,
        downlink: measure_bulk(args, Way::Down)?,
        rtt_ms,
        unanswered,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(ExitCode::SUCCESS)
}

fn measure_bulk(args: &Args, way: Way) -> anyhow::Result<Bulk> {
    let transfer = args.transfer;
    let mut stream = TcpStream::connect(args.server)
        .with_context(|| format!("cannot connect to {}", args.server))?;
    set_limits(&stream)?;
    writeln!(stream, "{}", serde_json::to_string(&Order { way, transfer })?)
        .context("cannot send an order")?;
    if way == Way::Down {
        let received = receive(&stream, transfer)?;
        return Ok(Bulk { sent_bytes: None, received });
    }
    let sent = send(&stream, transfer)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).context("cannot read the answer")?;
    let received = serde_json::from_str(&answer).context("the answer is not readable")?;
    Ok(Bulk { sent_bytes: Some(sent), received })
}

/// The round trips that were answered, ascending, and the number of those that were not.
fn measure_round_trips(args: &Args) -> anyhow::Result<(Vec<f64>, usize)> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("cannot open a UDP socket")?;
    socket.connect(args.server).context("cannot choose the UDP peer")?;
    socket.set_read_timeout(Some(ANSWER_LIMIT))?;
    let (mut rtt_ms, mut unanswered) = (Vec::new(), 0);
    for number in 0..args.pings {
        match measure_round_trip(&socket, number)? {
            Some(rtt) => rtt_ms.push(rtt.as_secs_f64() * 1e3),
            None => unanswered += 1,
        }
        thread::sleep(REST);
    }
    rtt_ms.sort_by(f64::total_cmp);
    Ok((rtt_ms, unanswered))
}

fn measure_round_trip(socket: &UdpSocket, number: u64) -> anyhow::Result<Option<Duration>> {
    let mut message = [0; PING_BYTES];
    message[..8].copy_from_slice(&number.to_be_bytes());
    let mut answer = [0; PING_BYTES];
    let started = Instant::now();
    socket.send(&message).context("cannot send a UDP message")?;
    loop {
        match socket.recv(&mut answer) {
            // One that answers an earlier message is too late to count.
            Ok(_) if answer != message => {}
            Ok(_) => return Ok(Some(started.elapsed())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("cannot receive a UDP message"),
        }
        if started.elapsed() > ANSWER_LIMIT {
            return Ok(None);
        }
    }
}
