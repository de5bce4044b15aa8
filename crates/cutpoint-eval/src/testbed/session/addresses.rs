//! Where device and server are reached.

/// The addresses of device and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) device: &'static str,
    pub(crate) server: &'static str,
}
