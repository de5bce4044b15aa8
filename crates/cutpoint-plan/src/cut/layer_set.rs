//! A set of layers as bits.

use crate::workload::{LayerId, ModelGraph};

/// A set of layers of one model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerSet {
    words: Vec<u64>,
}

impl LayerSet {
    /// No layer of `model`.
    pub fn none(model: &ModelGraph) -> LayerSet {
        LayerSet { words: vec![0; model.layers.len().div_ceil(64)] }
    }

    /// Every layer of `model`.
    pub fn all(model: &ModelGraph) -> LayerSet {
        let mut set = LayerSet::none(model);
        (0..model.layers.len()).for_each(|l| {
            set.insert(LayerId::at(l));
        });
        set
    }

    /// Adds a layer; returns whether it was new.
    pub fn insert(&mut self, layer: LayerId) -> bool {
        let (word, bit) = (layer.index() / 64, 1 << (layer.index() % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Takes a layer out; returns whether it was there.
    pub fn remove(&mut self, layer: LayerId) -> bool {
        let (word, bit) = (layer.index() / 64, 1 << (layer.index() % 64));
        let was_there = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        was_there
    }

    /// Adds every layer of `other`, a set of the same model.
    pub fn extend(&mut self, other: &LayerSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Whether `layer` is in the set.
    pub fn contains(&self, layer: LayerId) -> bool {
        self.words[layer.index() / 64] >> (layer.index() % 64) & 1 == 1
    }

    /// How many layers are in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no layer is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Whether some layer is in both sets.
    pub(crate) fn meets(&self, other: &LayerSet) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// The layers, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = LayerId> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors((word != 0).then_some(word), |w| {
                let rest = w & (w - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |w| LayerId::at(i * 64 + w.trailing_zeros() as usize))
        })
    }
}
