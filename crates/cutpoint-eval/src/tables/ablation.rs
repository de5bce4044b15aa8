//! What each part of joint brings: the makespan without it over the makespan with it.

use super::{BRANCHED, Cell, Context, JOINT, PUBLISHED, Table};
use crate::experiment::{Forms, Setting, Strategy, Uplink};
use cutpoint_plan::options::{Granularity, Policy};

const JOBS: usize = 20;

/// All networks on two uplinks.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "network",
        "Mbit/s",
        "joint ms",
        "no mixed cuts",
        "no Johnson order",
        "no layer level",
        "no server model",
        "joint, JPEG and encodings ms",
        "no encodings but JPEG",
    ]);
    for network in PUBLISHED.iter().chain(&BRANCHED) {
        for uplink in [Uplink::CELLULAR_4G, Uplink::WIFI] {
            let setting = Setting::identical(network, JOBS).at(uplink);
            let study = context.layered(&setting)?;
            let joint = study.outcome(JOINT)?;
            let mut row = vec![
                Cell::Text((*network).to_owned()),
                Cell::Number(uplink.mbps),
                Cell::Ms(joint.makespan.milliseconds()),
            ];
            let single = study.outcome(Strategy::Policy(Policy::BestSingle))?;
            let arrival = study.outcome(Strategy::JointInArrivalOrder)?;
            let whole_jobs = context.study(&setting, Granularity::Job)?.outcome(JOINT)?;
            let blind = study.outcome(Strategy::JointWithoutServer)?;
            let without = [single, arrival, whole_jobs, blind];
            row.extend(without.iter().map(|outcome| Cell::Change(outcome.over(&joint))));
            let of = |forms| context.layered(&setting.clone().with(forms))?.outcome(JOINT);
            let (all, jpeg) = (of(Forms::All)?, of(Forms::Jpeg)?);
            row.push(Cell::Ms(all.makespan.milliseconds()));
            row.push(Cell::Change(jpeg.over(&all)));
            table.rows.push(row);
        }
    }
    Ok(table)
}
