//! What a run teaches about the next one: the times of the parts of models as they were when device,
//! link and server were all at work.
//!
//! Profiles are taken of one machine at a time. In a run the device's processor also sends, and in
//! trials on one machine the server computes beside the device; both take longer than alone. So a
//! few jobs are executed under the policy at hand, and layers are scaled to what they took.
//!
//! A plan prefers the cuts that look cheap, so it prefers those that were measured too favourably.
//! Where the times of a rehearsal make for a plan with other cuts, these are rehearsed in their turn,
//! and in the end a plan has only cuts that were executed. It is executed with what was loaded for
//! the rehearsal.
//!
//! Cuts divide models, which costs time by itself, so where they promise little, whole jobs are
//! rehearsed too. In the end a short plan is run through as a whole.

mod excerpt;
mod full_run;
mod observed_times;
mod options;
#[expect(clippy::module_inception, reason = "the room is named after what it holds")]
mod rehearsal;
mod whole_jobs;

pub use options::RehearsalOptions;
