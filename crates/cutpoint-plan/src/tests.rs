//! Plans compared with exhaustive search and with each other, on random instances.

use crate::bound::{load_sums, lower_bound};
use crate::check::check_plan;
use crate::instances::*;
use crate::options::{Granularity, PlanOptions, Policy};
use crate::oracle::{best_of_everything, best_of_uplink_orders};
use crate::partition::modes;
use crate::plan::Plan;
use crate::policy::{PlanError, plan};
use crate::problem::Context;
use crate::testing::{Sample, arb_workload, encode_some, series_parallel};
use crate::units::{Bandwidth, TIME_MAX, Time};
use crate::workload::{Link, ModelGraph, Workload};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

const GRANULARITIES: [Granularity; 2] = [Granularity::Layer, Granularity::Job];

fn ns(n: u64) -> Time {
    Time::from_nanoseconds(n)
}

fn planned(workload: &Workload, policy: Policy, granularity: Granularity) -> Plan {
    let plan = plan(workload, policy, &PlanOptions::raw(granularity)).expect("the link works");
    let violations = check_plan(workload, &plan);
    assert!(violations.is_empty(), "{policy} {granularity}: {violations:?}\n{workload:?}");
    plan
}

/// A shape of each kind in turn.
fn shape(rng: &mut ChaCha8Rng, kind: usize, layers: usize) -> Shape {
    match kind % 6 {
        0 => line(layers),
        1 => out_tree(rng, layers),
        2 => in_tree(rng, layers),
        3 => series_parallel(rng, layers),
        4 => general(rng, layers),
        _ => wide(layers),
    }
}

/// What an instance has in addition to device and uplink times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extras {
    TwoMachines,
    Delays,
    Unlimited,
    OneExecutor,
    TwoExecutors,
    Downlink,
    Encodings,
}

const EXTRAS: [Extras; 7] = [
    Extras::TwoMachines,
    Extras::Delays,
    Extras::Unlimited,
    Extras::OneExecutor,
    Extras::TwoExecutors,
    Extras::Downlink,
    Extras::Encodings,
];

fn instance(seed: u64, extras: Extras, layers: usize, counts: &[usize]) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut link = unit_link();
    let mut executors = None;
    let server_below = match extras {
        Extras::TwoMachines | Extras::Delays => 0,
        _ => [4, 12, 25][rng.random_range(0..3usize)],
    };
    let models = (0..counts.len())
        .map(|m| {
            let kind = rng.random_range(0..6);
            let shape = shape(&mut rng, kind, layers);
            let mut model = fill(&mut rng, &format!("m{m}"), &shape, server_below, 1);
            if extras == Extras::Encodings {
                encode_some(&mut rng, &mut model);
            }
            model
        })
        .collect();
    match extras {
        Extras::TwoMachines | Extras::Unlimited => {}
        Extras::Delays => {
            link.round_trip = ns(rng.random_range(0..15));
            link.message_overhead = ns(rng.random_range(0..5));
        }
        Extras::OneExecutor | Extras::Encodings => {
            executors = NonZeroU32::new(1);
            link.round_trip = ns(rng.random_range(0..8));
        }
        Extras::TwoExecutors => executors = NonZeroU32::new(2),
        Extras::Downlink => {
            link.downlink = Bandwidth::from_mbit_per_s(8000.0);
            executors = NonZeroU32::new(rng.random_range(0..3));
        }
    }
    workload(models, counts, link, executors)
}

fn check_against(
    oracle: impl Fn(&Workload, Granularity) -> Time,
    seeds: std::ops::Range<u64>,
    layers: usize,
    counts: &[usize],
) {
    for extras in EXTRAS {
        for seed in seeds.clone() {
            let workload = instance(seed, extras, layers, counts);
            for granularity in GRANULARITIES {
                let best = oracle(&workload, granularity);
                let joint = planned(&workload, Policy::Joint, granularity);
                let place = format!("{extras:?} seed {seed} {granularity}\n{workload:?}");
                assert_eq!(joint.makespan, best, "{place}");
                assert!(joint.optimal && joint.lower_bound == best, "not proved: {place}");
                for policy in Policy::ALL {
                    let plan = planned(&workload, policy, granularity);
                    assert!(plan.makespan >= best, "{policy}: {place}");
                    assert!(plan.lower_bound <= best, "bound of {policy}: {place}");
                }
            }
        }
    }
}

#[test]
fn joint_equals_trying_everything_on_two_jobs_of_one_model() {
    check_against(best_of_everything, 0..3, 3, &[2]);
}

#[test]
fn joint_equals_trying_everything_on_two_models() {
    check_against(best_of_everything, 100..102, 3, &[1, 1]);
}

#[test]
fn joint_equals_all_uplink_orders_on_three_jobs() {
    check_against(best_of_uplink_orders, 200..204, 3, &[2, 1]);
}

#[test]
fn joint_equals_all_uplink_orders_on_single_jobs() {
    check_against(best_of_uplink_orders, 300..315, 4, &[1]);
}

#[test]
fn joint_is_optimal_as_claimed_where_many_times_are_equal() {
    // Times so small that segments with equal device and uplink time are common, and jobs of which
    // one is both the first and the last on the uplink.
    for (counts, layers, seeds) in [(&[2][..], 4, 0..60), (&[1, 1], 3, 0..60), (&[3], 3, 0..20)] {
        for seed in seeds {
            let mut workload = instance(seed, Extras::TwoMachines, layers, counts);
            for model in &mut workload.models {
                let small = |t: Time| ns(t.nanoseconds() % 5);
                model.layers.iter_mut().for_each(|l| l.device = small(l.device));
                model.tensors.iter_mut().for_each(|t| t.bytes %= 6);
            }
            for granularity in GRANULARITIES {
                let best = best_of_uplink_orders(&workload, granularity);
                let joint = planned(&workload, Policy::Joint, granularity);
                let place = format!("{counts:?} seed {seed} {granularity}\n{workload:?}");
                assert!(joint.lower_bound <= best, "bound {}: {place}", joint.lower_bound);
                assert_eq!(joint.makespan, best, "{place}");
            }
        }
    }
}

/// Before the join a small tensor with equal stage times leaves, and the last layer reads it again.
fn joined(name: &str, device: [u64; 4], bytes: [u64; 4]) -> ModelGraph {
    let shape = vec![vec![], vec![], vec![0, 1], vec![0, 2]];
    model(name, &shape, 8, &device, &[0; 4], &bytes)
}

#[test]
fn thm7_a_segment_with_equal_stage_times_may_come_first() {
    // Both keep all but the last layer. Device: b0 b1 b2 to 1, a0 to 2, a1 a2 to 4. Uplink from 1
    // without a pause: b's two tensors to 3, a's first to 4, its second to 6.
    let models =
        vec![joined("a", [1, 1, 1, 8], [1, 8, 2, 0]), joined("b", [1, 0, 0, 8], [1, 8, 1, 0])];
    let workload = workload(models, &[1, 1], unit_link(), None);
    for policy in [Policy::Exhaustive, Policy::Joint] {
        assert_eq!(planned(&workload, policy, Granularity::Layer).makespan, ns(6));
    }
}

#[test]
fn sec56_one_job_can_be_both_the_first_and_the_last_on_the_uplink() {
    // A keeps layers 0 and 2, B keeps 0 to 3. Device: A's 2 to 1, all of B to 18, A's 0 to 28.
    // Uplink: A's 18 bytes from 1 to 19, B's 10 to 29, A's 2 to 31.
    let shape: Vec<Vec<usize>> = vec![vec![], vec![0], vec![], vec![1, 2], vec![3]];
    let (device, bytes) = ([10, 1, 1, 5, 57], [2, 4, 18, 10, 6]);
    let model = model("m", &shape, 22, &device, &[0; 5], &bytes);
    let workload = workload(vec![model], &[2], unit_link(), None);
    let joint = planned(&workload, Policy::Joint, Granularity::Layer);
    assert_eq!((joint.makespan, joint.lower_bound), (ns(31), ns(31)));
}

#[test]
fn a_transfer_of_another_job_may_come_between_two_that_are_ready_together() {
    // One job of `a` sends its input's 5367 bytes at once, one of `b` is ready to send nothing at
    // 9710. If the other `a`, ready at 4400 with two tensors, sends its first before that and its
    // second after it, the server is busy from 5367 to 28227, and the last job arrives at 27867.
    let a: Shape = vec![vec![], vec![0], vec![0], vec![1], vec![0, 1, 2], vec![1, 3, 4]];
    let device = [0, 4400, 5690, 490, 3650, 6390];
    let a = model(
        "a",
        &a,
        22155,
        &device,
        &[840, 3440, 3340, 0, 1540, 2440],
        &[5367, 9270, 0, 0, 0, 0],
    );
    let b: Shape = vec![vec![], vec![0], vec![0], vec![1], vec![2]];
    let device = [5310, 3310, 4100, 4000, 6140];
    let b =
        model("b", &b, 23074, &device, &[250, 1470, 1540, 810, 960], &[0, 5673, 1437, 4031, 1074]);
    let workload = workload(vec![a, b], &[2, 2], unit_link(), NonZeroU32::new(1));
    let joint = planned(&workload, Policy::Joint, Granularity::Job);
    assert_eq!((joint.makespan, joint.optimal), (ns(29187), true));
}

#[test]
fn thm8_identical_jobs_between_their_ends_are_proved() {
    // Transfers of the layers of an inception network may leave apart. The exact search does not
    // end for that many jobs; the bound from first and last segment has to meet the plan.
    for seed in 7..13 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = fill_like_cnn(&mut rng, "inception", &inception(), false);
        let uplink = Bandwidth::from_mbit_per_s(18.88).expect("positive");
        let link = Link { uplink, ..unit_link() };
        let workload = workload(vec![model], &[100], link, None);
        let joint = planned(&workload, Policy::Joint, Granularity::Layer);
        assert!(joint.optimal, "seed {seed}: {} above {}", joint.makespan, joint.lower_bound);
    }
}

#[test]
fn sec56_no_plan_is_shorter_than_the_bound_of_whole_jobs() {
    let unknown = ns(1 << 40);
    for (extras, seed) in EXTRAS.into_iter().flat_map(|e| (400..410).map(move |seed| (e, seed))) {
        let workload = instance(seed, extras, 3, &[2, 1]);
        for granularity in GRANULARITIES {
            let best = planned(&workload, Policy::Exhaustive, granularity).makespan;
            let context = Context::new(&workload, granularity);
            let problem = context.problem(|_, pricer| modes(pricer, context.executors));
            let problem = problem.expect("the link works");
            let loads = lower_bound(&problem);
            for (known, width) in [(unknown, 1), (unknown, 3), (unknown, 1000), (best, 1000)] {
                let found = load_sums::within(&problem, &loads, known, width);
                let place = format!("{extras:?} seed {seed} {granularity} {width}\n{workload:?}");
                assert!(found.bound <= best, "{} above {best}: {place}", found.bound);
                for mix in &found.mixes {
                    let jobs: Vec<u64> = mix.iter().map(|counts| counts.iter().sum()).collect();
                    assert_eq!(jobs, [2, 1], "{place}");
                }
            }
        }
    }
}

#[test]
fn joint_is_never_worse_than_another_policy() {
    for seed in 0..6 {
        for extras in EXTRAS {
            let workload = instance(seed, extras, 6, &[7, 5, 4]);
            for granularity in GRANULARITIES {
                let joint = planned(&workload, Policy::Joint, granularity);
                assert!(joint.lower_bound <= joint.makespan);
                for policy in Policy::ALL.into_iter().filter(|&p| p != Policy::Exhaustive) {
                    let other = planned(&workload, policy, granularity);
                    assert!(joint.makespan <= other.makespan, "{policy} seed {seed} {extras:?}");
                }
            }
        }
    }
}

#[test]
fn joint_is_never_worse_than_another_policy_on_thousands_of_small_instances() {
    let counts: [&[usize]; 5] = [&[1, 1], &[3], &[2, 1], &[14], &[5, 8]];
    for seed in 0..2100 {
        let extras = EXTRAS[seed % EXTRAS.len()];
        let counts = counts[seed / EXTRAS.len() % counts.len()];
        let workload = instance(seed as u64, extras, 2 + seed % 4, counts);
        let mut makespans = Vec::new();
        for granularity in GRANULARITIES {
            let options = PlanOptions::raw(granularity);
            let plan = |policy| plan(&workload, policy, &options).expect("the link works");
            let joint = plan(Policy::Joint);
            let others = [Policy::LocalOnly, Policy::ServerOnly, Policy::PartitionOnly];
            let mixes = [Policy::ScheduleOnly, Policy::BestSingle, Policy::Adjacent];
            for other in others.into_iter().chain(mixes).map(plan) {
                let place = format!("{} {granularity} seed {seed}\n{workload:?}", other.policy);
                assert!(joint.makespan <= other.makespan, "{place}");
                assert!(joint.lower_bound <= other.makespan, "bound above {place}");
            }
            makespans.push(joint.makespan);
        }
        assert!(makespans[0] <= makespans[1], "layer above job, seed {seed}\n{workload:?}");
    }
}

#[test]
fn two_machine_plans_of_many_jobs_are_near_their_bound() {
    for (counts, most) in [(vec![1; 20], 0.005), (vec![9, 8, 3], 0.005), (vec![70, 30], 0.003)] {
        for seed in 0..4 {
            let mut workload = instance(seed, Extras::TwoMachines, 7, &counts);
            // Longer times, so that a gap is not a matter of single nanoseconds.
            for model in &mut workload.models {
                model.layers.iter_mut().for_each(|l| l.device = l.device * 1009);
                model.tensors.iter_mut().for_each(|t| t.bytes *= 1013);
            }
            let joint = planned(&workload, Policy::Joint, Granularity::Layer);
            assert!(joint.gap() <= most, "{} at seed {seed} with {counts:?}", joint.gap());
        }
    }
}

#[test]
fn a_plan_at_layer_granularity_is_never_longer_than_at_job_granularity() {
    for seed in 0..4 {
        for extras in EXTRAS {
            let workload = instance(seed, extras, 6, &[6, 6, 6]);
            let [layer, job] = GRANULARITIES.map(|g| planned(&workload, Policy::Joint, g).makespan);
            assert!(layer <= job, "seed {seed} {extras:?}: {layer} against {job}");
        }
    }
}

#[test]
fn times_near_the_limit_do_not_overflow() {
    let huge = TIME_MAX.nanoseconds() / 16;
    let cuts = [(0, huge), (huge / 3, huge / 2), (huge / 2, huge / 4), (huge, 0)];
    for jobs in [1, 3, 8] {
        let workload = identical(&cuts, jobs);
        for policy in Policy::ALL {
            for granularity in GRANULARITIES {
                planned(&workload, policy, granularity);
            }
        }
    }
}

#[test]
fn a_graph_with_too_many_cuts_is_planned_by_minimum_cuts() {
    // 30 branches: over a thousand million cuts.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let model = fill(&mut rng, "wide", &wide(31), 5, 1);
    for executors in [None, NonZeroU32::new(1)] {
        let workload = workload(vec![model.clone()], &[20], unit_link(), executors);
        for granularity in GRANULARITIES {
            let joint = planned(&workload, Policy::Joint, granularity);
            assert!(joint.lower_bound > Time::ZERO);
            let local = planned(&workload, Policy::LocalOnly, granularity);
            assert!(joint.makespan <= local.makespan);
        }
    }
}

proptest! {
    #[test]
    fn every_policy_gives_a_valid_plan_of_any_workload(Sample(workload) in arb_workload()) {
        for granularity in GRANULARITIES {
            for policy in Policy::ALL.into_iter().filter(|&p| p != Policy::Exhaustive) {
                if let Ok(plan) = plan(&workload, policy, &PlanOptions::raw(granularity)) {
                    let violations = check_plan(&workload, &plan);
                    prop_assert!(violations.is_empty(), "{} {}: {:?}", policy, granularity, violations);
                } else {
                    prop_assert_eq!(policy, Policy::ServerOnly);
                }
            }
        }
    }
}

/// The five cuts of the first counter-example: device time linear, uplink time convex.
const BALANCED: [(u64, u64); 4] = [(0, 10), (5, 5), (10, 1), (15, 0)];

fn identical(cuts: &[(u64, u64)], jobs: usize) -> Workload {
    let model = line_of_cuts("line", cuts);
    workload(vec![model], &[jobs], unit_link(), None)
}

#[test]
fn three_different_cuts_beat_two_adjacent_ones() {
    // All at the balanced cut: 5 + 3 x 5 = 20; one at each of 0, 5 and 10: 10 + 5 + 1 = 16.
    let workload = identical(&BALANCED, 3);
    for granularity in GRANULARITIES {
        assert_eq!(planned(&workload, Policy::Adjacent, granularity).makespan, ns(20));
        let joint = planned(&workload, Policy::Joint, granularity);
        assert_eq!((joint.makespan, joint.optimal), (ns(16), true));
    }
}

#[test]
fn a_thousand_identical_jobs_have_a_proved_plan() {
    let joint = planned(&identical(&BALANCED, 1000), Policy::Joint, Granularity::Layer);
    // The balanced cut alone takes 5 + 1000 x 5; other cuts at both ends save the 5.
    assert_eq!((joint.makespan, joint.optimal), (ns(5001), true));
}

#[test]
fn zero_bandwidth_leaves_the_device() {
    let mut workload = identical(&BALANCED, 3);
    workload.link = Link {
        uplink: Bandwidth::from_mbit_per_s(0.0).expect("zero is a bandwidth"),
        ..workload.link
    };
    let joint = planned(&workload, Policy::Joint, Granularity::Layer);
    assert_eq!(joint.makespan, ns(45));
    assert!(joint.optimal);
    let options = PlanOptions::raw(Granularity::Layer);
    let refused = plan(&workload, Policy::ServerOnly, &options);
    assert_eq!(refused, Err(PlanError::Unreachable(Policy::ServerOnly)));
}

#[test]
fn no_jobs_take_no_time() {
    for policy in Policy::ALL {
        let plan = planned(&identical(&BALANCED, 0), policy, Granularity::Layer);
        assert_eq!((plan.makespan, plan.optimal), (Time::ZERO, true), "{policy}");
    }
}

#[test]
fn a_model_without_layers_takes_no_time() {
    let model = model("empty", &vec![], 100, &[], &[], &[]);
    let workload = workload(vec![model], &[3], unit_link(), None);
    for policy in Policy::ALL {
        let plan = planned(&workload, policy, Granularity::Job);
        assert_eq!((plan.makespan, plan.optimal), (Time::ZERO, true), "{policy}");
    }
}
