//! A plan in a few lines.

use crate::cut::LayerSet;
use crate::explain::stream::{Stream, mean_completion};
use crate::options::{Granularity, Objective, Policy};
use crate::plan::{Machine, Plan, Upload};
use crate::units::Time;
use crate::workload::{JobId, Workload};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Jobs of one model that are cut at one place and sent in one way.
#[derive(Clone, Debug, PartialEq)]
pub struct CutUse {
    /// The name of the model.
    pub model: String,
    /// How many jobs.
    pub jobs: usize,
    /// The layers on the device.
    pub layers: LayerSet,
    /// How many layers the model has.
    pub layer_count: usize,
    /// What is sent.
    pub uploads: Vec<Upload>,
    /// What is sent, by name and encoding.
    pub sent: Vec<String>,
    /// How many bytes that is.
    pub bytes: u64,
}

impl CutUse {
    /// Whether these jobs are cut there and sent so, in whatever order.
    pub(super) fn is_at(&self, layers: &LayerSet, uploads: &[Upload]) -> bool {
        self.layers == *layers
            && self.uploads.len() == uploads.len()
            && uploads.iter().all(|upload| self.uploads.contains(upload))
    }
}

/// A plan at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSummary {
    /// What made the plan.
    pub policy: Policy,
    /// When transfers may start.
    pub granularity: Granularity,
    /// Jobs in all.
    pub jobs: usize,
    /// The last completion.
    pub makespan: Time,
    /// No plan has a smaller makespan.
    pub lower_bound: Time,
    /// (makespan - lower bound) / lower bound.
    pub gap: f64,
    /// Whether the makespan is proved to be the smallest possible.
    pub is_optimal: bool,
    /// The cuts, most used first.
    pub cuts: Vec<CutUse>,
    /// The share of the makespan that each machine works; of a server with several executors, the
    /// share of all of them; of one without limit, how many jobs it computes on average.
    pub busy: Vec<(Machine, f64)>,
    /// The makespans of other policies; `None` where the link does not let them be.
    pub others: Vec<(Policy, Option<Time>)>,
    /// If every layer of every job stays on the device: why.
    pub do_not_split: Option<String>,
    /// How jobs fare that arrive over time.
    pub stream: Option<Stream>,
    /// If that was to be small: the mean completion, and one that no plan beats.
    pub mean_completion: Option<(Time, Option<Time>)>,
}

impl PlanSummary {
    /// The summary of a plan, with the makespans of other policies to compare with.
    pub fn of(workload: &Workload, plan: &Plan, others: &[(Policy, Option<Time>)]) -> PlanSummary {
        let cuts = cut_uses(workload, plan);
        let busy = Machine::ALL.map(|machine| (machine, busy_share(workload, plan, machine)));
        let is_used = |(machine, _): &(Machine, f64)| {
            *machine != Machine::Downlink || workload.link.downlink.is_some()
        };
        let is_local = cuts.iter().all(|cut| cut.layers.count() == cut.layer_count);
        let do_not_split = is_local && plan.policy != Policy::LocalOnly && !cuts.is_empty();
        PlanSummary {
            policy: plan.policy,
            granularity: plan.granularity,
            jobs: plan.partitions.len(),
            makespan: plan.makespan,
            lower_bound: plan.lower_bound,
            gap: plan.gap(),
            is_optimal: plan.optimal,
            do_not_split: do_not_split.then(|| reason(workload, plan, others)),
            cuts,
            busy: busy.into_iter().filter(is_used).collect(),
            others: others.to_vec(),
            stream: Stream::of(workload, plan),
            mean_completion: (plan.objective == Objective::MeanCompletion)
                .then(|| mean_completion(workload, plan)),
        }
    }
}

fn cut_uses(workload: &Workload, plan: &Plan) -> Vec<CutUse> {
    type Key<'a> = (usize, &'a LayerSet, Vec<(u32, Option<usize>)>);
    let mut uses: BTreeMap<Key<'_>, (usize, &[Upload])> = BTreeMap::new();
    for (job, partition) in plan.partitions.iter().enumerate() {
        let mut key: Vec<_> = partition.uploads.iter().map(|u| (u.tensor.0, u.encoding)).collect();
        key.sort_unstable();
        let key = (workload.jobs[job].index(), &partition.device_layers, key);
        uses.entry(key).or_insert((0, &partition.uploads)).0 += 1;
    }
    let mut cuts: Vec<CutUse> = uses
        .into_iter()
        .map(|((model, layers, _), (jobs, uploads))| {
            let model = &workload.models[model];
            let tensor = |u: &Upload| &model.tensors[u.tensor.index()];
            let encoding = |u: &Upload| u.encoding.map(|e| &tensor(u).encodings[e]);
            let name = |u: &Upload| match encoding(u) {
                Some(encoding) => format!("{} as {}", tensor(u).name, encoding.name),
                None => tensor(u).name.clone(),
            };
            let size = |u: &Upload| encoding(u).map_or(tensor(u).bytes, |e| e.bytes);
            CutUse {
                model: model.name.clone(),
                jobs,
                layers: layers.clone(),
                layer_count: model.layers.len(),
                sent: uploads.iter().map(name).collect(),
                bytes: uploads.iter().map(size).sum(),
                uploads: uploads.to_vec(),
            }
        })
        .collect();
    cuts.sort_by_key(|cut| std::cmp::Reverse(cut.jobs));
    cuts
}

fn busy_share(workload: &Workload, plan: &Plan, machine: Machine) -> f64 {
    let operations = plan.schedule.on(machine).iter();
    let lengths = operations.map(|op| op.end.saturating_sub(op.start).nanoseconds() as f64);
    let busy = lengths.fold(0.0, |sum, length| sum + length);
    let units = match machine {
        Machine::Server => workload.executors.map_or(1, |n| n.get()),
        _ => 1,
    };
    let available = plan.makespan.nanoseconds() as f64 * f64::from(units);
    if available > 0.0 { busy / available } else { 0.0 }
}

/// Why nothing is sent.
fn reason(workload: &Workload, plan: &Plan, others: &[(Policy, Option<Time>)]) -> String {
    let mbps = workload.link.uplink.mbit_per_s();
    if mbps <= 0.0 {
        return "the uplink has no bandwidth".to_string();
    }
    let local = plan.makespan;
    let server_only = others.iter().find(|(policy, _)| *policy == Policy::ServerOnly);
    let compared = match server_only {
        Some((_, Some(remote))) => format!("; everything on the server takes {remote}"),
        _ => String::new(),
    };
    let certainty = match plan.optimal {
        true => "and no plan that sends anything is shorter",
        false => "and no shorter plan that sends anything was found",
    };
    let jobs = workload.jobs.len();
    let each = plan.completions.iter().min().copied().unwrap_or_default();
    let smallest = smallest_upload(workload);
    let link = match smallest {
        Some(time) if jobs > 0 => format!(
            "; on this link ({mbps} Mbit/s) even the smallest cut keeps a job's tensors {time} on the \
             way, and the device finishes its first job after {each}"
        ),
        _ => String::new(),
    };
    format!("the device does everything in {local}, {certainty}{compared}{link}")
}

/// The least time between sending a tensor and having its result, over all tensors that a cut
/// along a model's order would send.
fn smallest_upload(workload: &Workload) -> Option<Time> {
    let link = &workload.link;
    let first = workload.jobs.first().map(|_| workload.model_of(JobId(0)))?;
    let sizes = first
        .tensors
        .iter()
        .filter(|t| !t.readers.is_empty())
        .flat_map(|tensor| tensor.encodings.iter().map(|e| e.bytes).chain([tensor.bytes]));
    let times = sizes.filter_map(|bytes| link.uplink.transfer_time(bytes));
    times.min().map(|time| time + link.message_overhead + link.round_trip)
}

/// The summary in lines of text.
pub fn render_summary(summary: &PlanSummary) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        writeln!(out, "{name:<12} {text}").expect("a String takes everything");
    };
    line("policy", format!("{}, granularity {}", summary.policy, summary.granularity));
    line("jobs", summary.jobs.to_string());
    line("makespan", summary.makespan.to_string());
    let proof = match summary.is_optimal {
        true => "optimal".to_string(),
        false => format!("gap {:.2} %", summary.gap * 100.0),
    };
    line("lower bound", format!("{} ({proof})", summary.lower_bound));
    if let Some((mean, bound)) = summary.mean_completion {
        let bound = bound.map(|b| format!(" (no plan is below {b})")).unwrap_or_default();
        line("mean", format!("{mean}{bound}"));
    }
    if let Some(stream) = &summary.stream {
        stream_lines(stream, &mut line);
    }
    let busy = summary.busy.iter().map(|&(machine, share)| match share > 1.0 + 1e-9 {
        true => format!("{} {share:.1} at a time", machine.name()),
        false => format!("{} {:.0} %", machine.name(), share * 100.0),
    });
    line("busy", busy.collect::<Vec<_>>().join(", "));
    for (policy, makespan) in &summary.others {
        let text = match makespan {
            None => "not possible on this link".to_string(),
            Some(time) if summary.makespan > Time::ZERO => {
                let ratio = time.nanoseconds() as f64 / summary.makespan.nanoseconds() as f64;
                format!("{time}, {ratio:.2} times this plan")
            }
            Some(time) => time.to_string(),
        };
        line(policy.name(), text);
    }
    if let Some(reason) = &summary.do_not_split {
        line("verdict", format!("do not split: {reason}"));
    }
    if !summary.cuts.is_empty() {
        let head = ["jobs", "model", "on device", "sent", "bytes"].map(str::to_string);
        let rows = summary.cuts.iter().map(|cut| {
            let sent = if cut.sent.is_empty() { "-".to_string() } else { cut.sent.join(", ") };
            let layers = format!("{} of {} layers", cut.layers.count(), cut.layer_count);
            [cut.jobs.to_string(), cut.model.clone(), layers, sent, cut.bytes.to_string()]
        });
        out.push('\n');
        out.push_str(&table(&[head].into_iter().chain(rows).collect::<Vec<_>>()));
    }
    out
}

fn stream_lines(stream: &Stream, line: &mut dyn FnMut(&str, String)) {
    let one_cut = match stream.shortest_period_of_one_cut {
        Some(period) => format!("; a single cut keeps up from {period} on"),
        None => String::new(),
    };
    let shortest = stream.shortest_period;
    let stability = match stream.is_stable() {
        true => format!("keeps up: a mix of cuts does from {shortest} on{one_cut}"),
        false => format!("too fast, jobs pile up: even a mix of cuts needs {shortest}{one_cut}"),
    };
    line("arrivals", format!("every {}; {stability}", stream.period));
    let latency = format!(
        "mean {}, median {}, 95 % within {}, worst {}",
        stream.mean_latency, stream.median_latency, stream.p95_latency, stream.worst_latency
    );
    line("latency", latency);
    if let Some(jobs) = stream.repeats_after {
        let pattern = match jobs {
            1 => "all jobs are cut alike".to_string(),
            _ => format!("cuts repeat every {jobs} jobs"),
        };
        line("pattern", pattern);
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
