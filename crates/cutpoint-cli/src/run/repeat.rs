//! Short runs, executed several times: one alone is too short to tell.

use cutpoint::error::Result;
use cutpoint::trace::Execution;
use cutpoint_plan::units::Time;

/// The most executions; odd.
const TIMES_MAX: usize = 21;

/// Executes until `enough` time has passed, an odd number of times and at most [`TIMES_MAX`]; gives the
/// execution whose makespan is the median, and of how many. `execute` is told how many there were
/// before. Where a job failed or the server was lost, that execution is the one.
///
/// # Errors
/// Those of `execute`.
pub(super) fn median_of_repeats(
    enough: Time,
    mut execute: impl FnMut(usize) -> Result<Execution>,
) -> Result<(Execution, usize)> {
    let (mut executions, mut spent) = (Vec::new(), Time::ZERO);
    while executions.len() % 2 == 0 || (spent < enough && executions.len() < TIMES_MAX) {
        let execution = execute(executions.len())?;
        if execution.failure_count > 0 || execution.fallback_count > 0 {
            return Ok((execution, 1));
        }
        spent += execution.makespan;
        executions.push(execution);
    }
    let count = executions.len();
    executions.sort_by_key(|execution| execution.makespan);
    Ok((executions.swap_remove(count / 2), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint::error::{Error, ErrorKind};

    const fn ms(ms: u64) -> Time {
        Time::from_nanoseconds(ms * 1_000_000)
    }

    /// What is reported of executions that take these times in ms.
    fn reported(enough: u64, times: &[u64]) -> (u64, usize) {
        let run =
            |before: usize| Ok(Execution { makespan: ms(times[before]), ..Execution::default() });
        let (execution, count) = median_of_repeats(ms(enough), run).unwrap();
        (execution.makespan.nanoseconds() / 1_000_000, count)
    }

    #[test]
    fn a_run_is_repeated_until_enough_time_has_passed() {
        assert_eq!(reported(0, &[70]), (70, 1));
        assert_eq!(reported(100, &[100]), (100, 1));
        assert_eq!(reported(100, &[60, 90, 70]), (70, 3));
        assert_eq!(reported(100, &[60, 30, 50]), (50, 3));
        let descending: Vec<u64> = (1..=TIMES_MAX as u64).rev().collect();
        assert_eq!(reported(1_000, &descending), (11, TIMES_MAX));
    }

    #[test]
    fn a_run_with_a_failure_is_the_one_reported() {
        let wrong = [
            Execution { failure_count: 1, makespan: ms(7), ..Execution::default() },
            Execution { fallback_count: 1, makespan: ms(7), ..Execution::default() },
        ];
        for wrong in wrong {
            let right = Execution { makespan: ms(1), ..Execution::default() };
            let run = |before| Ok(if before == 2 { wrong.clone() } else { right.clone() });
            let (told, count) = median_of_repeats(ms(100), run).unwrap();
            assert_eq!((told.makespan, count), (wrong.makespan, 1));
        }
        let refuse = |_| Err(Error::new(ErrorKind::Network, "lost"));
        assert!(median_of_repeats(ms(100), refuse).is_err());
    }
}
