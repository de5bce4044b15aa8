//! The crate from the outside.

mod server;
