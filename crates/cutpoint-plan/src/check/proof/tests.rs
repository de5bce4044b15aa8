use super::*;
use crate::instances::*;
use crate::options::{PlanOptions, Policy};
use crate::oracle::{best_of_everything, best_of_uplink_orders};
use crate::policy::{PlanError, plan};
use crate::testing::encode_some;
use crate::testing::{Sample, arb_workload, list_plan};
use crate::units::{Bandwidth, TIME_MAX};
use crate::workload::Link;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

const GRANULARITIES: [Granularity; 2] = [Granularity::Layer, Granularity::Job];

fn ns(n: u64) -> Time {
    Time::from_nanoseconds(n)
}

/// Anything that the cost model has, alone or together, with small times, so that many are equal.
fn instance(seed: u64, layers: usize, counts: &[usize]) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let server_below = [0, 4, 12, 25][rng.random_range(0..4usize)];
    let (is_encoded, is_tiny) = (rng.random_range(0..3) == 0, rng.random_range(0..3) == 0);
    let mut models: Vec<ModelGraph> = (0..counts.len())
        .map(|m| {
            let shape = match rng.random_range(0..6) {
                0 => line(layers),
                1 => out_tree(&mut rng, layers),
                2 => in_tree(&mut rng, layers),
                3 => nested_series_parallel(&mut rng, layers),
                4 => general(&mut rng, layers),
                _ => wide(layers),
            };
            fill(&mut rng, &format!("m{m}"), &shape, server_below, 1)
        })
        .collect();
    for model in &mut models {
        if is_tiny {
            model.layers.iter_mut().for_each(|l| l.device = ns(l.device.nanoseconds() % 5));
            model.tensors.iter_mut().for_each(|t| t.bytes %= 6);
        }
        if is_encoded {
            encode_some(&mut rng, model);
        }
    }
    let mut link = unit_link();
    if rng.random_range(0..2) == 0 {
        let (round_trip, message_overhead) =
            (ns(rng.random_range(0..15)), ns(rng.random_range(0..5)));
        link = Link { round_trip, message_overhead, ..link };
    }
    if rng.random_range(0..3) == 0 {
        let mbit_per_s = [2000.0, 8000.0, 32_000.0][rng.random_range(0..3usize)];
        link.downlink = Bandwidth::from_mbit_per_s(mbit_per_s);
    }
    let executors = NonZeroU32::new([0, 1, 1, 2][rng.random_range(0..4usize)]);
    workload(models, counts, link, executors)
}

/// Claims above the optimum are not proved, in whichever part of the proof they end.
fn refuses_more_than(best: Time, workload: &Workload, granularity: Granularity, place: &str) {
    let most = best.nanoseconds();
    for more in [1, 2 + most / 50, 3 + most / 3, most + 5] {
        let proved = proved_bound(workload, granularity, ns(most + more));
        assert!(proved <= best, "{proved} of {most} + {more} ns: {place}");
    }
}

/// Where the search through all orders is exact, the optimum itself is proved.
fn is_exact(workload: &Workload) -> bool {
    workload.link.downlink.is_none() && workload.executors.is_none_or(|n| n.get() == 1)
}

fn check_against(
    oracle: impl Fn(&Workload, Granularity) -> Time,
    seeds: std::ops::Range<u64>,
    layers: usize,
    counts: &[usize],
) {
    for seed in seeds {
        let workload = instance(seed, layers, counts);
        for granularity in GRANULARITIES {
            let place = format!("seed {seed} {granularity}\n{workload:?}");
            let best = oracle(&workload, granularity);
            refuses_more_than(best, &workload, granularity, &place);
            if is_exact(&workload) {
                assert_eq!(proved_bound(&workload, granularity, best), best, "{place}");
            }
        }
    }
}

#[test]
fn no_claim_above_the_optimum_of_all_orders_is_proved_and_the_optimum_is() {
    check_against(best_of_everything, 0..30, 2, &[2]);
    check_against(best_of_everything, 100..130, 2, &[1, 1]);
    check_against(best_of_everything, 200..280, 3, &[1]);
}

#[test]
fn no_claim_above_the_optimum_of_all_uplink_orders_is_proved_and_the_optimum_is() {
    check_against(best_of_uplink_orders, 300..340, 4, &[1]);
    check_against(best_of_uplink_orders, 400..440, 3, &[2]);
    check_against(best_of_uplink_orders, 500..540, 3, &[1, 1]);
    check_against(best_of_uplink_orders, 600..610, 3, &[2, 1]);
    check_against(best_of_uplink_orders, 700..720, 2, &[3]);
}

#[test]
fn no_claim_above_the_makespan_of_any_policy_is_proved() {
    for (seeds, counts) in [
        (0..12, &[4][..]),
        (100..108, &[2, 2]),
        (200..204, &[1; 5]),
        (300..303, &[12]),
        (400..408, &[5, 4, 6]),
        (500..504, &[30]),
    ] {
        for seed in seeds {
            let workload = instance(seed, 5, counts);
            for granularity in GRANULARITIES {
                let options = PlanOptions::raw(granularity);
                let best =
                    Policy::ALL.into_iter().filter_map(|p| plan(&workload, p, &options).ok());
                let best = best.map(|p| p.makespan).min().expect("local-only is possible");
                let place = format!("{counts:?} seed {seed} {granularity}\n{workload:?}");
                for more in [1, 1 + best.nanoseconds() / 20] {
                    let proved = proved_bound(&workload, granularity, best + ns(more));
                    assert!(proved <= best, "{proved} of {best} + {more} ns: {place}");
                }
            }
        }
    }
}

/// Planned by `joint`; how many of its bounds are claimed and proved here, and how many the plain
/// load bound proves.
fn proved_of(counts: &[usize], seeds: std::ops::Range<u64>, server: u64) -> (usize, usize, usize) {
    let (mut claims, mut proved, mut plain) = (0, 0, 0);
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let models = (0..counts.len()).map(|m| {
            let shape = if seed % 2 == 0 { line(6) } else { general(&mut rng, 6) };
            fill(&mut rng, &format!("m{m}"), &shape, server, 1000)
        });
        let executors = NonZeroU32::new(u32::from(server > 0));
        let workload = workload(models.collect(), counts, unit_link(), executors);
        for granularity in GRANULARITIES {
            let plan = plan(&workload, Policy::Joint, &PlanOptions::raw(granularity)).unwrap();
            let own = proved_bound(&workload, granularity, plan.lower_bound);
            claims += 1;
            proved += usize::from(own >= plan.lower_bound);
            plain += usize::from(load_bound(&workload, granularity) >= plan.lower_bound);
        }
    }
    (claims, proved, plain)
}

#[test]
fn claims_of_identical_jobs_are_proved() {
    for (counts, server) in [(&[3][..], 0), (&[20], 0), (&[100], 0), (&[3], 4), (&[100], 4)] {
        let (claims, proved, plain) = proved_of(counts, 0..10, server);
        println!("{counts:?} with server {server}: {proved} of {claims}, {plain} by loads alone");
        assert_eq!(proved, claims, "{counts:?} with server {server}");
    }
}

#[test]
fn claims_of_jobs_of_several_models_are_proved() {
    for (counts, server) in [(&[1; 4][..], 0), (&[7, 7, 6], 0), (&[1; 20], 0), (&[7, 7, 6], 4)] {
        let (claims, proved, plain) = proved_of(counts, 20..30, server);
        println!("{counts:?} with server {server}: {proved} of {claims}, {plain} by loads alone");
        assert_eq!(proved, claims, "{counts:?} with server {server}");
    }
}

#[test]
fn a_million_jobs_are_judged_by_their_loads() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let model = line_of_cuts("m", &convex_cuts(&mut rng, 6, 1));
    let workload = workload(vec![model], &[1_000_000], unit_link(), None);
    let load = load_bound(&workload, Granularity::Job);
    let proved = proved_bound(&workload, Granularity::Job, TIME_MAX);
    assert!(load <= proved && proved <= super::super::simple_makespan(&workload));
}

#[test]
fn a_workload_without_jobs_proves_nothing_above_zero() {
    let none = workload(vec![], &[], unit_link(), None);
    assert_eq!(proved_bound(&none, Granularity::Layer, ns(5)), Time::ZERO);
}

proptest! {
    #[test]
    fn proved_bounds_are_below_every_plan(Sample(workload) in arb_workload(), seed: u64) {
        for granularity in GRANULARITIES {
            let mut shortest = list_plan(&workload, granularity, seed).makespan;
            for policy in Policy::ALL.into_iter().filter(|p| *p != Policy::Exhaustive) {
                match plan(&workload, policy, &PlanOptions::raw(granularity)) {
                    Ok(plan) => shortest = shortest.min(plan.makespan),
                    Err(error) => {
                        prop_assert!(!matches!(error, PlanError::LateArrival));
                    }
                }
            }
            let shortest = shortest.nanoseconds();
            for claim in [shortest + 1, shortest + shortest / 20 + 2, 2 * shortest + 1] {
                let proved = proved_bound(&workload, granularity, ns(claim));
                prop_assert!(proved <= ns(shortest), "{proved} of {claim}, {shortest}");
            }
        }
    }
}
