//! The first run of a session, in which engines allocate and touch what every later run needs.

use super::declared::{Declared, Dimension, Port};
use super::interface::InferenceSession;
use crate::tensor::{Tensor, synthetic};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Inputs of more bytes than this are not made up.
const BYTES_MAX: usize = 256 << 20;

/// Runs a session once on made-up values, if the model says enough about its inputs. What comes of
/// it does not matter: values may be refused that a user would never give.
pub(crate) fn warm_up(session: &mut dyn InferenceSession, declared: &Declared) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut left = BYTES_MAX;
    let mut make = |port: &Port| {
        let element_type = port.element_type?;
        let size = |d: &Dimension| match d {
            Dimension::Fixed(size) => Some(*size),
            Dimension::Open(_) => None,
        };
        let shape = port.shape.as_ref()?.iter().map(size).collect::<Option<Vec<usize>>>()?;
        let count = shape.iter().try_fold(element_type.size(), |n, &d| n.checked_mul(d))?;
        left = left.checked_sub(count)?;
        Some(synthetic(element_type, &shape, &mut random))
    };
    let made: Option<Vec<Tensor>> = declared.inputs.iter().map(&mut make).collect();
    let Some(made) = made else { return };
    let names = declared.inputs.iter().map(|port| port.name.as_str());
    let inputs: Vec<(&str, &Tensor)> = names.zip(&made).collect();
    if let Err(error) = session.run(&inputs) {
        log::debug!("the first run on made-up values failed: {error}");
    }
}
