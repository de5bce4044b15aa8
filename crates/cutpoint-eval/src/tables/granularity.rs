//! What does it bring that tensors may leave while the rest of their job computes?

use super::{BRANCHED, Cell, Context, JOINT, PUBLISHED, Table};
use crate::experiment::{Setting, Uplink};
use cutpoint_plan::options::Granularity;

/// Networks with branches and chains, with few jobs and many.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "network",
        "Mbit/s",
        "jobs",
        "job level ms",
        "layer level ms",
        "less %",
        "gap %",
    ]);
    for network in BRANCHED.iter().chain(&PUBLISHED) {
        for uplink in [Uplink::CELLULAR_4G, Uplink::WIFI] {
            for jobs in [1, 2, 5, 20] {
                table.rows.push(row(context, network, uplink, jobs)?);
            }
        }
    }
    Ok(table)
}

/// Both levels of one setting.
pub(super) fn row(
    context: &Context,
    network: &str,
    uplink: Uplink,
    jobs: usize,
) -> anyhow::Result<Vec<Cell>> {
    let setting = Setting::identical(network, jobs).at(uplink);
    let job = context.study(&setting, Granularity::Job)?.outcome(JOINT)?;
    let layer = context.study(&setting, Granularity::Layer)?.outcome(JOINT)?;
    Ok(vec![
        Cell::Text(network.to_owned()),
        Cell::Number(uplink.mbps),
        Cell::Count(jobs),
        Cell::Ms(job.makespan.milliseconds()),
        Cell::Ms(layer.makespan.milliseconds()),
        Cell::Change(layer.over(&job)),
        Cell::Percent(layer.plan.gap()),
    ])
}
