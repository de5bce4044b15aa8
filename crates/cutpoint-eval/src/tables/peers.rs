//! The partition rules of Neurosurgeon and DADS on the same work.

use super::{BRANCHED, Cell, Context, JOINT, PUBLISHED, Table};
use crate::experiment::{Rule, Setting, Strategy, Uplink};

const RULES: [Rule; 3] = [Rule::Neurosurgeon, Rule::DadsLight, Rule::DadsHeavy];

/// For one job DADS cuts by its rule for light load, for many by the other.
const COUNTS: [usize; 2] = [1, 20];

/// A rule may be behind by this much and count as equal.
const EQUAL: f64 = 0.0005;

/// All networks on every uplink, one job and twenty.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "network",
        "Mbit/s",
        "jobs",
        "joint ms",
        "Neurosurgeon",
        "DADS, light",
        "DADS, heavy",
    ]);
    let mut found: Vec<(Rule, usize, f64)> = Vec::new();
    for network in PUBLISHED.iter().chain(&BRANCHED) {
        for uplink in Uplink::ALL {
            for jobs in COUNTS {
                let study = context.layered(&Setting::identical(network, jobs).at(uplink))?;
                let joint = study.outcome(JOINT)?;
                let mut row = vec![
                    Cell::Text((*network).to_owned()),
                    Cell::Number(uplink.mbps),
                    Cell::Count(jobs),
                    Cell::Ms(joint.makespan.milliseconds()),
                ];
                for rule in RULES {
                    let over = study.outcome(Strategy::Peer(rule))?.over(&joint);
                    row.push(Cell::Change(over));
                    found.push((rule, jobs, over));
                }
                table.rows.push(row);
            }
        }
    }
    for jobs in COUNTS {
        for rule in RULES {
            table.summary.push(sum_up(rule, jobs, &found));
        }
    }
    Ok(table)
}

/// How far a rule is behind joint with so many jobs.
fn sum_up(rule: Rule, jobs: usize, found: &[(Rule, usize, f64)]) -> String {
    let of = found.iter().filter(|(r, n, _)| *r == rule && *n == jobs);
    let mut over: Vec<f64> = of.map(|(_, _, over)| *over).collect();
    over.sort_by(f64::total_cmp);
    let behind = over.iter().filter(|over| **over > EQUAL).count();
    let percent = |at: usize| over.get(at).copied().unwrap_or_default() * 100.0;
    let (all, median, most) = (over.len(), percent(over.len() / 2), percent(over.len() - 1));
    let (name, plural) = (Strategy::Peer(rule), if jobs == 1 { "" } else { "s" });
    format!(
        "{jobs} job{plural}: {name} is behind joint in {behind} of {all} rows, by {median:.1} % in the \
         median and {most:.1} % at most."
    )
}
