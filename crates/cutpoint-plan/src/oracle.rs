//! The best makespan, by trying everything. Plain on purpose; for tiny instances only.
//!
//! [`best_of_everything`] tries every cut, every encoding, every order of every machine: two jobs
//! of three layers. [`best_of_uplink_orders`] lets the device follow the uplink: four jobs of four
//! layers. Both are built on the simulation alone.

use crate::cut::{LayerSet, frontier, is_downward_closed};
use crate::options::{Granularity, Objective, Policy};
use crate::plan::{Partition, Upload, Work};
use crate::simulate::{Decision, plan_of};
use crate::units::Time;
use crate::workload::{JobId, LayerId, ModelGraph, TensorId, Workload};

/// Every cut of a model with every choice of encodings.
pub(crate) fn partitions(model: &ModelGraph) -> Vec<Partition> {
    let mut all = Vec::new();
    for bits in 0..1u32 << model.layers.len() {
        let mut set = LayerSet::none(model);
        for l in (0..model.layers.len()).filter(|l| bits >> l & 1 == 1) {
            set.insert(LayerId::at(l));
        }
        if is_downward_closed(model, &set) {
            let mut uploads = vec![vec![]];
            for tensor in frontier(model, &set) {
                let forms = model.tensors[tensor.index()].encodings.len();
                uploads = uploads
                    .into_iter()
                    .flat_map(|u: Vec<Upload>| {
                        std::iter::once(None).chain((0..forms).map(Some)).map(move |encoding| {
                            let mut u = u.clone();
                            u.push(Upload { tensor, encoding });
                            u
                        })
                    })
                    .collect();
            }
            all.extend(
                uploads
                    .into_iter()
                    .map(|uploads| Partition { device_layers: set.clone(), uploads }),
            );
        }
    }
    all
}

/// Calls `see` with every choice of one partition for each job.
fn each_choice(workload: &Workload, see: &mut impl FnMut(&[Partition])) {
    let options: Vec<Vec<Partition>> = workload.models.iter().map(partitions).collect();
    fn rec(
        workload: &Workload,
        options: &[Vec<Partition>],
        chosen: &mut Vec<Partition>,
        see: &mut impl FnMut(&[Partition]),
    ) {
        let Some(model) = workload.jobs.get(chosen.len()) else { return see(chosen) };
        for option in &options[model.index()] {
            chosen.push(option.clone());
            rec(workload, options, chosen, see);
            chosen.pop();
        }
    }
    rec(workload, &options, &mut Vec::new(), see);
}

/// Calls `see` with every order of `items` in which nothing comes before what it must follow.
fn each_order<T: Copy>(
    items: &[T],
    may_follow: &impl Fn(&[T], T) -> bool,
    done: &mut Vec<T>,
    used: &mut Vec<bool>,
    see: &mut impl FnMut(&[T]),
) {
    if done.len() == items.len() {
        return see(done);
    }
    for i in 0..items.len() {
        if !used[i] && may_follow(done, items[i]) {
            used[i] = true;
            done.push(items[i]);
            each_order(items, may_follow, done, used, see);
            done.pop();
            used[i] = false;
        }
    }
}

fn orders<T: Copy>(items: &[T], may_follow: impl Fn(&[T], T) -> bool, mut see: impl FnMut(&[T])) {
    each_order(items, &may_follow, &mut Vec::new(), &mut vec![false; items.len()], &mut see);
}

fn uploads(partitions: &[Partition]) -> Vec<(JobId, TensorId)> {
    let jobs = partitions.iter().enumerate();
    jobs.flat_map(|(j, p)| p.uploads.iter().map(move |u| (JobId::at(j), u.tensor))).collect()
}

fn suffixes(workload: &Workload, partitions: &[Partition]) -> Vec<JobId> {
    let layers = |j: usize| workload.model_of(JobId::at(j)).layers.len();
    let jobs = (0..partitions.len()).filter(|&j| partitions[j].device_layers.count() < layers(j));
    jobs.map(JobId::at).collect()
}

/// All device operations of a choice.
fn device_work(partitions: &[Partition]) -> Vec<(JobId, Work)> {
    let mut all = Vec::new();
    for (j, p) in partitions.iter().enumerate() {
        all.extend(p.device_layers.iter().map(|l| (JobId::at(j), Work::Layer(l))));
        let encoded = p.uploads.iter().filter(|u| u.encoding.is_some());
        all.extend(encoded.map(|u| (JobId::at(j), Work::Encode(u.tensor))));
    }
    all
}

/// Whether everything that `work` reads from has been done.
fn is_ready(workload: &Workload, done: &[(JobId, Work)], (job, work): (JobId, Work)) -> bool {
    let model = workload.model_of(job);
    let is_made = |t: TensorId| {
        model.tensors[t.index()].producer.is_none_or(|p| done.contains(&(job, Work::Layer(p))))
    };
    match work {
        Work::Layer(l) => model.layers[l.index()].reads.iter().all(|&t| is_made(t)),
        Work::Encode(t) => is_made(t),
        _ => unreachable!("not work of the device"),
    }
}

/// The smallest makespan of all cuts, encodings and orders of all machines.
pub(crate) fn best_of_everything(workload: &Workload, granularity: Granularity) -> Time {
    let mut best = Time::from_nanoseconds(u64::MAX);
    each_choice(workload, &mut |partitions| {
        let work = device_work(partitions);
        orders(
            &work,
            |done, next| is_ready(workload, done, next),
            |device| {
                orders(
                    &uploads(partitions),
                    |_, _| true,
                    |uplink| {
                        orders(
                            &suffixes(workload, partitions),
                            |_, _| true,
                            |server| {
                                let decision = Decision {
                                    partitions: partitions.to_vec(),
                                    device: device.to_vec(),
                                    uplink: uplink.to_vec(),
                                    server: Some(server.to_vec()),
                                    period: None,
                                };
                                best = best.min(makespan(workload, granularity, decision));
                            },
                        );
                    },
                );
            },
        );
    });
    best
}

/// The smallest makespan of all cuts, encodings, uplink orders and server orders, with the device
/// doing first what the next upload waits for.
pub(crate) fn best_of_uplink_orders(workload: &Workload, granularity: Granularity) -> Time {
    let mut best = Time::from_nanoseconds(u64::MAX);
    each_choice(workload, &mut |partitions| {
        orders(
            &uploads(partitions),
            |_, _| true,
            |uplink| {
                let device = following(workload, granularity, partitions, uplink);
                orders(
                    &suffixes(workload, partitions),
                    |_, _| true,
                    |server| {
                        let decision = Decision {
                            partitions: partitions.to_vec(),
                            device: device.clone(),
                            uplink: uplink.to_vec(),
                            server: Some(server.to_vec()),
                            period: None,
                        };
                        best = best.min(makespan(workload, granularity, decision));
                    },
                );
            },
        );
    });
    best
}

/// The device's work in the order in which `uplink` waits for it.
fn following(
    workload: &Workload,
    granularity: Granularity,
    partitions: &[Partition],
    uplink: &[(JobId, TensorId)],
) -> Vec<(JobId, Work)> {
    let mut left = device_work(partitions);
    let mut order: Vec<(JobId, Work)> = Vec::new();
    for &(job, tensor) in uplink {
        let model = workload.model_of(job);
        let is_needed = |w: Work| match w {
            Work::Layer(l) => {
                granularity == Granularity::Job
                    || model.tensors[tensor.index()].producer.is_some_and(|p| depends(model, p, l))
            }
            Work::Encode(t) => t == tensor,
            _ => false,
        };
        while let Some(next) = left
            .iter()
            .position(|&(j, w)| j == job && is_needed(w) && is_ready(workload, &order, (j, w)))
        {
            order.push(left.remove(next));
        }
    }
    while let Some(next) = left.iter().position(|&w| is_ready(workload, &order, w)) {
        order.push(left.remove(next));
    }
    order
}

/// Whether `layer` is `on` or depends on it.
fn depends(model: &ModelGraph, layer: LayerId, on: LayerId) -> bool {
    layer == on || crate::cut::frontier::parents(model, layer).any(|p| depends(model, p, on))
}

fn makespan(workload: &Workload, granularity: Granularity, decision: Decision) -> Time {
    let (policy, objective) = (Policy::Exhaustive, Objective::Makespan);
    plan_of(workload, policy, granularity, objective, decision, |_| Time::ZERO).makespan
}
