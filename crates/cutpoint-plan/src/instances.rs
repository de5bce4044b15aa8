//! Random models and workloads for tests, benches and experiments.
//!
//! A theorem's hypotheses are in the name of the generator that can only make instances of that
//! kind. Times and sizes are small whole numbers, so that ties happen; with [`unit_link`] a byte
//! takes a nanosecond. Generators that take a `unit` make times and sizes that many times as large,
//! and not multiples of it: with a large unit ties hardly happen.

#[cfg(test)]
mod tests;

use crate::units::{Bandwidth, Time};
use crate::workload::{LayerBuilder, Link, ModelBuilder, ModelGraph, ModelId, Workload};
use rand::{Rng, RngExt};
use std::num::NonZeroU32;

/// A link that carries a byte in a nanosecond, with no downlink, round trip or overhead.
pub fn unit_link() -> Link {
    Link::at(Bandwidth::from_mbit_per_s(8000.0).expect("positive and finite"))
}

/// A graph of layers to be filled with times and sizes: for each layer, the earlier layers that it
/// reads from. A layer that reads from none reads the model's input.
pub type Shape = Vec<Vec<usize>>;

/// A model of one tensor for each layer and an input; times in nanoseconds.
///
/// `device`, `server` and `bytes` have an entry for each layer of `shape`.
pub fn model(
    name: &str,
    shape: &Shape,
    input_bytes: u64,
    device: &[u64],
    server: &[u64],
    bytes: &[u64],
) -> ModelGraph {
    let mut model = ModelBuilder::new(name).input("input", input_bytes);
    for (l, from) in shape.iter().enumerate() {
        let mut layer = LayerBuilder::new(format!("l{l}"))
            .write(format!("t{l}"), bytes[l])
            .device(Time::from_nanoseconds(device[l]))
            .server(Time::from_nanoseconds(server[l]));
        if from.is_empty() {
            layer = layer.read("input");
        }
        for before in from {
            layer = layer.read(format!("t{before}"));
        }
        model = model.layer(layer);
    }
    model.build().expect("layers read from earlier layers")
}

/// A workload with `counts[m]` jobs of `models[m]`, jobs of different models taking turns.
pub fn workload(
    models: Vec<ModelGraph>,
    counts: &[usize],
    link: Link,
    executors: Option<NonZeroU32>,
) -> Workload {
    let mut jobs = Vec::new();
    for round in 0..counts.iter().copied().max().unwrap_or(0) {
        let more = (0..models.len()).filter(|&m| round < counts[m]);
        jobs.extend(more.map(ModelId::at));
    }
    Workload { link, executors, models, jobs }
}

/// A line of `layers` layers.
pub fn line(layers: usize) -> Shape {
    (0..layers).map(|l| if l == 0 { vec![] } else { vec![l - 1] }).collect()
}

/// A line whose stage times are `cuts[k] = (device, uplink)` when cut after layer k, in
/// nanoseconds on a [`unit_link`]; the first entry is the cut before any layer, and device times
/// never fall.
pub fn line_of_cuts(name: &str, cuts: &[(u64, u64)]) -> ModelGraph {
    let device: Vec<u64> = cuts.windows(2).map(|w| w[1].0 - w[0].0).collect();
    let bytes: Vec<u64> = cuts[1..].iter().map(|c| c.1).collect();
    let layers = cuts.len() - 1;
    model(name, &line(layers), cuts[0].1, &device, &vec![0; layers], &bytes)
}

/// Cuts of a line under the paper's hypotheses: device time linear, uplink time convex and falling
/// to zero. Limits are multiples of `unit`.
pub fn convex_cuts(rng: &mut impl Rng, layers: usize, unit: u64) -> Vec<(u64, u64)> {
    let step = rng.random_range(unit..10 * unit);
    let mut falls: Vec<u64> = (0..layers).map(|_| rng.random_range(0..20 * unit)).collect();
    falls.sort_unstable();
    let mut cuts: Vec<(u64, u64)> = Vec::new();
    let mut uplink = 0;
    for (k, fall) in (0..=layers).rev().zip(std::iter::once(0).chain(falls)) {
        uplink += fall;
        cuts.push((k as u64 * step, uplink));
    }
    cuts.reverse();
    cuts
}

/// Cuts of a line with device time rising and uplink time falling, not convex in general.
pub fn monotone_cuts(rng: &mut impl Rng, layers: usize, unit: u64) -> Vec<(u64, u64)> {
    let (mut device, mut cuts) = (0, Vec::new());
    let mut uplinks: Vec<u64> = (0..layers).map(|_| rng.random_range(0..60 * unit)).collect();
    uplinks.sort_unstable();
    uplinks.push(rng.random_range(40 * unit..90 * unit));
    uplinks.last_mut().into_iter().for_each(|u| *u = (*u).max(60 * unit));
    for &uplink in uplinks.iter().rev() {
        cuts.push((device, uplink));
        device += rng.random_range(0..20 * unit);
    }
    cuts
}

/// Cuts of a line with any sizes.
pub fn arbitrary_cuts(rng: &mut impl Rng, layers: usize, unit: u64) -> Vec<(u64, u64)> {
    let mut device = 0;
    let mut cuts = vec![(0, rng.random_range(unit..40 * unit))];
    for _ in 0..layers {
        device += rng.random_range(0..12 * unit);
        cuts.push((device, rng.random_range(0..40 * unit)));
    }
    cuts
}

/// Every layer but the first reads from one earlier layer: branches fan out.
pub fn out_tree(rng: &mut impl Rng, layers: usize) -> Shape {
    (0..layers).map(|l| if l == 0 { vec![] } else { vec![rng.random_range(0..l)] }).collect()
}

/// Every layer but the last is read by one later layer: branches come together.
pub fn in_tree(rng: &mut impl Rng, layers: usize) -> Shape {
    let mut shape: Shape = vec![vec![]; layers];
    for l in 0..layers.saturating_sub(1) {
        let reader = rng.random_range(l + 1..layers);
        shape[reader].push(l);
    }
    shape
}

/// Series-parallel throughout: of two parts, either all sinks of one are read by all sources of the
/// other, or the parts stand side by side; and so on inside each.
pub fn nested_series_parallel(rng: &mut impl Rng, layers: usize) -> Shape {
    /// Adds `layers` layers whose sources read from `from`; gives their sinks.
    fn compose(
        rng: &mut impl Rng,
        shape: &mut Shape,
        layers: usize,
        from: Vec<usize>,
    ) -> Vec<usize> {
        if layers <= 1 {
            shape.extend((0..layers).map(|_| from.clone()));
            return if layers == 0 { from } else { vec![shape.len() - 1] };
        }
        let first = rng.random_range(1..layers);
        if rng.random_bool(0.5) {
            let sinks = compose(rng, shape, first, from);
            compose(rng, shape, layers - first, sinks)
        } else {
            let mut sinks = compose(rng, shape, first, from.clone());
            sinks.extend(compose(rng, shape, layers - first, from));
            sinks
        }
    }
    let mut shape = Shape::new();
    compose(rng, &mut shape, layers, Vec::new());
    shape
}

/// Every layer reads from one to three earlier layers.
pub fn general(rng: &mut impl Rng, layers: usize) -> Shape {
    (0..layers)
        .map(|l| {
            let mut from: Vec<usize> = (0..rng.random_range(1..=3))
                .filter(|_| l > 0)
                .map(|_| rng.random_range(0..l))
                .collect();
            from.sort_unstable();
            from.dedup();
            from
        })
        .collect()
}

/// `layers` branches of one layer each and a last one that joins them all.
pub fn wide(layers: usize) -> Shape {
    let branches = layers.saturating_sub(1);
    let mut shape: Shape = vec![vec![]; branches];
    shape.push((0..branches).collect());
    shape
}

/// A graph like GoogLeNet's: a stem in a line, nine modules of four branches (of one, two, two and
/// two layers) that a concatenation joins, with pools between some, and a head. It has 9 x 53
/// downward-closed cuts inside modules, and more in the stem and the head.
pub fn inception() -> Shape {
    let mut shape = line(5);
    for module in 0..9 {
        let from = shape.len() - 1;
        let base = shape.len();
        shape.extend([vec![from], vec![from], vec![base + 1], vec![from], vec![base + 3]]);
        shape.extend([vec![from], vec![base + 5]]);
        shape.push(vec![base, base + 2, base + 4, base + 6]);
        if module == 1 || module == 6 {
            shape.push(vec![shape.len() - 1]);
        }
    }
    shape.extend([vec![shape.len() - 1], vec![shape.len()]]);
    shape
}

/// A model with times like those of a convolutional network on a small computer: hundreds of
/// microseconds to milliseconds a layer, a server fifteen times as fast (if `has_server`), and
/// tensors that shrink along the way from an input of 600 kB.
pub fn fill_like_cnn(
    rng: &mut impl Rng,
    name: &str,
    shape: &Shape,
    has_server: bool,
) -> ModelGraph {
    let layers = shape.len();
    let device: Vec<u64> = (0..layers).map(|_| rng.random_range(200_000..6_000_000)).collect();
    let server: Vec<u64> = device.iter().map(|&d| if has_server { d / 15 } else { 0 }).collect();
    let bytes: Vec<u64> = (0..layers)
        .map(|l| {
            let most = 900_000 / (1 + 12 * l as u64 / layers as u64);
            rng.random_range(most / 4..most)
        })
        .collect();
    model(name, shape, 602_112, &device, &server, &bytes)
}

/// A model of a shape with random times and sizes: device times below 12 `unit`s, sizes below 30,
/// server times below `server_below` (0 for none).
pub fn fill(
    rng: &mut impl Rng,
    name: &str,
    shape: &Shape,
    server_below: u64,
    unit: u64,
) -> ModelGraph {
    let layers = shape.len();
    let device: Vec<u64> = (0..layers).map(|_| rng.random_range(0..12 * unit)).collect();
    let server: Vec<u64> = (0..layers).map(|_| below(rng, server_below * unit)).collect();
    let bytes: Vec<u64> = (0..layers).map(|_| rng.random_range(0..30 * unit)).collect();
    let input = rng.random_range(unit..40 * unit);
    model(name, shape, input, &device, &server, &bytes)
}

/// A model with a large input (20 to 80 `unit`s), small tensors and short layers (both below 8), and
/// long layers at its sinks (10 to 60): many jobs are best cut just before a sink, and where several
/// tensors cross there, each can be sent while the device goes on.
pub fn fill_hourglass(rng: &mut impl Rng, name: &str, shape: &Shape, unit: u64) -> ModelGraph {
    let is_sink = |l: usize| shape.iter().all(|from| !from.contains(&l));
    let device: Vec<u64> = (0..shape.len())
        .map(|l| match is_sink(l) {
            true => rng.random_range(10 * unit..60 * unit),
            false => rng.random_range(0..8 * unit),
        })
        .collect();
    let bytes: Vec<u64> = shape.iter().map(|_| rng.random_range(0..8 * unit)).collect();
    let input = rng.random_range(20 * unit..80 * unit);
    model(name, shape, input, &device, &vec![0; shape.len()], &bytes)
}

/// Gives every layer a server time below `most` nanoseconds, or none if that is 0.
pub fn serve(rng: &mut impl Rng, model: &mut ModelGraph, most: u64) {
    for layer in &mut model.layers {
        layer.server = Time::from_nanoseconds(below(rng, most));
    }
}

fn below(rng: &mut impl Rng, most: u64) -> u64 {
    if most > 0 { rng.random_range(0..most) } else { 0 }
}
