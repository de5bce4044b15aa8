use crate::cut::closed_sets::Cuts;
use crate::cut::{LayerSet, frontier, is_downward_closed, visit_cuts};
use crate::instances::{fill, general, unit_link, wide};
use crate::options::Granularity;
use crate::partition::min_cut::CutPricer;
use crate::problem::{Loads, Pricer, Pricing};
use crate::testing::series_parallel;
use crate::units::Time;
use crate::workload::{LayerId, ModelGraph};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn pricer(model: &ModelGraph) -> Pricer<'_> {
    let pricing =
        Pricing { link: unit_link(), granularity: Granularity::Layer, jobs: 1, is_apart: false };
    Pricer::new(model, pricing)
}

/// Every downward-closed set, by testing every set.
fn all_cuts(model: &ModelGraph) -> Vec<LayerSet> {
    let subsets = (0..1u32 << model.layers.len()).map(|bits| {
        let mut set = LayerSet::none(model);
        (0..model.layers.len()).filter(|l| bits >> l & 1 == 1).for_each(|l| {
            set.insert(LayerId::at(l));
        });
        set
    });
    subsets.filter(|s| is_downward_closed(model, s)).collect()
}

/// Device, uplink and server time of a cut; a byte takes a nanosecond.
fn times(model: &ModelGraph, set: &LayerSet) -> [u64; 3] {
    let device = set.iter().map(|l| model.layers[l.index()].device.nanoseconds()).sum();
    let uplink = frontier(model, set).iter().map(|t| model.tensors[t.index()].bytes).sum();
    let outside = (0..model.layers.len()).map(LayerId::at).filter(|&l| !set.contains(l));
    let server = outside.map(|l| model.layers[l.index()].server.nanoseconds()).sum();
    [device, uplink, server]
}

fn models() -> Vec<ModelGraph> {
    let mut models = Vec::new();
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = rng.random_range(1..9);
        let shapes = [general(&mut rng, layers), series_parallel(&mut rng, layers), wide(layers)];
        models.extend(shapes.iter().map(|s| fill(&mut rng, "m", s, 9, 1)));
    }
    models
}

#[test]
fn every_cut_is_listed_once_with_its_frontier() {
    for model in models() {
        let mut listed = Vec::new();
        let within = visit_cuts(&model, usize::MAX, |layers, sent| {
            assert_eq!(sent, frontier(&model, layers));
            listed.push(layers.clone());
            true
        });
        listed.sort();
        let mut all = all_cuts(&model);
        all.sort();
        assert!(within);
        assert_eq!(listed, all);
    }
}

#[test]
fn listed_cuts_equal_a_graph_walk_unless_there_are_too_many() {
    for model in models() {
        let mut shown = Vec::new();
        visit_cuts(&model, usize::MAX, |layers, sent| {
            shown.push((layers.clone(), sent.to_vec()));
            true
        });
        let server_total: u64 = model.layers.iter().map(|l| l.server.nanoseconds()).sum();
        let cuts = Cuts::list(&model, shown.len()).expect("no more than there are");
        let mut at = 0;
        let is_whole = cuts.visit(|ideal| {
            let (layers, frontier) = &shown[at];
            assert_eq!((ideal.layers, ideal.frontier), (layers, &frontier[..]));
            let [device, _, server] = times(&model, layers);
            let sums = [ideal.device, ideal.server].map(Time::nanoseconds);
            assert_eq!(sums, [device, server_total - server]);
            assert_eq!(cuts.layers(at), layers);
            at += 1;
            true
        });
        assert!(is_whole && at == shown.len() && at == cuts.count());
        assert!(Cuts::list(&model, shown.len() - 1).is_none());
    }
}

#[test]
fn thm4_minimum_cut_weighs_what_the_best_cut_weighs() {
    for model in models() {
        let pricer = pricer(&model);
        for prices in [[1, 1, 0, 0], [3, 1, 0, 0], [1, 4, 0, 0], [2, 3, 4, 0], [1, 0, 1, 0]] {
            let weigh = |set: &LayerSet| -> u64 {
                times(&model, set).iter().zip(prices).map(|(t, p): (_, u64)| t * p).sum()
            };
            let prices: Loads = prices;
            let (price, (set, uploads)) = CutPricer::new(&pricer, Some(1)).cheapest(prices);
            let best = all_cuts(&model).iter().map(weigh).min().expect("the empty cut");
            assert!(is_downward_closed(&model, &set));
            assert_eq!(uploads.len(), frontier(&model, &set).len());
            assert_eq!((price, weigh(&set)), (u128::from(best), best));
        }
    }
}

#[test]
fn thm4_hull_cuts_are_nested_and_are_the_whole_hull() {
    for model in models() {
        let pricer = pricer(&model);
        let hull = CutPricer::new(&pricer, None).hull(usize::MAX);
        assert!(hull.windows(2).all(|w| w[0].0.iter().all(|l| w[1].0.contains(l))), "not nested");
        let all: Vec<[u64; 3]> = all_cuts(&model).iter().map(|s| times(&model, s)).collect();
        let on_hull: Vec<[u64; 3]> = hull.iter().map(|(s, _)| times(&model, s)).collect();
        for device in 0..=60 {
            let least = |cuts: &[[u64; 3]]| {
                cuts.iter().map(|t| t[0] * device + t[1] * (60 - device)).min().expect("a cut")
            };
            // At price 0 the other time does not matter, and any cut with the least will do.
            assert_eq!(least(&on_hull), least(&all), "device price {device} of 60");
        }
    }
}
