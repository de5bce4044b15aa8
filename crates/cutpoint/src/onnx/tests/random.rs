//! Random graphs: layers never read from each other in a circle, and every cut gives the unsplit
//! result.

use super::small::*;
use crate::onnx::LayeredModel;
use crate::onnx::proto::{ModelProto, NodeProto};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

/// One node: its operator, and which earlier tensors it reads.
type Choice = (u8, Index, Index);

/// A graph of tensors of one shape. Every tensor that nobody reads is an output.
fn graph(choices: &[Choice], extra: Index) -> ModelProto {
    let mut tensors = vec!["x".to_owned()];
    let mut nodes: Vec<NodeProto> = Vec::new();
    for (number, (kind, a, b)) in choices.iter().enumerate() {
        // Mostly near tensors, so that there are chains, and some far ones.
        let near = tensors.len().saturating_sub(3);
        let a = tensors[near + a.index(tensors.len() - near)].clone();
        let b = tensors[b.index(tensors.len())].clone();
        let output = format!("t{number}");
        nodes.push(match kind % 9 {
            0 | 1 => node("Conv", &[&a, "w"], &[&output]),
            2 => node("Relu", &[&a], &[&output]),
            3 => node("Sigmoid", &[&a], &[&output]),
            4 => node("Add", &[&a, &b], &[&output]),
            5 => node("Mul", &[&a, &b], &[&output]),
            6 => node("Add", &[&a, "k"], &[&output]),
            7 => node("Identity", &[&a], &[&output]),
            _ => with_int(node("Softmax", &[&a], &[&output]), "axis", 1),
        });
        tensors.push(output);
    }
    let read: BTreeSet<&String> = nodes.iter().flat_map(|n| &n.input).collect();
    let also = &tensors[1 + extra.index(tensors.len() - 1)];
    let outputs: Vec<&str> = tensors[1..]
        .iter()
        .filter(|name| !read.contains(name) || *name == also)
        .map(String::as_str)
        .collect();
    let constants = vec![weight("w", &[2, 2, 1, 1]), f32s("k", &[], &[0.25])];
    model(&[1, 2, 2, 3], nodes, constants, &outputs)
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((any::<u8>(), any::<Index>(), any::<Index>()), 2..16)
}

/// The layers up to and including some, and all that they read from.
fn downward_closed(layered: &LayeredModel, seeds: &[Index]) -> BTreeSet<usize> {
    let layers = &layered.layers().layers;
    let mut set: BTreeSet<usize> = seeds.iter().map(|seed| seed.index(layers.len())).collect();
    for index in (0..layers.len()).rev() {
        if set.contains(&index) {
            let reads = &layers[index].reads;
            let before = |l: &usize| layers[*l].writes.iter().any(|w| reads.contains(w));
            set.extend((0..index).filter(before));
        }
    }
    set
}

/// What a set of layers leaves to the others, found from the layers alone.
fn frontier(layered: &LayeredModel, set: &BTreeSet<usize>) -> BTreeSet<String> {
    let graph = layered.layers();
    let outside = (0..graph.layers.len()).filter(|l| !set.contains(l));
    let read: BTreeSet<&String> = outside.flat_map(|l| &graph.layers[l].reads).collect();
    let made = set.iter().flat_map(|&l| &graph.layers[l].writes);
    made.chain(&graph.inputs).filter(|name| read.contains(name)).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_in_topological_order(choices in choices(), extra: Index) {
        let layered = layered(&graph(&choices, extra));
        let mut known: BTreeSet<&String> = layered.layers().inputs.iter().collect();
        let mut nodes = 0;
        for layer in &layered.layers().layers {
            prop_assert!(layer.reads.iter().all(|name| known.contains(name)), "{layer:?}");
            known.extend(&layer.writes);
            nodes += layer.nodes.len();
        }
        prop_assert_eq!(nodes, choices.len());
        prop_assert!(layered.layers().outputs.iter().all(|name| known.contains(name)));
    }

    #[test]
    fn every_boundary_gives_the_unsplit_result(choices in choices(), extra: Index) {
        check_boundaries(&layered(&graph(&choices, extra)), |_| true);
    }

    #[test]
    fn every_frontier_is_a_cut(
        choices in choices(), extra: Index, seeds in prop::collection::vec(any::<Index>(), 1..4),
        dropped: Index,
    ) {
        let layered = layered(&graph(&choices, extra));
        let set = downward_closed(&layered, &seeds);
        let named: Vec<String> = frontier(&layered, &set).into_iter().collect();
        prop_assume!(named.iter().any(|name| name != "x"));
        let cut = layered.cut_at(&named).unwrap();
        let crossing: BTreeSet<&String> = cut.frontier.iter().collect();
        prop_assert_eq!(crossing, named.iter().collect::<BTreeSet<_>>());
        let whole = unsplit(layered.model());
        check_same(&whole, &[&layered.prefix(&cut).unwrap(), &layered.suffix(&cut).unwrap()]);

        let mut fewer = named;
        fewer.remove(dropped.index(fewer.len()));
        if let Ok(cut) = layered.cut_at(&fewer) {
            prop_assert!(cut.frontier.iter().all(|name| fewer.contains(name)));
            check_same(&whole, &[&layered.prefix(&cut).unwrap(), &layered.suffix(&cut).unwrap()]);
        }
    }

    #[test]
    fn a_segment_is_the_set_of_layers_between_two_cuts(
        choices in choices(), extra: Index,
        inner in prop::collection::vec(any::<Index>(), 1..3),
        more in prop::collection::vec(any::<Index>(), 1..3),
    ) {
        let layered = layered(&graph(&choices, extra));
        let first = downward_closed(&layered, &inner);
        let both: BTreeSet<usize> = &first | &downward_closed(&layered, &more);
        let all: BTreeSet<usize> = (0..layered.layers().layers.len()).collect();
        let parts = [first.clone(), &both - &first, &all - &both];
        let segments: Vec<_> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| layered.segment(&part.iter().copied().collect::<Vec<_>>()).unwrap())
            .collect();
        check_same(&unsplit(layered.model()), &segments.iter().collect::<Vec<_>>());
    }
}
