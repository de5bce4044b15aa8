//! How long planning takes. Each case is one target of the planner; the figures belong into
//! docs/log together with the machine they were measured on.

use cutpoint_plan::instances::{fill_like_cnn, general, inception, line, unit_link, workload};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::replan::Replanner;
use cutpoint_plan::units::Bandwidth;
use cutpoint_plan::workload::{Link, Workload};
use divan::Bencher;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

fn main() {
    divan::main();
}

fn wifi() -> Link {
    let uplink = Bandwidth::from_mbit_per_s(18.88).expect("positive and finite");
    Link { uplink, ..unit_link() }
}

fn jobs_of_inception(seed: u64, jobs: usize, executors: Option<u32>) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let model = fill_like_cnn(&mut rng, "inception", &inception(), executors.is_some());
    let executors = executors.and_then(NonZeroU32::new);
    workload(vec![model], &[jobs], wifi(), executors)
}

fn jobs_of_ten_models(jobs: usize) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let models = (0..10)
        .map(|m| {
            let shape = if m % 2 == 0 { inception() } else { line(20 + 3 * m) };
            fill_like_cnn(&mut rng, &format!("model{m}"), &shape, false)
        })
        .collect();
    workload(models, &[jobs / 10; 10], wifi(), None)
}

fn joint(workload: &Workload) -> u64 {
    plan(workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))
        .expect("the link works")
        .makespan
        .nanoseconds()
}

#[divan::bench(args = [7, 8, 9])]
fn hundred_identical_inception_jobs(bencher: Bencher<'_, '_>, seed: u64) {
    let workload = jobs_of_inception(seed, 100, None);
    bencher.bench(|| joint(&workload));
}

#[divan::bench(sample_count = 10)]
fn hundred_identical_inception_jobs_with_one_executor(bencher: Bencher<'_, '_>) {
    let workload = jobs_of_inception(7, 100, Some(1));
    bencher.bench(|| joint(&workload));
}

#[divan::bench]
fn hundred_identical_inception_jobs_as_whole_jobs(bencher: Bencher<'_, '_>) {
    let workload = jobs_of_inception(7, 100, None);
    let options = PlanOptions::raw(Granularity::Job);
    bencher.bench(|| plan(&workload, Policy::Joint, &options).expect("the link works").makespan);
}

/// Cuts and order for a new bandwidth, the cuts listed before.
#[divan::bench(args = [Granularity::Job, Granularity::Layer])]
fn replan_hundred_inception_jobs(bencher: Bencher<'_, '_>, granularity: Granularity) {
    let workload = jobs_of_inception(7, 100, None);
    let mut replanner = Replanner::new(&workload, granularity).expect("the link works");
    let bandwidths =
        [5.0, 11.0, 18.88, 30.0].map(|m| Bandwidth::from_mbit_per_s(m).expect("positive"));
    let mut turn = 0;
    bencher.bench_local(|| {
        turn += 1;
        let replan = replanner.replan(bandwidths[turn % bandwidths.len()]).expect("the link works");
        replan.makespan()
    });
}

#[divan::bench(sample_count = 10)]
fn ten_thousand_jobs_of_ten_models(bencher: Bencher<'_, '_>) {
    let workload = jobs_of_ten_models(10_000);
    bencher.bench(|| joint(&workload));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3)]
fn growth_with_jobs(bencher: Bencher<'_, '_>, jobs: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let models = (0..4).map(|m| fill_like_cnn(&mut rng, &format!("model{m}"), &line(8), false));
    let workload = workload(models.collect(), &[jobs / 4; 4], wifi(), None);
    bencher.bench(|| joint(&workload));
}

#[divan::bench(sample_count = 3)]
fn a_graph_of_five_thousand_layers(bencher: Bencher<'_, '_>) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shape = general(&mut rng, 5_000);
    let model = fill_like_cnn(&mut rng, "large", &shape, false);
    let workload = workload(vec![model], &[4], wifi(), None);
    bencher.bench(|| joint(&workload));
}
