//! Waiting until a server listens, without connecting to it.

use crate::testbed::host::LOOK_AGAIN;
use crate::testbed::host::children::ChildGroup;
use crate::testbed::host::interrupts::{Interrupts, Waited};
use crate::testbed::host::netns::is_listening;
use anyhow::{bail, ensure};
use std::os::fd::AsFd as _;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// When the device's command may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Once anything in the server's namespace listens on TCP.
    AnyPort,
    /// Once something there listens on this TCP port.
    Port(u16),
    /// At once.
    AtOnce,
}

impl FromStr for Ready {
    type Err = String;

    fn from_str(text: &str) -> Result<Ready, String> {
        match text {
            "any" => Ok(Ready::AnyPort),
            "none" => Ok(Ready::AtOnce),
            port => port
                .parse()
                .map(Ready::Port)
                .map_err(|_| "expected a port, `any` or `none`".to_owned()),
        }
    }
}

/// Waits until the server is ready.
///
/// # Errors
///
/// If it ends, takes longer than `limit`, or the testbed is told to stop.
pub(crate) fn wait_ready(
    server: &mut ChildGroup,
    ready: Ready,
    limit: Duration,
    interrupts: &Interrupts,
) -> anyhow::Result<()> {
    let port = match ready {
        Ready::AtOnce => return Ok(()),
        Ready::AnyPort => None,
        Ready::Port(port) => Some(port),
    };
    let deadline = Instant::now() + limit;
    while !is_listening(server.id(), port)? {
        ensure!(
            Instant::now() < deadline,
            "the server does not listen after {} s\n\nhint: --ready-port and --ready-limit-s say \
             what is waited for",
            limit.as_secs()
        );
        match interrupts.wait(&[server.as_fd()], Instant::now() + LOOK_AGAIN)? {
            Waited::TimeOver => {}
            Waited::Interrupted => interrupts.check()?,
            Waited::Ready(_) => {
                if let Some(status) = server.status()? {
                    bail!("the server command ended before it listened, with {status}");
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_a_port_or_a_word() {
        assert_eq!("any".parse(), Ok(Ready::AnyPort));
        assert_eq!("7070".parse(), Ok(Ready::Port(7070)));
        assert_eq!("none".parse(), Ok(Ready::AtOnce));
        assert!("70700".parse::<Ready>().is_err());
    }
}
