//! The crate from the outside.

mod engines;
mod profile;
mod server;
