//! Arguments that say where the server is and how to reach it.

use super::values;
use cutpoint::config::ServerConfig;
use cutpoint_plan::units::Bandwidth;
use std::path::PathBuf;
use std::time::Duration;

/// Flattened into every subcommand that talks to a server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// The server, as HOST:PORT; `local` for none [default: local].
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,

    /// Limit the uplink to this bandwidth, in Mbit/s; needs no root.
    #[arg(long, value_name = "MBPS", value_parser = values::bandwidth)]
    uplink_limit_mbps: Option<Bandwidth>,

    /// A file with the token that the server asks for.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Use TLS, and trust the certificate authority in this PEM file.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// How long to wait for the server to accept a connection, in seconds [default: 5].
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    connect_timeout_s: Option<Duration>,
}

impl ConnectArgs {
    /// Replaces what the arguments name in a configuration.
    pub(crate) fn apply(&self, server: &mut ServerConfig) {
        replace(&mut server.address, &self.server);
        replace(&mut server.uplink_limit, &self.uplink_limit_mbps);
        replace(&mut server.token_file, &self.token_file);
        replace(&mut server.tls_ca, &self.tls_ca);
        replace(&mut server.connect_timeout, &self.connect_timeout_s);
    }
}

/// Replaces a setting by an argument, if it is given.
pub(crate) fn replace<T: Clone>(setting: &mut Option<T>, argument: &Option<T>) {
    if argument.is_some() {
        setting.clone_from(argument);
    }
}
