use super::*;
use crate::flow_shop::identical::choices::Cut;
use crate::flow_shop::identical::depth::Pair;
use crate::flow_shop::johnson::{Block, johnson_key};
use crate::instances::{convex_cuts, monotone_cuts};
use crate::joint::identical::LEAVES;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn stages((device, uplink): (u64, u64)) -> Stages {
    Stages { device: Time::from_nanoseconds(device), uplink: Time::from_nanoseconds(uplink) }
}

fn block(s: &Stages) -> Block {
    Block { device: s.device, uplink: s.uplink, alone: s.device + s.uplink }
}

/// The makespan of an order, and what its last sender's tail adds; jobs without uplink time send
/// nothing.
fn in_order(order: &[Stages], tail: Time) -> Time {
    let all = order.iter().map(block).fold(Block::default(), Block::then);
    let sending = order.iter().filter(|s| s.uplink > Time::ZERO).map(block);
    let sent = sending.fold(Block::default(), Block::then).alone;
    all.alone.max(if sent > Time::ZERO { sent + tail } else { sent })
}

fn best_of_all_orders(done: &mut Vec<Stages>, left: &mut Vec<Stages>) -> Time {
    if left.is_empty() {
        return in_order(done, Time::ZERO);
    }
    let mut best = Time::from_nanoseconds(u64::MAX);
    for i in 0..left.len() {
        done.push(left.remove(i));
        best = best.min(best_of_all_orders(done, left));
        left.insert(i, done.pop().expect("pushed above"));
    }
    best
}

/// The smallest makespan of all multisets of at most `distinct` different cuts, each in Johnson's
/// order.
fn best_of_all_multisets(cuts: &[Stages], jobs: usize, distinct: usize, tail: Time) -> Time {
    fn rec(
        cuts: &[Stages],
        chosen: &mut Vec<Stages>,
        jobs: usize,
        distinct: usize,
        tail: Time,
    ) -> Time {
        if jobs == 0 {
            let mut order = chosen.clone();
            order.sort_by_key(|s| johnson_key(s.device, s.uplink));
            return in_order(&order, tail);
        }
        let mut best = Time::from_nanoseconds(u64::MAX);
        if let ([first, rest @ ..], true) = (cuts, distinct > 0) {
            best = rec(rest, chosen, jobs, distinct, tail);
            for copies in 1..=jobs {
                let before = chosen.len();
                chosen.resize(before + copies, *first);
                best = best.min(rec(rest, chosen, jobs - copies, distinct - 1, tail));
                chosen.truncate(before);
            }
        }
        best
    }
    rec(cuts, &mut Vec::new(), jobs, distinct, tail)
}

/// Cuts as the search wants them: those without uplink time are kept on the device.
fn choices(cuts: &[Stages], jobs: u64, tail: Time) -> Choices {
    let local = cuts.iter().filter(|c| c.uplink == Time::ZERO).map(|c| c.device).min();
    let sending = cuts.iter().copied().filter(|c| c.uplink > Time::ZERO);
    let cuts = sending.map(|s| Cut::in_sequence(s, tail)).collect();
    Choices { cuts, local, jobs, leaves: LEAVES }
}

fn monotone(seed: u64, layers: usize) -> Vec<Stages> {
    let cuts = monotone_cuts(&mut ChaCha8Rng::seed_from_u64(seed), layers, 1);
    let mut cuts: Vec<Stages> = cuts.into_iter().map(stages).collect();
    cuts.dedup_by(|b, a| b.uplink >= a.uplink);
    cuts
}

fn convex(seed: u64, layers: usize) -> Vec<Stages> {
    let cuts = convex_cuts(&mut ChaCha8Rng::seed_from_u64(seed), layers, 1);
    cuts.into_iter().map(stages).collect()
}

/// When the last of the jobs is complete: device and uplink in this order, then one server first
/// come, first served; jobs without uplink time stay on the device.
fn with_one_server(order: &[Cut]) -> Time {
    let (mut device, mut uplink, mut server) = (Time::ZERO, Time::ZERO, Time::ZERO);
    for cut in order {
        device += cut.stages.device;
        if cut.stages.uplink > Time::ZERO {
            uplink = uplink.max(device) + cut.stages.uplink;
            server = server.max(uplink) + cut.tail;
        }
    }
    device.max(server)
}

/// The smallest value of `cost` over all sequences of `jobs` cuts.
fn best_of_all_sequences(cuts: &[Cut], jobs: usize, cost: &impl Fn(&[Cut]) -> Time) -> Time {
    fn rec(
        cuts: &[Cut],
        chosen: &mut Vec<Cut>,
        jobs: usize,
        cost: &impl Fn(&[Cut]) -> Time,
    ) -> Time {
        if chosen.len() == jobs {
            return cost(chosen);
        }
        let mut best = Time::from_nanoseconds(u64::MAX);
        for &cut in cuts {
            chosen.push(cut);
            best = best.min(rec(cuts, chosen, jobs, cost));
            chosen.pop();
        }
        best
    }
    rec(cuts, &mut Vec::new(), jobs, cost)
}

proptest! {
    #[test]
    fn sec56_no_sequence_with_tails_beats_the_bound(
        times in prop::collection::vec((0u64..20, 0u64..20, 0u64..20), 1..5),
        jobs in 0usize..5,
    ) {
        let cut = |&(device, uplink, tail): &(u64, u64, u64)| {
            Cut::in_sequence(stages((device, uplink)), Time::from_nanoseconds(tail))
        };
        let cuts: Vec<Cut> = times.iter().map(cut).collect();
        let local = cuts.iter().filter(|c| c.stages.uplink == Time::ZERO);
        let local = local.map(|c| c.stages.device).min();
        let sending = cuts.iter().copied().filter(|c| c.stages.uplink > Time::ZERO).collect();
        let found = best(&Choices { cuts: sending, local, jobs: jobs as u64, leaves: LEAVES }).expect("a cut");
        let no_waiting = |order: &[Cut]| {
            let (mut device, mut uplink, mut last) = (Time::ZERO, Time::ZERO, Time::ZERO);
            for cut in order {
                device += cut.stages.device;
                if cut.stages.uplink > Time::ZERO {
                    uplink = uplink.max(device) + cut.stages.uplink;
                    last = last.max(uplink + cut.tail);
                }
            }
            device.max(last)
        };
        let oracle = best_of_all_sequences(&cuts, jobs, &no_waiting);
        prop_assert!(found.lower_bound <= oracle, "{:?} {oracle:?}", found);
        prop_assert!(found.lower_bound <= best_of_all_sequences(&cuts, jobs, &with_one_server));
    }

    #[test]
    fn sec56_a_server_dominated_by_the_uplink_only_adds_its_last_job(
        seed: u64,
        layers in 0usize..4,
        jobs in 0usize..5,
        slowness in 0u64..=100,
    ) {
        // Deeper cuts leave less to the server, and no suffix takes longer than any transfer.
        for cuts in [monotone(seed, layers), convex(seed, layers)] {
            let sending = cuts.iter().filter(|c| c.uplink > Time::ZERO);
            let shortest = sending.map(|c| c.uplink.nanoseconds()).min().unwrap_or(0);
            let deepest = cuts.last().expect("a cut").device.nanoseconds();
            let cut = |s: &Stages| {
                let left = deepest - s.device.nanoseconds();
                let tail = shortest * left * slowness / (100 * deepest.max(1));
                Cut::in_sequence(*s, Time::from_nanoseconds(tail))
            };
            let cuts: Vec<Cut> = cuts.iter().map(cut).collect();
            let local = cuts.iter().find(|c| c.stages.uplink == Time::ZERO);
            let sending = cuts.iter().copied().filter(|c| c.stages.uplink > Time::ZERO);
            let choices = Choices {
                local: local.map(|c| c.stages.device),
                cuts: sending.collect(),
                jobs: jobs as u64,
                leaves: LEAVES,
            };
            let found = best(&choices).expect("a cut");
            let oracle = best_of_all_sequences(&cuts, jobs, &with_one_server);
            prop_assert_eq!(found.makespan, oracle);
            prop_assert_eq!(found.lower_bound, oracle);
        }
    }

    #[test]
    fn thm1_depth_order_is_optimal_and_its_makespan_closed(
        seed: u64,
        picks in prop::collection::vec(0usize..6, 1..6),
    ) {
        let cuts = monotone(seed, 5);
        let mut jobs: Vec<Stages> = picks.iter().map(|p| cuts[p % cuts.len()]).collect();
        jobs.sort_by_key(|s| (s.device, std::cmp::Reverse(s.uplink)));
        prop_assert_eq!(makespan(&jobs), in_order(&jobs, Time::ZERO));
        prop_assert_eq!(makespan(&jobs), best_of_all_orders(&mut vec![], &mut jobs.clone()));
    }

    #[test]
    fn cor1_counts_are_optimal(seed: u64, layers in 0usize..6, jobs in 0usize..6) {
        for cuts in [monotone(seed, layers), convex(seed, layers)] {
            let found = best(&choices(&cuts, jobs as u64, Time::ZERO)).expect("a cut");
            let oracle = best_of_all_multisets(&cuts, jobs, cuts.len(), Time::ZERO);
            prop_assert_eq!(found.makespan, oracle);
            prop_assert_eq!(found.lower_bound, oracle);
            prop_assert_eq!(found.counts.iter().sum::<u64>() + found.local, jobs as u64);
        }
    }

    #[test]
    fn cor1_counts_are_optimal_with_a_delay_on_what_is_sent(
        seed: u64,
        layers in 0usize..5,
        jobs in 0usize..6,
        tail in 0u64..30,
    ) {
        let tail = Time::from_nanoseconds(tail);
        for cuts in [monotone(seed, layers), convex(seed, layers)] {
            let found = best(&choices(&cuts, jobs as u64, tail)).expect("a cut");
            prop_assert_eq!(found.makespan, best_of_all_multisets(&cuts, jobs, cuts.len(), tail));
            prop_assert_eq!(found.lower_bound, found.makespan);
        }
    }

    #[test]
    fn cor2_split_is_the_best_of_all_splits(
        f in 0u64..20, g in 0u64..20, df in 1u64..20, dg in 1u64..20, jobs in 1u64..12,
    ) {
        let (shallow, deep) = (stages((f, g + dg)), stages((f + df, g)));
        let cost = |n: u64| {
            let mut all = vec![shallow; n as usize];
            all.resize(jobs as usize, deep);
            makespan(&all)
        };
        let best = (0..=jobs).map(cost).min().expect("at least one split");
        prop_assert_eq!(cost(balanced_split(shallow, deep, jobs)), best);
    }

    #[test]
    fn cor3_the_optimum_is_within_a_constant_of_the_rate(seed: u64, jobs in 1u64..200) {
        // The rate V* is the bound of the relaxation without ends; mixing the two hull cuts around
        // the diagonal costs at most one edge and the larger end more.
        let cuts = convex(seed, 6);
        let found = best(&choices(&cuts, jobs, Time::ZERO)).expect("a cut");
        let total = jobs as f64 * rate(&cuts);
        let ends = cuts.iter().map(|c| c.device.max(c.uplink)).max().expect("a cut");
        prop_assert!(found.makespan.nanoseconds() as f64 >= total - 1e-6);
        prop_assert!(found.makespan.nanoseconds() as f64 <= total + 2.0 * ends.nanoseconds() as f64);
    }
}

/// Where the lower hull of the cuts meets equal device and uplink time.
/// Cuts with any leads, trails and tails; or, if `is_in_sequence`, whose transfers wait for all device
/// work.
fn any_cuts(seed: u64, count: usize, is_in_sequence: bool) -> Vec<Cut> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut up_to = |most: u64| rng.random_range(0..=most);
    let time = Time::from_nanoseconds;
    let cuts = (0..count).map(|_| {
        let (device, uplink, tail) = (up_to(30), up_to(30), up_to(9));
        let sending = up_to(device);
        let (lead, trail) = (up_to(sending), up_to(uplink));
        let stages = stages((device, uplink));
        let (sending, lead, trail) = (time(sending), time(lead), time(trail));
        match is_in_sequence {
            true => Cut::in_sequence(stages, time(tail)),
            false => Cut { stages, sending, lead, trail, tail: time(tail), places: None },
        }
    });
    cuts.collect()
}

proptest! {
    #[test]
    fn lb2_pairs_are_sorted_by_bound_and_include_every_improving_pair(
        seed: u64, count in 1usize..30, jobs in 2u64..20, local in proptest::option::of(10u64..60),
        is_in_sequence: bool,
    ) {
        let cuts = any_cuts(seed, count, is_in_sequence);
        let local = local.map(Time::from_nanoseconds);
        let choices = Choices { cuts, local, jobs, leaves: u64::MAX };
        let deep = Depth::new(&choices);
        let mut search = Search::new(&choices, &deep);
        let Some(pairs) = Pairs::new(&choices, &deep, &mut search) else { return Ok(()) };
        let best = search.best.as_ref().map_or(Time::from_nanoseconds(u64::MAX), |b| b.makespan);
        let found: Vec<(Time, Pair)> = pairs.collect();
        prop_assert!(found.is_sorted());
        let two = (0..deep.ends.len()).flat_map(|first| (0..deep.ends.len()).map(move |last| (first, last, false)));
        let one = (0..deep.ends.len()).filter(|_| deep.is_apart).map(|k| (k, k, true));
        for (first, last, is_one_job) in two.chain(one) {
            let pair = Pair { first, last, is_one_job };
            if deep.is_pair(first, last) {
                let bound = Ends::new(&choices, &deep, pair).bound();
                let stands = |&(b, p): &(Time, Pair)| {
                    b <= bound && (p == pair || !deep.is_ordered) && p.is_one_job == is_one_job
                };
                prop_assert!(bound >= best || found.iter().any(stands), "{pair:?} {bound}");
            }
        }
    }
}

fn rate(cuts: &[Stages]) -> f64 {
    let point = |s: &Stages| (s.device.nanoseconds() as f64, s.uplink.nanoseconds() as f64);
    let mut best = f64::INFINITY;
    for a in cuts.iter().map(point) {
        for b in cuts.iter().map(point) {
            best = best.min(a.0.max(a.1));
            let (under, over) = (a.1 - a.0, b.0 - b.1);
            if under > 0.0 && over > 0.0 {
                best = best.min(a.0 + (b.0 - a.0) * under / (under + over));
            }
        }
    }
    best
}

/// The optimum with any cuts, with at most two different cuts, and with the two cuts at
/// `adjacent`.
fn compare(cuts: &[(u64, u64)], jobs: usize, adjacent: (usize, usize)) -> [u64; 3] {
    let cuts: Vec<Stages> = cuts.iter().copied().map(stages).collect();
    let found = best(&choices(&cuts, jobs as u64, Time::ZERO)).expect("a cut");
    let pair = [cuts[adjacent.0], cuts[adjacent.1]];
    let two = best_of_all_multisets(&cuts, jobs, 2, Time::ZERO);
    let adjacent = best_of_all_multisets(&pair, jobs, 2, Time::ZERO);
    [found.makespan, two, adjacent].map(Time::nanoseconds)
}

#[test]
fn cor1_two_cuts_are_not_enough_for_few_jobs_even_if_convex() {
    // Device time linear, uplink time convex, one layer exactly balanced.
    let balanced = [(0, 10), (5, 5), (10, 1), (15, 0)];
    assert_eq!(compare(&balanced, 3, (0, 1)), [16, 20, 20]);
    assert_eq!(compare(&balanced, 5, (0, 1)), [26, 30, 30]);
    // Neither all on the device nor all on the server is among the cuts.
    assert_eq!(compare(&[(2, 14), (4, 9), (6, 4), (8, 1)], 5, (1, 2)), [29, 32, 32]);
    assert_eq!(compare(&[(0, 11), (5, 7), (10, 4), (15, 1)], 4, (1, 2))[0], 26);
}

#[test]
fn cor1_four_different_cuts_can_be_needed() {
    let cuts = [(0, 89), (7, 60), (14, 38), (21, 25), (28, 13), (35, 5), (42, 0)].map(stages);
    let found = best(&choices(&cuts, 6, Time::ZERO)).expect("a cut");
    assert_eq!(found.makespan.nanoseconds(), 145);
    assert_eq!(best_of_all_multisets(&cuts, 6, 3, Time::ZERO).nanoseconds(), 147);
}

#[test]
fn thm2_adjacent_cuts_lose_a_factor_of_two_without_convexity() {
    let cuts = [(0, 1000), (998, 999), (999, 998), (1000, 0)];
    assert_eq!(compare(&cuts, 2, (1, 2)), [1000, 1000, 2995]);
    assert_eq!(compare(&cuts, 10, (1, 2)), [5000, 5000, 10983]);
    assert_eq!(compare(&cuts, 50, (1, 2)), [25000, 25000, 50923]);
}

#[test]
fn a_million_identical_jobs_are_counted_not_listed() {
    let cuts: Vec<Stages> =
        [(0, 89), (7, 60), (14, 38), (21, 25), (28, 13), (35, 5), (42, 0)].map(stages).to_vec();
    let found = best(&choices(&cuts, 1_000_000, Time::ZERO)).expect("a cut");
    assert_eq!(found.counts.iter().sum::<u64>() + found.local, 1_000_000);
    // At the rate of the hull edge from (21, 25) to (28, 13): 21 + 7 * 4 / 19 = 22.47368421 each.
    let over = found.makespan.nanoseconds().checked_sub(22_473_684);
    assert!(over.is_some_and(|o| o < 20), "{found:?}");
}

/// All cuts on one line of the plane are equally good between the ends, so no pair of ends is ruled
/// out and only some are listed.
#[test]
fn thm1_bound_holds_where_pairs_of_ends_are_too_many_to_be_listed() {
    for step in [7, 10, 13] {
        let cuts: Vec<Stages> =
            (1..150).map(|k| stages((k * step, (150 - k) * step + k % 3))).collect();
        for jobs in [2, 3, 5] {
            let choices = Choices {
                cuts: cuts.iter().map(|&s| Cut::in_sequence(s, Time::ZERO)).collect(),
                local: None,
                jobs,
                leaves: LEAVES,
            };
            let solution = best(&choices).expect("there are cuts");
            let mut known = Time::from_nanoseconds(u64::MAX);
            for (i, &shallow) in cuts.iter().enumerate() {
                for &deep in &cuts[i..] {
                    let count = balanced_split(shallow, deep, jobs) as usize;
                    let mut order = vec![shallow; count];
                    order.resize(jobs as usize, deep);
                    known = known.min(makespan(&order));
                }
            }
            assert!(solution.lower_bound <= known, "{jobs} jobs: {solution:?}, {known}");
            assert!(solution.makespan <= known, "{jobs} jobs: {solution:?}, {known}");
            assert!(solution.lower_bound <= solution.makespan);
        }
    }
}
