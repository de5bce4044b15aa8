//! The arguments that say where the server is and how to reach it.

use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::link::{Client, ConnectOptions, Tls};
use cutpoint_plan::units::Bandwidth;
use std::path::PathBuf;
use std::time::Duration;

/// Instead of an address: no server.
pub(crate) const NO_SERVER: &str = "local";

/// Flattened into every subcommand that talks to a server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// The server, as HOST:PORT; `local` for none.
    #[arg(long, value_name = "HOST:PORT", default_value = NO_SERVER)]
    pub(crate) server: String,

    /// Holds the uplink to this bandwidth, in millions of bits per second; without root.
    #[arg(long, value_name = "MBPS", value_parser = parse_bandwidth)]
    pub(crate) uplink_limit_mbps: Option<Bandwidth>,

    /// A file with the token that the server asks for.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Use TLS, and trust the certificate authority in this PEM file.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// How long to wait for the server to accept a connection, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub(crate) connect_timeout_s: f64,
}

impl ConnectArgs {
    /// The connection; `None` for `local`.
    pub(crate) fn connect(&self) -> Result<Option<Client>> {
        if self.server == NO_SERVER {
            return Ok(None);
        }
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|e| {
                Error::new(ErrorKind::File, format!("cannot be read: {e}")).at(path.display())
            })
        };
        let connect_timeout = Duration::try_from_secs_f64(self.connect_timeout_s)
            .map_err(|e| Error::new(ErrorKind::Usage, e.to_string()).at("--connect-timeout-s"))?;
        let options = ConnectOptions {
            uplink_limit: self.uplink_limit_mbps,
            connect_timeout,
            token: self.token_file.as_ref().map(&read).transpose()?.map(|t| t.trim().to_owned()),
            tls: self
                .tls_ca
                .as_ref()
                .map(&read)
                .transpose()?
                .map(|pem| Tls { authority_pem: pem.into_bytes(), server_name: None }),
            ..ConnectOptions::default()
        };
        Client::connect(&self.server, options).map(Some)
    }
}

fn parse_bandwidth(text: &str) -> Result<Bandwidth> {
    let bandwidth = text.parse().ok().and_then(Bandwidth::from_mbit_per_s);
    bandwidth.filter(|b| b.mbit_per_s() > 0.0).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no bandwidth {text:?}, expected Mbit/s above 0"))
    })
}
