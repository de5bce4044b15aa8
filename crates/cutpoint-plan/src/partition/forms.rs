//! The forms in which the tensors of a cut may cross the link.

use crate::problem::{Form, Pricer};
use crate::workload::TensorId;

/// All combinations of encodings of a frontier are listed if there are at most this many.
const COMBINATIONS_MAX: usize = 512;

/// For each tensor of a model, the forms that no other form beats; the one with the smallest sum
/// first.
#[derive(Debug)]
pub(super) struct Forms(Vec<Vec<Form>>);

impl Forms {
    pub(super) fn new(pricer: &Pricer<'_>) -> Forms {
        let tensors = (0..pricer.model.tensors.len()).map(TensorId::at);
        Forms(tensors.map(|tensor| unbeaten(pricer.forms(tensor).collect())).collect())
    }

    /// How many combinations of forms a frontier has; `None` if they are too many to list.
    pub(super) fn combinations(&self, frontier: &[TensorId]) -> Option<usize> {
        let mut counts = frontier.iter().map(|t| self.0[t.index()].len());
        if counts.clone().any(|n| n == 0) {
            return Some(0);
        }
        let count = counts.try_fold(1usize, usize::checked_mul);
        count.filter(|&n| n <= COMBINATIONS_MAX)
    }

    /// One of these combinations. Number 0 has the first form of each tensor.
    pub(super) fn combination<'f>(
        &'f self,
        frontier: &'f [TensorId],
        mut place: usize,
    ) -> impl Iterator<Item = &'f Form> {
        frontier.iter().map(move |tensor| {
            let forms = &self.0[tensor.index()];
            let form = &forms[place % forms.len()];
            place /= forms.len();
            form
        })
    }
}

/// The forms that no other form beats in encode, transfer and decode time.
fn unbeaten(mut forms: Vec<Form>) -> Vec<Form> {
    forms.sort_by_key(|f| {
        let nanoseconds = [f.encode, f.transfer, f.decode].map(|t| u128::from(t.nanoseconds()));
        (nanoseconds.iter().sum::<u128>(), f.encode, f.transfer)
    });
    let mut kept: Vec<Form> = Vec::new();
    for form in forms {
        let is_beaten = |k: &Form| {
            k.encode <= form.encode && k.transfer <= form.transfer && k.decode <= form.decode
        };
        if !kept.iter().any(is_beaten) {
            kept.push(form);
        }
    }
    kept
}
