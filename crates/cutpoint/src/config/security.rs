//! How a server that a configuration describes is protected.

use super::{ServerConfig, read, read_token};
use crate::error::{Error, ErrorKind, Result};
use crate::server::{Security, TlsIdentity};

impl ServerConfig {
    /// How a server is protected. Reads the token, the certificate and its key.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if a file cannot be read; [`ErrorKind::Usage`] if it holds no token, or
    /// only one of certificate and key is given.
    pub fn security(&self) -> Result<Security> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(TlsIdentity { certificate_pem: read(certificate)?, key_pem: read(key)? })
            }
            (None, None) => None,
            _ => {
                let message = "TLS needs both a certificate and its key (tls_cert and tls_key)";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        };
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(Security { tls, token, is_open: self.insecure })
    }
}
