//! Two-machine flow shop, F2 || C_max: in which order do jobs finish soonest, and when?
//!
//! Machine 1 is the device, machine 2 the uplink; each does one thing at a time, and every job
//! visits both in that order.
//!
//! | paper | here | meaning |
//! |---|---|---|
//! | f_j | `device` | time on the device |
//! | g_j | `uplink` | time on the uplink |
//! | C_max | makespan | when the last transfer ends |

pub(crate) mod block_tree;
pub(crate) mod composite;
pub(crate) mod identical;
pub(crate) mod johnson;
pub(crate) mod segments;
