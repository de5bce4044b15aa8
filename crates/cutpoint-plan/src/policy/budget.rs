//! The budget of each search.

/// Jobs of sequences that a search may look at.
pub(crate) const STEPS: u64 = 60_000;

/// A plan that exceeds the bound by less than one part in this is near enough to need no sharper
/// bound; and counts that exceed a plan by no more may yet lead to a shorter one.
pub(crate) const NEAR_ENOUGH: u64 = 500;

/// How many mixes are tried whose loads leave room for a shorter plan.
pub(crate) const STARTS_MAX: usize = 4;

/// Nodes that the exact search may visit on behalf of `joint`.
pub(crate) const NODES_JOINT: u64 = 400_000;

/// The same for more than [`SMALL_JOBS_MAX`] jobs where server or downlink count: there the search
/// seldom ends, and a node costs more.
pub(crate) const NODES_JOINT_MANY: u64 = 8_000;

/// Up to this many jobs the search may take its time.
pub(crate) const SMALL_JOBS_MAX: usize = 5;

/// Nodes that the exact search may visit on behalf of `exhaustive`.
pub(crate) const NODES_EXHAUSTIVE: u64 = 20_000_000;

/// On two machines, the exact search is tried for at most this many jobs, where Johnson's rule leaves only the modes to choose.
pub(crate) const EXACT_JOBS_MAX_TWO_MACHINES: usize = 200;

/// Turns of sequences that a search may look at.
pub(crate) const TURNS: u64 = 400_000;

/// Sequences of more jobs than this are not improved turn by turn.
pub(crate) const IMPROVED_JOBS_MAX: usize = 500;

/// How many of the best starts are improved.
pub(crate) const IMPROVED_STARTS: usize = 3;

/// The exact search of a restricted problem is tried for at most this many jobs.
pub(crate) const RESTRICTED_JOBS_MAX: usize = 8;

/// Leaves of the search for counts that are visited at a change of bandwidth.
pub(crate) const REPLAN_LEAVES: u64 = 200;

/// Evaluations of a mix at a change of bandwidth: in general, and near the bound.
pub(crate) const REPLAN_EVALUATIONS: (u64, u64) = (4_000, 100);

/// Nodes of an exact search for this many jobs: with more jobs it takes longer, and less is to be
/// gained.
pub(crate) fn nodes_for(nodes: u64, jobs: u64) -> u64 {
    const UNDIMINISHED: u64 = 30;
    match jobs {
        0..=UNDIMINISHED => nodes,
        _ => nodes * UNDIMINISHED.pow(3) / jobs.pow(3),
    }
}
