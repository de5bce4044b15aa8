//! A sequence of blocks whose makespan is known after every change of one block.
//!
//! Inner nodes hold the two halves joined; a change costs one path to the root.
//!
//! Paper: Thm 5 (fast evaluation).

use crate::flow_shop::johnson::Block;

/// Blocks in sequence.
#[derive(Clone, Debug)]
pub(crate) struct BlockTree {
    leaves: usize,
    /// The root is node 1; the children of node i are 2i and 2i + 1.
    blocks: Vec<Block>,
}

impl BlockTree {
    /// `count` empty blocks.
    pub(crate) fn new(count: usize) -> BlockTree {
        let leaves = count.next_power_of_two();
        BlockTree { leaves, blocks: vec![Block::default(); 2 * leaves] }
    }

    /// Replaces the block at a position. O(log count).
    pub(crate) fn set(&mut self, position: usize, block: Block) {
        let mut node = self.leaves + position;
        self.blocks[node] = block;
        while node > 1 {
            node /= 2;
            self.blocks[node] = self.blocks[2 * node].then(self.blocks[2 * node + 1]);
        }
    }

    /// All blocks in sequence.
    pub(crate) fn whole(&self) -> Block {
        self.blocks[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn thm5_tree_equals_the_recurrence(
            changes in prop::collection::vec((0usize..13, 0u64..9, 0u64..9), 0..40),
        ) {
            let mut tree = BlockTree::new(13);
            let mut plain = vec![Block::default(); 13];
            for (position, f, g) in changes {
                let [device, uplink, alone] = [f, g, f + g].map(Time::from_nanoseconds);
                plain[position] = Block { device, uplink, alone };
                tree.set(position, plain[position]);
                let joined = plain.iter().copied().fold(Block::default(), Block::then);
                prop_assert_eq!(tree.whole(), joined);
            }
        }
    }
}
