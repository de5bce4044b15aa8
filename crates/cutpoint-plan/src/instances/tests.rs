//! Every generator makes only what its name says.

use super::*;
use crate::cut::{LayerSet, frontier, visit_cuts};
use crate::testing::series_parallel;
use crate::workload::{LayerId, TensorId};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// For each layer, which layers come before it at any distance.
fn ancestors(shape: &Shape) -> Vec<Vec<bool>> {
    let mut all: Vec<Vec<bool>> = Vec::new();
    for from in shape {
        let mut own = vec![false; shape.len()];
        for &p in from {
            own[p] = true;
            own.iter_mut().zip(&all[p]).for_each(|(o, &a)| *o |= a);
        }
        all.push(own);
    }
    all
}

/// Whether four layers are related like the letter N: a before c, b before c and d, and no more.
/// An order is series-parallel if and only if it has no such four.
fn has_n(shape: &Shape) -> bool {
    let before = ancestors(shape);
    let apart = |x: usize, y: usize| x != y && !before[x][y] && !before[y][x];
    let all = || 0..shape.len();
    all().any(|c| {
        all().filter(|&b| before[c][b]).any(|b| {
            all()
                .filter(|&d| before[d][b] && apart(c, d))
                .any(|d| all().any(|a| before[c][a] && apart(a, b) && apart(a, d)))
        })
    })
}

/// How many layers read each layer.
fn readers(shape: &Shape) -> Vec<usize> {
    let mut readers = vec![0; shape.len()];
    shape.iter().flatten().for_each(|&p| readers[p] += 1);
    readers
}

fn is_rising(mut values: impl Iterator<Item = u64>) -> bool {
    let Some(mut last) = values.next() else { return true };
    values.all(|v| std::mem::replace(&mut last, v) <= v)
}

/// The stage times of a line's cuts as the cost model has them.
fn stage_times(model: &ModelGraph) -> Vec<(u64, u64)> {
    let mut set = LayerSet::none(model);
    let mut device = 0;
    let mut times = Vec::new();
    for l in 0..=model.layers.len() {
        let sent = frontier(model, &set);
        times.push((device, sent.iter().map(|t| model.tensors[t.index()].bytes).sum()));
        if let Some(layer) = model.layers.get(l) {
            device += layer.device.nanoseconds();
            set.insert(LayerId::at(l));
        }
    }
    times
}

proptest! {
    #[test]
    fn convex_cuts_are_linear_on_the_device_and_convex_on_the_uplink(
        seed: u64, layers in 1usize..14, unit in 1u64..2000,
    ) {
        let cuts = convex_cuts(&mut rng(seed), layers, unit);
        prop_assert_eq!(cuts.len(), layers + 1);
        prop_assert_eq!((cuts[0].0, cuts[layers].1), (0, 0));
        let step = cuts[1].0;
        prop_assert!(step > 0 && cuts.windows(2).all(|w| w[1].0 - w[0].0 == step));
        // Falls that get smaller; a rise would not be a difference of unsigned numbers.
        let falls: Vec<_> = cuts.windows(2).map(|w| w[0].1.checked_sub(w[1].1)).collect();
        prop_assert!(falls.iter().all(Option::is_some), "{:?}", cuts);
        prop_assert!(is_rising(falls.into_iter().flatten().rev()), "{:?}", cuts);
    }

    #[test]
    fn monotone_cuts_rise_on_the_device_and_fall_on_the_uplink(
        seed: u64, layers in 1usize..14, unit in 1u64..2000,
    ) {
        let cuts = monotone_cuts(&mut rng(seed), layers, unit);
        prop_assert_eq!(cuts.len(), layers + 1);
        prop_assert!(is_rising(cuts.iter().map(|c| c.0)), "{:?}", cuts);
        prop_assert!(is_rising(cuts.iter().rev().map(|c| c.1)), "{:?}", cuts);
    }

    #[test]
    fn lines_of_cuts_have_these_stage_times(seed: u64, layers in 1usize..14, kind in 0..3) {
        let rng = &mut rng(seed);
        let mut cuts = match kind {
            0 => convex_cuts(rng, layers, 7),
            1 => monotone_cuts(rng, layers, 7),
            _ => arbitrary_cuts(rng, layers, 7),
        };
        let times = stage_times(&line_of_cuts("line", &cuts));
        // Nothing is sent of a job that stays on the device.
        cuts[layers].1 = 0;
        prop_assert_eq!(times, cuts);
    }

    #[test]
    fn every_shape_lists_layers_after_those_they_read(seed: u64, layers in 0usize..20) {
        let rng = &mut rng(seed);
        let shapes = [
            line(layers), out_tree(rng, layers), in_tree(rng, layers), general(rng, layers),
            series_parallel(rng, layers), nested_series_parallel(rng, layers), wide(layers.max(1)),
        ];
        for shape in shapes {
            prop_assert!(shape.len() == layers || layers == 0);
            for (l, from) in shape.iter().enumerate() {
                prop_assert!(from.iter().all(|&p| p < l), "{:?}", shape);
                prop_assert!(from.is_sorted_by(|a, b| a < b), "each once: {:?}", shape);
            }
        }
    }

    #[test]
    fn out_trees_have_one_source_and_one_way_to_each_layer(seed: u64, layers in 1usize..20) {
        let shape = out_tree(&mut rng(seed), layers);
        prop_assert!(shape[0].is_empty() && shape[1..].iter().all(|from| from.len() == 1));
    }

    #[test]
    fn in_trees_have_one_sink_and_one_way_from_each_layer(seed: u64, layers in 1usize..20) {
        let readers = readers(&in_tree(&mut rng(seed), layers));
        prop_assert!(readers[layers - 1] == 0 && readers[..layers - 1].iter().all(|&r| r == 1));
    }

    #[test]
    fn series_parallel_graphs_and_trees_have_no_n(seed: u64, layers in 1usize..16) {
        let rng = &mut rng(seed);
        let shapes = [
            series_parallel(rng, layers), nested_series_parallel(rng, layers),
            out_tree(rng, layers), in_tree(rng, layers), wide(layers),
        ];
        for shape in shapes {
            prop_assert!(!has_n(&shape), "{:?}", shape);
        }
    }

    #[test]
    fn general_graphs_read_up_to_three_layers(seed: u64, layers in 1usize..20) {
        let shape = general(&mut rng(seed), layers);
        prop_assert!(shape[0].is_empty());
        prop_assert!(shape[1..].iter().all(|from| (1..=3).contains(&from.len())), "{:?}", shape);
    }

    #[test]
    fn wide_graphs_have_a_cut_for_each_set_of_branches_and_the_whole(layers in 1usize..12) {
        let model = fill(&mut rng(0), "wide", &wide(layers), 0, 1);
        let mut cuts = 0;
        visit_cuts(&model, usize::MAX, |_, _| { cuts += 1; true });
        prop_assert_eq!(cuts, (1 << (layers - 1)) + 1);
    }

    #[test]
    fn hourglasses_are_wide_at_the_input_and_long_at_the_sinks(
        seed: u64, layers in 1usize..12, unit in 1u64..2000,
    ) {
        let rng = &mut rng(seed);
        let shape = in_tree(rng, layers);
        let model = fill_hourglass(rng, "m", &shape, unit);
        prop_assert!((20 * unit..80 * unit).contains(&model.tensors[0].bytes));
        prop_assert!(model.tensors[1..].iter().all(|t| t.bytes < 8 * unit));
        let (sink, others) = model.layers.split_last().expect("at least one");
        prop_assert!((10 * unit..60 * unit).contains(&sink.device.nanoseconds()));
        prop_assert!(others.iter().all(|l| l.device.nanoseconds() < 8 * unit));
    }

    #[test]
    fn filled_models_are_consistent_and_within_their_limits(
        seed: u64, layers in 1usize..12, server_below in 0u64..9, unit in 1u64..2000,
    ) {
        let rng = &mut rng(seed);
        let shape = general(rng, layers);
        let model = fill(rng, "m", &shape, server_below, unit);
        for (t, tensor) in model.tensors.iter().enumerate() {
            let id = TensorId::at(t);
            let is_reader = |l: usize| model.layers[l].reads.contains(&id);
            let readers: Vec<_> = (0..layers).filter(|&l| is_reader(l)).map(LayerId::at).collect();
            prop_assert_eq!(&tensor.readers, &readers);
            prop_assert_eq!(model.outputs.contains(&id), readers.is_empty());
            prop_assert!(tensor.bytes < 40 * unit);
            match tensor.producer {
                None => prop_assert_eq!(t, 0),
                Some(p) => prop_assert!(model.layers[p.index()].writes == [id]),
            }
        }
        let server_most = (server_below * unit).max(1);
        for layer in &model.layers {
            prop_assert!(layer.device.nanoseconds() < 12 * unit);
            prop_assert!(layer.server.nanoseconds() < server_most);
        }
    }
}

#[test]
fn generators_without_a_hypothesis_go_beyond_those_with_it() {
    let seeds = || 0..50;
    let falls = |cuts: &[(u64, u64)]| is_rising(cuts.iter().rev().map(|c| c.1));
    assert!(seeds().any(|s| !falls(&arbitrary_cuts(&mut rng(s), 8, 1))), "not only monotone");
    let is_convex = |cuts: &[(u64, u64)]| {
        let by_cross = |w: &[(u64, u64)]| {
            let [a, b, c] = [w[0], w[1], w[2]].map(|(f, g)| (i128::from(f), i128::from(g)));
            (b.1 - a.1) * (c.0 - b.0) <= (c.1 - b.1) * (b.0 - a.0)
        };
        cuts.windows(3).all(by_cross)
    };
    assert!(seeds().any(|s| !is_convex(&monotone_cuts(&mut rng(s), 8, 1))), "not only convex");
    assert!(seeds().all(|s| is_convex(&convex_cuts(&mut rng(s), 8, 1))));
    assert!(seeds().any(|s| has_n(&general(&mut rng(s), 8))), "not only series-parallel");
}

#[test]
fn models_have_server_times_below_the_limit() {
    let mut model = line_of_cuts("line", &[(0, 5), (3, 2), (4, 0)]);
    serve(&mut rng(1), &mut model, 1000);
    assert!(model.layers.iter().all(|l| l.server < Time::from_nanoseconds(1000)));
    assert!(model.layers.iter().any(|l| l.server > Time::ZERO));
    serve(&mut rng(1), &mut model, 0);
    assert!(model.layers.iter().all(|l| l.server == Time::ZERO));
}
