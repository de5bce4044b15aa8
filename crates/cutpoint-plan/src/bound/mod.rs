//! Lower bounds on the makespan of any plan.
//!
//! Paper: LB1, LB2 (`first_and_last`), LB4, and the load bound of section 5.6; Thm 4 where cuts are
//! too many to list.

mod first_and_last;
pub(crate) mod load_sums;
mod loads;
mod lower_bound;
mod mean_completion;
pub(crate) mod sketched;

pub(crate) use loads::{LoadBound, steady_load};
pub(crate) use lower_bound::{add_cheapest_cuts, lower_bound, quick_bound};
pub(crate) use mean_completion::sum_of_completions;
