//! Jobs of one model in one case of a proof.

use crate::check::proof::modes::Mode;

/// Jobs of one model, and the modes that they can take.
#[derive(Clone, Debug)]
pub(super) struct Class<'m> {
    pub(super) count: u64,
    pub(super) modes: Vec<&'m Mode>,
}
