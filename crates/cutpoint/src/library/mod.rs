//! The whole path for a program of the user's own: load models, measure them, plan, run.
//!
//! ```text
//! Model::load ─► Session::open ─► Session::profile ─► Profile::plan ─► Session::run
//! ```
//!
//! A [`Session`] is a device with its models, and the server it is connected to, if any. A
//! [`Profile`] is what was measured; [`Profile::plan`] makes a [`Planned`] for any number of jobs
//! without touching the world; [`Session::run`] executes that, as often as the program likes.
//!
//! Every call that takes long has two forms. The blocking one is for plain threads, and panics
//! within an asynchronous runtime if the session has a server; the other gives a [`Running`], a
//! future that needs no particular runtime. A run can be cancelled with a
//! [`Cancel`](crate::device::Cancel), or by dropping its future: it stops after the operation in
//! progress and leaves nothing running.
//!
//! Below this module are its parts, for programs that want less or more of them: [`crate::run`]
//! joins them, [`crate::server`] is the other end.

mod model;
mod outcome;
mod profile;
mod running;
mod session;

pub use model::Model;
pub use outcome::{JobOutcome, Outcome, Outputs};
pub use profile::{Planned, Profile};
pub use running::Running;
pub use session::{Session, SessionOptions};

#[cfg(test)]
mod tests;
