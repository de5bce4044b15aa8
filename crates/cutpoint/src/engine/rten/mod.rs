//! The embedded engine: rten, pure Rust, nothing to install.
//!
//! rten computes with 32-bit floating point, 32-bit, and 8-bit integers. Other element types are
//! converted at its border: 64-bit, 16-bit and boolean tensors travel inside as 32-bit integers,
//! half and double precision as single precision. An output comes back with the element type that
//! the model declares for it, or with rten's own where the model declares none.

mod child;
mod convert;
mod profile;
mod session;

pub use child::run_profile_job;
pub use session::Rten;
