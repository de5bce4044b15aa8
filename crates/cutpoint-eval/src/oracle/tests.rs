//! The oracle against enumeration, and the planner against the oracle.

use super::{Limits, Segment, classes, cuts, optimum, program, segments};
use cutpoint_plan::instances::{
    Shape, fill, general, in_tree, line, nested_series_parallel, out_tree, unit_link, wide,
    workload,
};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{Link, Workload};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GRANULARITIES: [Granularity; 2] = [Granularity::Job, Granularity::Layer];

fn shape(rng: &mut ChaCha8Rng, layers: usize) -> Shape {
    match rng.random_range(0..6) {
        0 => line(layers),
        1 => out_tree(rng, layers),
        2 => in_tree(rng, layers),
        3 => nested_series_parallel(rng, layers),
        4 => general(rng, layers),
        _ => wide(layers),
    }
}

/// Models with the given numbers of jobs; times are small, so that ties happen.
fn instance(seed: u64, layers: usize, counts: &[usize]) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let models = (0..counts.len()).map(|m| {
        let shape = shape(&mut rng, layers);
        fill(&mut rng, &format!("m{m}"), &shape, 0, 1)
    });
    workload(models.collect(), counts, unit_link(), None)
}

fn decided(workload: &Workload, granularity: Granularity) -> Time {
    let limits = Limits { nodes: 100_000, reached: None };
    match optimum(workload, granularity, limits) {
        Ok(Some(time)) => time,
        other => panic!("{other:?} for {workload:?}"),
    }
}

/// One job's work in the order of its cut; what is sent of each step leaves at once if `granularity`
/// is layer, else behind the last step.
struct Job {
    cut: cuts::Cut,
    done: Vec<bool>,
}

/// The smallest makespan of all orders in which the device can do the steps of `jobs`; the uplink
/// takes first what is ready first, so that the order on the device decides everything.
fn best_order(jobs: &mut [Job], granularity: Granularity, device: u64, uplink: u64) -> u64 {
    let mut best = u64::MAX;
    for j in 0..jobs.len() {
        for s in 0..jobs[j].cut.steps.len() {
            let step = jobs[j].cut.steps[s].clone();
            if jobs[j].done[s] || step.after.iter().any(|&a| !jobs[j].done[a]) {
                continue;
            }
            jobs[j].done[s] = true;
            let is_last = jobs[j].done.iter().all(|&d| d);
            let sent = match granularity {
                Granularity::Layer => step.uplink,
                Granularity::Job if is_last => jobs[j].cut.uplink(),
                Granularity::Job => 0,
            };
            let device = device + step.device;
            let uplink = if sent > 0 { uplink.max(device) + sent } else { uplink };
            best = best.min(best_order(jobs, granularity, device, uplink));
            jobs[j].done[s] = false;
        }
    }
    if jobs.iter().all(|job| job.done.iter().all(|&d| d)) { device.max(uplink) } else { best }
}

/// The smallest makespan of all choices of cuts and all orders: two jobs of three layers.
fn best_of_everything(workload: &Workload, granularity: Granularity) -> u64 {
    fn choose(chosen: &mut Vec<Job>, left: &[Vec<cuts::Cut>], granularity: Granularity) -> u64 {
        let Some((first, rest)) = left.split_first() else {
            return best_order(chosen, granularity, 0, 0);
        };
        let mut best = u64::MAX;
        for cut in first {
            chosen.push(Job { cut: cut.clone(), done: vec![false; cut.steps.len()] });
            best = best.min(choose(chosen, rest, granularity));
            chosen.pop();
        }
        best
    }
    let models = workload.jobs().iter().map(|id| &workload.models()[id.index()]);
    let cuts: Vec<_> = models.map(|model| cuts::cuts(model, &workload.link())).collect();
    choose(&mut Vec::new(), &cuts, granularity)
}

fn check(workload: &Workload, granularity: Granularity, place: &str) {
    let found = decided(workload, granularity).nanoseconds();
    let best = best_of_everything(workload, granularity);
    assert_eq!(found, best, "{place} {granularity}\n{workload:?}");
}

#[test]
fn thm5_and_thm8_programs_equal_trying_everything_on_small_workloads() {
    for seed in 0..30 {
        for (layers, counts) in [(3, vec![1, 1]), (3, vec![2]), (5, vec![1]), (2, vec![1, 2])] {
            let workload = instance(seed, layers, &counts);
            for granularity in GRANULARITIES {
                check(&workload, granularity, &format!("seed {seed} {layers} {counts:?}"));
            }
        }
    }
}

#[test]
fn thm7_segments_of_a_cut_are_its_work_and_run_as_fast_as_any_order() {
    for seed in 0..60 {
        let workload = instance(seed, 5, &[1]);
        for cut in cuts::cuts(&workload.models()[0], &workload.link()) {
            let segments = segments::segments(&cut);
            let sum = |of: fn(&Segment) -> u64| segments.iter().map(of).sum::<u64>();
            assert_eq!(sum(|s| s.device), cut.device());
            assert_eq!(sum(|s| s.uplink), cut.uplink());
            let mut job = [Job { done: vec![false; cut.steps.len()], cut }];
            let best = best_order(&mut job, Granularity::Layer, 0, 0);
            assert_eq!(super::program::length(&segments), best, "seed {seed}: {segments:?}");
        }
    }
}

#[test]
fn the_cuts_of_a_line_and_of_branches_are_counted() {
    let workload = instance(1, 3, &[1]);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let model = fill(&mut rng, "line", &line(7), 0, 1);
    assert_eq!(cuts::cuts(&model, &workload.link()).len(), 8);
    // Six branches and a layer that joins them: every set of branches, and everything.
    let model = fill(&mut rng, "wide", &wide(7), 0, 1);
    assert_eq!(cuts::cuts(&model, &workload.link()).len(), (1 << 6) + 1);
}

#[test]
fn exhaustive_plans_have_the_programs_makespan() {
    let sizes = [(4, vec![3, 2]), (5, vec![1; 4]), (4, vec![9]), (6, vec![2, 1, 1])];
    for (layers, counts) in sizes {
        for seed in 0..6 {
            let workload = instance(seed, layers, &counts);
            for granularity in GRANULARITIES {
                let options = PlanOptions::raw(granularity);
                let made = plan(&workload, Policy::Exhaustive, &options).expect("few jobs");
                let found = decided(&workload, granularity);
                let place = format!("seed {seed} {layers} {counts:?} {granularity}");
                assert_eq!(made.makespan, found, "{place}\n{workload:?}");
            }
        }
    }
}

#[test]
fn a_known_makespan_shortens_the_search_but_keeps_the_answer() {
    for seed in 0..10 {
        let workload = instance(seed, 4, &[2, 1]);
        for granularity in GRANULARITIES {
            let best = decided(&workload, granularity);
            for over in [0, 1, 100] {
                let reached = Some(best + Time::from_nanoseconds(over));
                let limits = Limits { nodes: 100_000, reached };
                assert_eq!(optimum(&workload, granularity, limits).unwrap(), Some(best));
            }
            if best > Time::ZERO {
                let below = best - Time::from_nanoseconds(1);
                let limits = Limits { nodes: 100_000, reached: Some(below) };
                let refused = optimum(&workload, granularity, limits).unwrap_err().to_string();
                let expected = format!("no plan has a makespan of {below} or less");
                assert_eq!(refused, expected, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_search_without_nodes_is_undecided_or_right() {
    let mut undecided = 0;
    for seed in 0..10 {
        let workload = instance(seed, 5, &[1; 4]);
        let limits = Limits { nodes: 0, reached: None };
        match optimum(&workload, Granularity::Layer, limits).expect("two machines") {
            None => undecided += 1,
            Some(time) => assert_eq!(time, decided(&workload, Granularity::Layer)),
        }
    }
    assert!(undecided > 0, "some of these need branching");
}

#[test]
fn workloads_with_more_than_two_machines_are_refused() {
    let limits = Limits { nodes: 1, reached: None };
    let refused = |workload: &Workload| {
        let refused = optimum(workload, Granularity::Job, limits);
        refused.expect_err("not two machines").to_string()
    };
    let plain = instance(3, 3, &[1]);
    let with_server =
        plain.clone().with_layer_times(|_, _, layer| (layer.device, Time::from_nanoseconds(1)));
    assert!(refused(&with_server).contains("server times"));
    let link = Link { round_trip: Time::from_nanoseconds(2), ..plain.link() };
    let with_delay = plain.clone().with_link(link);
    assert!(refused(&with_delay).contains("a round trip"));
    let link = Link { downlink: Bandwidth::from_mbit_per_s(1.0), ..plain.link() };
    let with_downlink = plain.with_link(link);
    assert!(refused(&with_downlink).contains("a downlink"));
    let big = instance(3, 17, &[1]);
    assert!(refused(&big).contains("17 layers"));
}

#[test]
fn lb3_relaxation_is_between_the_load_bound_and_the_optimum() {
    let mut is_sharper = false;
    for seed in 0..60 {
        let workload = instance(seed, 4, &[1, 1, 2]);
        for granularity in GRANULARITIES {
            let classes = classes(&workload, granularity, None);
            let relaxed = program::relaxation(&classes);
            let best = decided(&workload, granularity).nanoseconds() as f64;
            assert!(relaxed <= best + 1e-3, "{relaxed} above {best}, seed {seed} {granularity}");
            // LB1 without heads and tails: the loads at every weight in hundredths.
            let loads = (0..=100).map(|weight: u64| {
                let cheapest = classes.iter().map(|class| {
                    let weigh = |s: &Segment| weight * s.device + (100 - weight) * s.uplink;
                    let modes = class.modes.iter().map(|mode| mode.iter().map(weigh).sum::<u64>());
                    class.jobs as u64 * modes.min().expect("a cut")
                });
                cheapest.sum::<u64>() as f64 / 100.0
            });
            let loads = loads.fold(0.0, f64::max);
            assert!(relaxed >= loads - 1e-3, "{relaxed} below {loads}, seed {seed} {granularity}");
            is_sharper |= relaxed > loads * 1.01;
        }
    }
    assert!(is_sharper, "the rows of single segments never count");
}
