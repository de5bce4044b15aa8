//! The crate from the outside.

mod run;
mod server;
