//! Tables of outcomes that are made up.

use super::*;
use crate::gaps::instance::Family;
use crate::gaps::measure::Optimum;
use cutpoint_plan::options::Granularity;
use cutpoint_plan::units::Time;

fn outcome(jobs: usize, seed: u64, makespan: u64, bound: u64, optimum: Option<u64>) -> Outcome {
    let ns = Time::from_nanoseconds;
    Outcome {
        family: Family::Wide,
        granularity: Granularity::Layer,
        jobs,
        seed,
        makespan: ns(makespan),
        lower_bound: ns(bound),
        proved_bound: ns(bound - u64::from(jobs == 20)),
        load_bound: ns(bound - u64::from(makespan > bound)),
        gap: (makespan - bound) as f64 / bound as f64,
        is_optimal: makespan == bound,
        optimum: optimum.map(|o| Optimum { makespan: ns(o), by: Source::Program }),
        gap_to_optimum: optimum.map(|o| (makespan - o) as f64 / o as f64),
        behind: vec![],
        refuted: vec![],
    }
}

#[test]
fn rows_hold_means_and_worsts_and_lists_what_stands_out() {
    // Gaps 0 and 10 %: mean 5 %. To the optimum 0 and 10 / 100: mean 5 %.
    let mut outcomes = vec![outcome(2, 7, 100, 100, Some(100)), outcome(2, 8, 110, 100, Some(100))];
    outcomes.push(outcome(20, 7, 106, 100, None));
    let text = markdown(Machines::Three, &outcomes);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[2],
        "| wide | layer | 2 | 2 | 5.000 | 10.000 | 1 | 100.0 | 50.0 | 2 | 5.000 | 10.000 | 0 |"
    );
    assert_eq!(
        lines[3],
        "| wide | layer | 20 | 1 | 6.000 | 6.000 | 0 | 0.0 | 0.0 | - | - | - | 0 |"
    );
    assert_eq!(
        lines[4],
        "| all | both | 2 | 2 | 5.000 | 10.000 | 1 | 100.0 | 50.0 | 2 | 5.000 | 10.000 | 0 |"
    );
    assert!(text.contains("Behind another policy: none."));
    assert!(text.contains("- wide, layer, 20 jobs, seed 7: 99 ns of 100 ns"), "{text}");
    assert!(text.contains("- wide, layer, 2 jobs, seed 8: 10.000 %"), "{text}");
    assert!(text.contains("at 20 jobs:\n\n- wide, layer, 20 jobs, seed 7: 6.000 %"), "{text}");
    assert!(is_sound(&outcomes));
    outcomes[2] = outcome(20, 7, 104, 100, None);
    let text = markdown(Machines::Three, &outcomes);
    assert!(text.ends_with("Certified gap above 5 % at 20 jobs: none.\n"), "{text}");
    let text = markdown(Machines::Two, &outcomes);
    assert!(text.contains("above 1 % at 20 jobs:\n\n- wide, layer, 20 jobs, seed 7: 4.000 %"));
}

#[test]
fn a_plan_behind_another_policy_is_counted_and_listed() {
    let mut late = outcome(2, 9, 110, 100, None);
    late.behind = vec!["adjacent at layer: 109 ns".into()];
    let text = markdown(Machines::Two, std::slice::from_ref(&late));
    assert!(text.lines().nth(2).is_some_and(|row| row.ends_with("| 1 |")), "{text}");
    assert!(text.contains("- wide, layer, 2 jobs, seed 9: adjacent at layer: 109 ns"), "{text}");
    assert!(!is_sound(&[late]));
}
