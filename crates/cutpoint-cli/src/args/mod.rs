//! Arguments that several subcommands share.

pub(crate) mod connect;
pub(crate) mod encoding;
pub(crate) mod engine;
pub(crate) mod format;
pub(crate) mod image;
pub(crate) mod model;
pub(crate) mod values;
pub(crate) mod workload;
