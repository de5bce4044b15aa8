//! Joint against every other policy, over uplinks, numbers of jobs, speeds and mixes.

use super::{Cell, Context, JOINT, PUBLISHED, Table};
use crate::experiment::{Setting, Strategy, Uplink};
use cutpoint_plan::options::Policy;

/// What joint is compared with.
const OTHERS: [Policy; 6] = [
    Policy::LocalOnly,
    Policy::ServerOnly,
    Policy::PartitionOnly,
    Policy::ScheduleOnly,
    Policy::BestSingle,
    Policy::Adjacent,
];

/// Joint may be behind by this much and count as equal.
const EQUAL: f64 = 0.0005;

fn empty(what: &[&str]) -> Table {
    let mut columns = what.to_vec();
    columns.push("joint ms");
    columns.extend(OTHERS.iter().map(|policy| policy.name()));
    columns.extend(["best other", "gap %"]);
    Table::new(&columns)
}

/// Adds a row: what joint makes of a setting and how much less that is than by each policy.
fn add(
    table: &mut Table,
    context: &Context,
    what: Vec<Cell>,
    setting: &Setting,
) -> anyhow::Result<()> {
    let study = context.layered(setting)?;
    let joint = study.outcome(JOINT)?;
    let mut row = what;
    row.push(Cell::Ms(joint.makespan.milliseconds()));
    let mut best: Option<(Policy, f64)> = None;
    for policy in OTHERS {
        let change = joint.over(&study.outcome(Strategy::Policy(policy))?);
        row.push(Cell::Change(change));
        if best.is_none_or(|(_, least)| change > least) {
            best = Some((policy, change));
        }
    }
    let (policy, change) = best.expect("there are other policies");
    let name = if change >= -EQUAL { format!("{policy} (equal)") } else { policy.to_string() };
    row.push(Cell::Text(name));
    row.push(Cell::Percent(joint.plan.gap()));
    table.rows.push(row);
    Ok(())
}

/// Says in how many rows joint is ahead of the best other policy, and by how much.
fn sum_up(table: &mut Table) {
    let others = table.columns.len() - 2 - OTHERS.len()..table.columns.len() - 2;
    let ahead = |row: &Vec<Cell>| {
        let changes = row[others.clone()].iter().filter_map(|cell| match cell {
            Cell::Change(change) => Some(*change),
            _ => None,
        });
        changes.fold(f64::NEG_INFINITY, f64::max)
    };
    let mut found: Vec<f64> = table.rows.iter().map(ahead).collect();
    found.sort_by(f64::total_cmp);
    let count = found.iter().filter(|change| **change < -EQUAL).count();
    // Adding zero makes no sign of nothing.
    let percent = |change: f64| -change * 100.0 + 0.0;
    let (all, median) = (found.len(), percent(found[found.len() / 2]));
    let (most, least) = (percent(found[0]), percent(found[found.len() - 1]));
    table.summary.push(format!(
        "Joint is ahead of the best other policy in {count} of {all} rows: by {median:.1} % in the \
         median, {most:.1} % at most, {least:.1} % at least."
    ));
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// Every published network on every uplink.
pub(super) fn published(context: &Context) -> anyhow::Result<Table> {
    let mut table = empty(&["network", "Mbit/s"]);
    for network in PUBLISHED {
        for uplink in Uplink::ALL {
            let setting = Setting::identical(network, 50).at(uplink);
            add(&mut table, context, vec![text(network), Cell::Number(uplink.mbps)], &setting)?;
        }
    }
    sum_up(&mut table);
    Ok(table)
}

/// From one job to a hundred.
pub(super) fn counts(context: &Context) -> anyhow::Result<Table> {
    let mut table = empty(&["network", "Mbit/s", "jobs"]);
    let cells = [
        ("alexnet", Uplink::CELLULAR_4G),
        ("resnet18", Uplink::WIFI),
        ("mobilenet-v2", Uplink::WIFI),
        ("squeezenet", Uplink::WIFI),
    ];
    for (network, uplink) in cells {
        for jobs in [1, 2, 3, 5, 10, 20, 50, 100] {
            let setting = Setting::identical(network, jobs).at(uplink);
            let what = vec![text(network), Cell::Number(uplink.mbps), Cell::Count(jobs)];
            add(&mut table, context, what, &setting)?;
        }
    }
    sum_up(&mut table);
    Ok(table)
}

/// A whole core, a quarter and an eighth.
pub(super) fn speeds(context: &Context) -> anyhow::Result<Table> {
    let mut table = empty(&["network", "Mbit/s", "device"]);
    for network in PUBLISHED {
        for uplink in [Uplink::CELLULAR_4G, Uplink::WIFI] {
            for (fraction, name) in [(1.0, "1"), (0.25, "1/4"), (0.125, "1/8")] {
                let setting = Setting::identical(network, 50).at(uplink).on(fraction);
                let what = vec![text(network), Cell::Number(uplink.mbps), text(name)];
                add(&mut table, context, what, &setting)?;
            }
        }
    }
    sum_up(&mut table);
    Ok(table)
}

/// Jobs of several models.
pub(super) fn mixes(context: &Context) -> anyhow::Result<Table> {
    let mut table = empty(&["jobs", "Mbit/s"]);
    let mixes: [&[(&str, usize)]; 4] = [
        &[("alexnet", 10), ("mobilenet-v2", 10)],
        &[("resnet18", 10), ("squeezenet", 10), ("alexnet", 10)],
        &[("vgg16", 5), ("mobilenet-v2", 20)],
        &[("four-camera", 5), ("multi-head", 5), ("fpn-detector", 5), ("resnet18", 5)],
    ];
    for mix in mixes {
        for uplink in Uplink::ALL {
            let jobs: Vec<(String, usize)> =
                mix.iter().map(|&(model, count)| (model.to_owned(), count)).collect();
            let named: Vec<String> =
                mix.iter().map(|(model, count)| format!("{count} {model}")).collect();
            let setting = Setting { jobs, ..Setting::identical("", 0) }.at(uplink);
            let what = vec![Cell::Text(named.join(", ")), Cell::Number(uplink.mbps)];
            add(&mut table, context, what, &setting)?;
        }
    }
    sum_up(&mut table);
    Ok(table)
}
