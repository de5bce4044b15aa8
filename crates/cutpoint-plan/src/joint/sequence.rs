//! Local search over sequences of jobs: a job elsewhere in the sequence, or in another mode.

/// One job of a sequence and the mode it takes. Of two jobs in one mode that are equal to the
/// search, moving either gives the same sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn<J> {
    pub member: J,
    pub mode: usize,
}

/// A search for a sequence with a smaller value.
pub(super) struct SequenceSearch<V, F> {
    /// The value of a sequence.
    pub(super) value: F,
    /// The smallest value so far.
    pub(super) best: V,
    /// How many turns of sequences may still be looked at.
    pub(super) budget: u64,
}

impl<V: Copy + Ord, F> SequenceSearch<V, F> {
    /// Whether a sequence is the best so far; never if the budget is spent.
    fn is_better<J>(&mut self, turns: &[Turn<J>]) -> bool
    where
        F: FnMut(&[Turn<J>]) -> V,
    {
        if self.budget == 0 {
            return false;
        }
        self.budget = self.budget.saturating_sub(turns.len() as u64);
        let value = (self.value)(turns);
        let is_better = value < self.best;
        self.best = self.best.min(value);
        is_better
    }

    /// Gives a job the best of the modes `tried`.
    pub(super) fn change_mode<J>(&mut self, turns: &mut [Turn<J>], i: usize, tried: &[usize])
    where
        J: Copy + PartialEq,
        F: FnMut(&[Turn<J>]) -> V,
    {
        let is_like = |turn: Option<&Turn<J>>| turn == Some(&turns[i]);
        if i > 0 && is_like(turns.get(i - 1)) && is_like(turns.get(i + 1)) {
            // Jobs are exchanged by moves; of a run of alike ones the ends are enough.
            return;
        }
        for &mode in tried {
            let old = std::mem::replace(&mut turns[i].mode, mode);
            if mode != old && !self.is_better(turns) {
                turns[i].mode = old;
            }
        }
    }

    /// Puts a job where the value is least, in its mode or in one of `modes`.
    pub(super) fn reinsert<J>(&mut self, turns: &mut [Turn<J>], from: usize, modes: &[usize])
    where
        J: Copy + PartialEq,
        F: FnMut(&[Turn<J>]) -> V,
    {
        let moved = turns[from];
        if from > 0 && moved == turns[from - 1] {
            return;
        }
        let (mut at, mut best) = (from, (from, moved.mode));
        for to in (0..from).rev().chain(from + 1..turns.len()) {
            if self.budget == 0 {
                break;
            }
            let is_as_before = turns[to] == moved && (at >= from || to != from + 1);
            carry(turns, at, to);
            at = to;
            if is_as_before {
                continue;
            }
            for &mode in std::iter::once(&moved.mode).chain(modes) {
                turns[at].mode = mode;
                if self.is_better(turns) {
                    best = (to, mode);
                }
            }
            turns[at].mode = moved.mode;
        }
        let (to, mode) = best;
        carry(turns, at, to);
        turns[to].mode = mode;
    }
}

/// Moves one turn to another position; those between close up.
fn carry<J>(turns: &mut [Turn<J>], from: usize, to: usize) {
    if from < to {
        turns[from..=to].rotate_left(1);
    } else {
        turns[to..=from].rotate_right(1);
    }
}
