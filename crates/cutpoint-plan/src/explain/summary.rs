//! A plan in a few lines.

use crate::cut::LayerSet;
use crate::explain::stream::{Stream, mean_completion};
use crate::options::{Objective, Policy};
use crate::plan::{Machine, Partition, Plan, Upload};
use crate::units::Time;
use crate::workload::{JobId, ModelGraph, ModelId, Workload};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One cut of one model with the forms in which its tensors are sent, as some jobs use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutUse<'p> {
    /// The model.
    pub model: ModelId,
    /// The cut, and what is sent in the order of the first of the jobs.
    pub partition: &'p Partition,
    /// Who uses it.
    pub jobs: Vec<JobId>,
}

impl CutUse<'_> {
    /// Whether these jobs are cut there and sent so, in whatever order.
    pub(super) fn is_at(&self, layers: &LayerSet, uploads: &[Upload]) -> bool {
        let Partition { device_layers, uploads: own } = self.partition;
        device_layers == layers
            && own.len() == uploads.len()
            && uploads.iter().all(|upload| own.contains(upload))
    }
}

/// The cuts that a plan uses, by model.
pub fn cuts_in_use<'p>(workload: &Workload, plan: &'p Plan) -> Vec<CutUse<'p>> {
    let mut users: BTreeMap<_, Vec<JobId>> = BTreeMap::new();
    for (j, partition) in plan.partitions.iter().enumerate() {
        let mut forms: Vec<_> = partition.uploads.iter().map(|u| (u.tensor, u.encoding)).collect();
        forms.sort_unstable();
        let key = (workload.jobs[j], &partition.device_layers, forms);
        users.entry(key).or_default().push(JobId::at(j));
    }
    let cut = |((model, ..), jobs): ((ModelId, _, _), Vec<JobId>)| {
        let partition = &plan.partitions[jobs[0].index()];
        CutUse { model, partition, jobs }
    };
    users.into_iter().map(cut).collect()
}

/// Bytes on the uplink.
pub(super) fn sent_bytes(model: &ModelGraph, uploads: &[Upload]) -> u64 {
    uploads.iter().map(|u| model.tensors[u.tensor.index()].sent_bytes(u.encoding)).sum()
}

/// The share of the makespan that each machine works; of a server with several executors, the
/// share of all of them; of one without limit, how many jobs it computes on average.
pub(super) fn busy_shares(workload: &Workload, plan: &Plan) -> Vec<(Machine, f64)> {
    let share = |machine| {
        let operations = plan.schedule.on(machine).iter();
        let lengths = operations.map(|op| op.end.saturating_sub(op.start).nanoseconds() as f64);
        let busy = lengths.fold(0.0, |sum, length| sum + length);
        let units = match machine {
            Machine::Server => workload.executors.map_or(1, |n| n.get()),
            _ => 1,
        };
        let available = plan.makespan.nanoseconds() as f64 * f64::from(units);
        (machine, if available > 0.0 { busy / available } else { 0.0 })
    };
    let is_modelled =
        |machine: &Machine| *machine != Machine::Downlink || workload.link.downlink.is_some();
    Machine::ALL.into_iter().filter(is_modelled).map(share).collect()
}

/// If every layer of every job stays on the device, though that was not asked for: why.
pub(super) fn do_not_split(
    workload: &Workload,
    plan: &Plan,
    others: &[(Policy, Option<Time>)],
) -> Option<String> {
    let mut cuts = workload.jobs.iter().zip(&plan.partitions);
    let is_local = cuts.all(|(id, partition)| {
        partition.device_layers.count() == workload.models[id.index()].layers.len()
    });
    let is_asked_for = plan.policy == Policy::LocalOnly || plan.partitions.is_empty();
    (is_local && !is_asked_for).then(|| reason(workload, plan, others))
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
            "; on this link ({mbps} Mbit/s) even the smallest transfer delays a job by {time}, and \
             the device finishes its first job in {each}"
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

/// A plan at a glance, with the makespans of other policies to compare with; `None` where the link
/// does not let them be.
pub fn render_summary(
    workload: &Workload,
    plan: &Plan,
    others: &[(Policy, Option<Time>)],
) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        writeln!(out, "{name:<13}{text}").expect("a String takes everything");
    };
    line("policy", format!("{}, granularity {}", plan.policy, plan.granularity));
    line("jobs", plan.partitions.len().to_string());
    line("makespan", plan.makespan.to_string());
    let proof = match plan.optimal {
        true => "optimal".to_string(),
        false => format!("gap {:.2} %", plan.gap() * 100.0),
    };
    line("lower bound", format!("{} ({proof})", plan.lower_bound));
    if plan.objective == Objective::MeanCompletion {
        let (mean, bound) = mean_completion(workload, plan);
        let bound = bound.map(|b| format!(" (no plan is below {b})")).unwrap_or_default();
        line("mean", format!("{mean}{bound}"));
    }
    if let Some(stream) = Stream::of(workload, plan) {
        stream_lines(&stream, &mut line);
    }
    let busy = busy_shares(workload, plan);
    let busy = busy.iter().map(|&(machine, share)| match share > 1.0 + 1e-9 {
        true => format!("{} {share:.1} at a time", machine.name()),
        false => format!("{} {:.0} %", machine.name(), share * 100.0),
    });
    line("busy", busy.collect::<Vec<_>>().join(", "));
    for (policy, makespan) in others {
        let text = match makespan {
            None => "not possible on this link".to_string(),
            Some(time) if plan.makespan > Time::ZERO => {
                let ratio = time.nanoseconds() as f64 / plan.makespan.nanoseconds() as f64;
                format!("{time}, {ratio:.2} times this plan")
            }
            Some(time) => time.to_string(),
        };
        line(policy.name(), text);
    }
    if let Some(reason) = do_not_split(workload, plan, others) {
        line("verdict", format!("do not split: {reason}"));
    }
    if !plan.partitions.is_empty() {
        out.push('\n');
        out.push_str(&cuts_table(workload, plan));
    }
    out
}

/// The cuts, most used first.
fn cuts_table(workload: &Workload, plan: &Plan) -> String {
    let mut cuts = cuts_in_use(workload, plan);
    cuts.sort_by_key(|cut| std::cmp::Reverse(cut.jobs.len()));
    let mut rows = vec![["jobs", "model", "on device", "sent", "bytes"].map(str::to_string)];
    for CutUse { model, partition, jobs } in cuts {
        let model = &workload.models[model.index()];
        let name = |upload: &Upload| {
            let tensor = &model.tensors[upload.tensor.index()];
            match upload.encoding.map(|e| &tensor.encodings[e].name) {
                Some(encoding) => format!("{} as {encoding}", tensor.name),
                None => tensor.name.clone(),
            }
        };
        let sent: Vec<String> = partition.uploads.iter().map(name).collect();
        rows.push([
            jobs.len().to_string(),
            model.name.clone(),
            format!("{} of {} layers", partition.device_layers.count(), model.layers.len()),
            if sent.is_empty() { "-".to_string() } else { sent.join(", ") },
            sent_bytes(model, &partition.uploads).to_string(),
        ]);
    }
    table(&rows)
}

fn stream_lines(stream: &Stream, line: &mut dyn FnMut(&str, String)) {
    let one_cut = match stream.shortest_period_of_one_cut {
        Some(period) => format!("; a single cut needs {period}"),
        None => String::new(),
    };
    let shortest = stream.shortest_period;
    let stability = match stream.is_stable() {
        true => format!("keeps up: a mix of cuts needs at least {shortest}{one_cut}"),
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
