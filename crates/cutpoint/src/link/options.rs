//! How to connect to a server.

use cutpoint_plan::units::Bandwidth;
use std::time::Duration;

/// How to connect to a server.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Limits everything that this client sends, headers included, to a bandwidth.
    pub uplink_limit: Option<Bandwidth>,
    /// How long a connection may take to be set up.
    pub connect_timeout: Duration,
    /// How long a reply may take, and how long sending may stand still.
    pub request_timeout: Duration,
    /// How long the server may take to load or profile a model.
    pub load_timeout: Duration,
    /// Encrypts the connection.
    pub tls: Option<Tls>,
    /// The token that the server asks for.
    pub token: Option<String>,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        ConnectOptions {
            uplink_limit: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(600),
            tls: None,
            token: None,
        }
    }
}

/// Which certificates to trust.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates in PEM: the server's own, or the authority's that signed it.
    pub authority_pem: Vec<u8>,
    /// The name in the server's certificate, if it differs from the host in the address.
    pub server_name: Option<String>,
}
