//! The server's side of a measurement: takes bulk data, sends it, and returns UDP messages.

use super::{CHUNK_BYTES, Order, PING_BYTES, Way, receive, send, set_limits};
use crate::testbed::host::priority::raise_this_thread;
use anyhow::Context;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;

/// The longest first line of a connection.
const ORDER_BYTES_MAX: u64 = 1_024;

/// Flags of `testbed probe-serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address for TCP and UDP.
    #[arg(long)]
    listen: SocketAddr,
}

/// Serves one connection after the other until it is stopped.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    raise_this_thread();
    let udp = UdpSocket::bind(args.listen).context("cannot listen on UDP")?;
    thread::spawn(move || echo(&udp));
    let tcp = TcpListener::bind(args.listen).context("cannot listen on TCP")?;
    for stream in tcp.incoming() {
        if let Err(error) = serve(&stream?) {
            eprintln!("warning: {error:#}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn echo(udp: &UdpSocket) {
    let mut buffer = [0; PING_BYTES];
    loop {
        // A message that cannot be returned is one that the other side counts as lost.
        if let Ok((size, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(&buffer[..size], from);
        }
    }
}

fn serve(stream: &TcpStream) -> anyhow::Result<()> {
    set_limits(stream)?;
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, stream);
    let mut line = String::new();
    reader.by_ref().take(ORDER_BYTES_MAX).read_line(&mut line).context("cannot read an order")?;
    let Order { way, transfer } = serde_json::from_str(&line).context("not an order")?;
    match way {
        Way::Up => {
            let received = receive(reader, transfer)?;
            let mut stream = stream;
            writeln!(stream, "{}", serde_json::to_string(&received)?).context("cannot answer")
        }
        Way::Down => send(stream, transfer).map(drop),
    }
}
