//! How long does joint think about the work of the other tables?

use super::{BRANCHED, Cell, Context, PUBLISHED, Table};
use crate::experiment::{Forms, Setting, Uplink};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use std::time::Instant;

const REPEATS: usize = 15;

/// Every network with raw tensors and with all forms, 100 jobs.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table =
        Table::new(&["network", "forms", "layers", "plan ms", "of the makespan %", "gap %"]);
    for network in PUBLISHED.iter().chain(&BRANCHED) {
        for (forms, name) in [(Forms::Raw, "raw"), (Forms::All, "all")] {
            let setting = Setting::identical(network, 100).at(Uplink::WIFI).with(forms);
            let workload = setting.workload(&context.profiles)?;
            let mut times = Vec::with_capacity(REPEATS);
            let mut made = None;
            for _ in 0..REPEATS {
                let start = Instant::now();
                made = Some(plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))?);
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            let made = made.expect("there are repeats");
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            table.rows.push(vec![
                Cell::Text((*network).to_owned()),
                Cell::Text(name.to_owned()),
                Cell::Count(workload.models[0].layers.len()),
                Cell::Ms(median),
                Cell::Percent(median / made.makespan.milliseconds()),
                Cell::Percent(made.gap()),
            ]);
        }
    }
    Ok(table)
}
