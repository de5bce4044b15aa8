//! What one job can put on the machines: every cut in every form, as a few numbers.

use crate::check::bound::{CutLoad, Cuts};
use crate::options::Granularity;
use crate::units::TIME_MAX;
use crate::workload::Workload;

/// Loads on device, uplink, server (a share of one executor's time) and downlink.
pub(super) type Loads = [u64; 4];

/// A cut whose tensors have more combinations of forms than this counts with the least of each
/// form's times, as if one form had them all.
const FORMS_MAX: usize = 256;

/// The same for all cuts of a model together, on average.
const FORMS_SUM_MAX: usize = 400_000;

/// A model with more modes than this is left to the plain load bound.
const MODES_MAX: usize = 1_000;

/// A way to run one job, as far as bounds need it. Times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    pub loads: Loads,
    /// Device time before its first transfer; `None` if the job is done without the server.
    pub lead: Option<u64>,
    /// The end of its transfers is so long before its completion at least.
    pub tail: u64,
    /// Uplink time after its last device work, if that is waited for; else 0.
    pub trail: u64,
    /// The end of its device work is so long before its completion at least.
    pub end: u64,
    /// Before the server can start.
    pub arrival: u64,
    /// From the end of the server's work to completion.
    pub back: u64,
    /// Before the downlink can start.
    pub made: u64,
    /// The time on the server, whatever the number of executors.
    pub server: u64,
}

impl Mode {
    /// No job in this mode is complete sooner, even alone.
    pub(super) fn alone(&self) -> u64 {
        let there = self.arrival + self.server + self.back;
        (self.loads[0] + self.end).max(if self.lead.is_some() { there } else { 0 })
    }

    /// Whether any plan stays one, and gets no longer, when a job takes this mode and not `other`.
    fn replaces(&self, other: &Mode) -> bool {
        let Some(lead) = self.lead else { return self.loads[0] <= other.loads[0] };
        other.lead.is_some_and(|other| lead <= other)
            && self.loads.iter().zip(other.loads).all(|(a, b)| *a <= b)
            && self.tail <= other.tail
            && self.trail <= other.trail
            && self.end <= other.end
            && self.arrival <= other.arrival
            && self.back <= other.back
            && self.made <= other.made
            && self.server <= other.server
    }
}

/// The modes of one model in which a job alone is complete before `claim`, less those that another
/// one replaces, by device time; `None` if they are too many.
pub(super) fn modes_of(
    workload: &Workload,
    cuts: &Cuts,
    granularity: Granularity,
    claim: u64,
) -> Option<Vec<Mode>> {
    let mut kept: Vec<Mode> = Vec::new();
    for cut in &cuts.cuts {
        let forms = choices(cuts, cut).unwrap_or_else(|| vec![least_forms(cuts, cut)]);
        for forms in forms {
            let Some(mode) = mode(workload, cuts, cut, &forms, granularity) else { continue };
            if mode.alone() >= claim || kept.iter().any(|k| k.replaces(&mode)) {
                continue;
            }
            kept.retain(|k| !mode.replaces(k));
            kept.push(mode);
        }
        if kept.len() > MODES_MAX {
            return None;
        }
    }
    kept.sort_by_key(|m| (m.loads, m.lead, m.end));
    Some(kept)
}

/// Encode, transfer and decode of every tensor of a cut's frontier, in every combination of forms;
/// `None` if there are too many.
pub(super) fn choices(cuts: &Cuts, cut: &CutLoad) -> Option<Vec<Vec<[u64; 3]>>> {
    let forms: Vec<Vec<[u64; 3]>> =
        cut.frontier.iter().map(|&t| undominated(&cuts.forms[t])).collect();
    let mut count = 1usize;
    for forms in &forms {
        count = count.saturating_mul(forms.len());
    }
    let average = FORMS_SUM_MAX / cuts.cuts.len().max(1);
    if count > FORMS_MAX.min(average) {
        return None;
    }
    let mut all = vec![Vec::with_capacity(forms.len())];
    for forms in &forms {
        let longer = all.iter().flat_map(|one: &Vec<[u64; 3]>| {
            forms.iter().map(|form| {
                let mut one = one.clone();
                one.push(*form);
                one
            })
        });
        all = longer.collect();
    }
    Some(all)
}

/// For every tensor of a cut's frontier the least of each of its forms' times.
fn least_forms(cuts: &Cuts, cut: &CutLoad) -> Vec<[u64; 3]> {
    let least = |&t: &usize| {
        let forms = undominated(&cuts.forms[t]);
        [0, 1, 2].map(|i| forms.iter().map(|f| f[i]).min().unwrap_or(0))
    };
    cut.frontier.iter().map(least).collect()
}

fn undominated(forms: &[[u128; 3]]) -> Vec<[u64; 3]> {
    let forms: Vec<[u64; 3]> = forms.iter().map(|f| f.map(|t| t as u64)).collect();
    let is_worse = |a: &[u64; 3], b: &[u64; 3]| a != b && (0..3).all(|i| b[i] <= a[i]);
    let mut kept: Vec<[u64; 3]> =
        forms.iter().filter(|a| !forms.iter().any(|b| is_worse(a, b))).copied().collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// What a cut puts on the machines, and its time on the server whatever the number of executors;
/// `None` if that is longer than can be counted.
pub(super) fn loads_of(
    workload: &Workload,
    cut: &CutLoad,
    forms: &[[u64; 3]],
) -> Option<(Loads, u64)> {
    let sum = |i: usize| forms.iter().map(|f| u128::from(f[i])).sum::<u128>();
    let times = [cut.device + sum(0), sum(1), cut.server + sum(2), cut.downlink];
    let limit = u128::from(TIME_MAX.nanoseconds());
    if times.iter().any(|&time| time > limit) {
        return None;
    }
    let [device, uplink, server, downlink] = times.map(|time| time as u64);
    let share = workload.executors.map_or(0, |n| server / u64::from(n.get()));
    Some(([device, uplink, share, downlink], server))
}

/// `None` if its times are longer than can be counted.
fn mode(
    workload: &Workload,
    cuts: &Cuts,
    cut: &CutLoad,
    forms: &[[u64; 3]],
    granularity: Granularity,
) -> Option<Mode> {
    let half = workload.link.round_trip.half().nanoseconds();
    let (loads, server) = loads_of(workload, cut, forms)?;
    let [device, uplink, _, downlink] = loads;
    let encode: u64 = forms.iter().map(|f| f[0]).sum();
    if cut.is_local {
        return Some(Mode { loads, ..Mode::default() });
    }
    let back = downlink + half;
    let layers = cut.device as u64;
    let before = |t: usize| match granularity {
        Granularity::Job => layers,
        Granularity::Layer => cuts.before[t] as u64,
    };
    let sent: Vec<(u64, [u64; 3])> =
        cut.frontier.iter().zip(forms).map(|(&t, &form)| (before(t), form)).collect();
    if sent.is_empty() {
        let tail = server + back;
        let made = server;
        return Some(Mode { loads, lead: Some(0), tail, back, made, server, ..Mode::default() });
    }
    let lead = sent.iter().map(|(before, form)| before + form[0]).min().unwrap_or(0);
    let shortest = sent.iter().map(|(_, form)| form[1]).min().unwrap_or(0);
    // The last device work is a layer, which all transfers may wait for, or an encode, for which
    // only its own does.
    let is_waited_for = granularity == Granularity::Job || cut.awaited == cut.device;
    let trail = match granularity {
        _ if !is_waited_for => 0,
        Granularity::Job if encode == 0 => uplink,
        _ => shortest,
    };
    let each = sent.iter().map(|(before, form)| before + form[0] + form[1]).max().unwrap_or(0);
    let needed = match granularity {
        Granularity::Job => device,
        Granularity::Layer => cut.awaited as u64 + encode,
    };
    let arrival = each.max(lead + uplink).max(needed + shortest) + half;
    let tail = half + server + back;
    let end = if is_waited_for { trail + tail } else { 0 };
    let made = arrival + server;
    Some(Mode { loads, lead: Some(lead), tail, trail, end, arrival, back, made, server })
}
