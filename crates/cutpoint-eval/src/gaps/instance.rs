//! Seeded workloads of one family: a kind of graph and, for lines, of stage times.

use clap::ValueEnum;
use cutpoint_plan::instances::{
    Shape, arbitrary_cuts, convex_cuts, fill, fill_hourglass, fill_like_cnn, general, in_tree,
    line_of_cuts, monotone_cuts, nested_series_parallel, out_tree, serve, unit_link, wide,
    workload,
};
use cutpoint_plan::options::Granularity;
use cutpoint_plan::units::Bandwidth;
use cutpoint_plan::workload::{Link, ModelGraph, Workload};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroU32;

/// Factor on the generators' small times, so that ties are rare.
const UNIT: u64 = 1000;

/// Server times are shorter than this at most.
const SERVER_BELOW: u64 = 12 * UNIT;

/// The same for models like convolutional networks.
const SERVER_BELOW_LIKE_CNN: u64 = 6_000_000;

/// Uplinks for models like convolutional networks, in Mbit/s: the device is quicker than the
/// uplink, or about as quick, or slower.
const UPLINKS_LIKE_CNN: [f64; 3] = [60.0, 180.0, 540.0];

/// The longest server times of an instance are shorter by one of these factors: the server is much
/// quicker than the device, or quicker, or about as quick.
const SERVER_SHARES: [u64; 3] = [12, 3, 1];

/// How the layers of a graph get times and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// From the same ranges all over the model.
    Even,
    /// A large input, and tensors that shrink.
    LikeCnn,
    /// A large input, small tensors, long last layers.
    Hourglass,
}

/// A kind of model graph, and for lines of stage times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Family {
    /// Lines with linear device times and convex uplink times.
    ConvexLine,
    /// Lines with falling uplink times.
    MonotoneLine,
    /// Lines with any uplink times.
    ArbitraryLine,
    /// Branches fan out.
    OutTree,
    /// Branches come together.
    InTree,
    /// Parts in series and side by side.
    SeriesParallel,
    /// Any graph.
    General,
    /// Branches of one layer and a layer that joins them.
    Wide,
}

impl Family {
    /// On lines a job sends one tensor, so there the granularities are one.
    pub(super) fn granularities(self) -> &'static [Granularity] {
        match self {
            Family::ConvexLine | Family::MonotoneLine | Family::ArbitraryLine => {
                &[Granularity::Job]
            }
            _ => &[Granularity::Job, Granularity::Layer],
        }
    }

    fn is_line(self) -> bool {
        self.granularities().len() == 1
    }

    fn model(self, rng: &mut impl Rng, name: &str, filling: Filling) -> ModelGraph {
        let layers = rng.random_range(3..13);
        let fewer = rng.random_range(3..10);
        let shape: Shape = match self {
            Family::ConvexLine => return line_of_cuts(name, &convex_cuts(rng, layers, UNIT)),
            Family::MonotoneLine => return line_of_cuts(name, &monotone_cuts(rng, layers, UNIT)),
            Family::ArbitraryLine => return line_of_cuts(name, &arbitrary_cuts(rng, layers, UNIT)),
            Family::OutTree => out_tree(rng, fewer),
            Family::InTree => in_tree(rng, fewer),
            Family::SeriesParallel => nested_series_parallel(rng, fewer),
            Family::General => general(rng, fewer),
            Family::Wide => wide(fewer.min(8)),
        };
        match filling {
            Filling::Even => fill(rng, name, &shape, 0, UNIT),
            Filling::LikeCnn => fill_like_cnn(rng, name, &shape, false),
            Filling::Hourglass => fill_hourglass(rng, name, &shape, UNIT),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no family is hidden");
        f.pad(value.get_name())
    }
}

/// Which machines an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Machines {
    /// Device and uplink; the server takes no time.
    Two,
    /// Device, uplink and a server with one executor.
    Three,
}

/// `jobs` jobs; of one model, of three models in turn, or each of its own, as the seed leaves 0, 1
/// or 2 when divided by three.
///
/// The quotient says in the same way how layers of graphs get times and sizes: evenly, like those
/// of a convolutional network, or so that several tensors are worth sending.
pub(super) fn instance(family: Family, machines: Machines, jobs: usize, seed: u64) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let models = match seed % 3 {
        0 => jobs.min(1),
        1 => jobs.min(3),
        _ => jobs,
    };
    let counts: Vec<usize> =
        (0..models).map(|m| jobs / models + usize::from(m < jobs % models)).collect();
    let filling = match seed / 3 % 3 {
        0 => Filling::Even,
        1 => Filling::LikeCnn,
        _ => Filling::Hourglass,
    };
    let (mut link, mut server_below) = (unit_link(), SERVER_BELOW);
    if filling == Filling::LikeCnn && !family.is_line() {
        let mbit_per_s = UPLINKS_LIKE_CNN[rng.random_range(0..UPLINKS_LIKE_CNN.len())];
        let uplink = Bandwidth::from_mbit_per_s(mbit_per_s).expect("positive and finite");
        link = Link { uplink, ..link };
        server_below = SERVER_BELOW_LIKE_CNN;
    }
    let mut list: Vec<ModelGraph> =
        (0..models).map(|m| family.model(&mut rng, &format!("model{m:02}"), filling)).collect();
    let mut executors = None;
    if machines == Machines::Three {
        executors = NonZeroU32::new(1);
        let below = server_below / SERVER_SHARES[rng.random_range(0..SERVER_SHARES.len())];
        list.iter_mut().for_each(|model| serve(&mut rng, model, below));
    }
    workload(list, &counts, link, executors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::units::Time;

    #[test]
    fn instances_have_the_requested_jobs_models_and_machines() {
        for family in Family::value_variants() {
            for (seed, models) in [(0, 1), (1, 3), (2, 7), (3, 1), (5, 7), (8, 7)] {
                let two = instance(*family, Machines::Two, 7, seed);
                assert_eq!((two.jobs().len(), two.models().len()), (7, models), "{family} {seed}");
                let layers = |w: &Workload| -> Vec<_> {
                    w.models().iter().flat_map(|m| m.layers.clone()).collect()
                };
                assert!(layers(&two).iter().all(|l| l.server == Time::ZERO));
                let three = instance(*family, Machines::Three, 7, seed);
                assert_eq!(three.executors(), NonZeroU32::new(1));
                assert!(layers(&three).iter().any(|l| l.server > Time::ZERO));
                let same = three.with_layer_times(|_, _, layer| (layer.device, Time::ZERO));
                assert_eq!(same.models(), two.models(), "the same but for the server");
            }
        }
    }
}
