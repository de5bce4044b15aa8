//! How much of the gain is left when pictures cross the link as JPEG files, and what encodings add.

use super::{Cell, Context, JOINT, Table};
use crate::experiment::{Forms, Setting, Strategy, Uplink};
use cutpoint_plan::options::Policy;

/// Every model of the profiles whose input may be a JPEG, on every uplink.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "model",
        "Mbit/s",
        "local-only ms",
        "joint, raw ms",
        "send JPEG ms",
        "schedule-only, JPEG ms",
        "joint, JPEG ms",
        "partition-only, all ms",
        "joint, all ms",
        "best of the three",
        "joint over it %",
    ]);
    let (mut worst, mut by_cuts) = (f64::NEG_INFINITY, Vec::new());
    for model in context.profiles.names() {
        if !context.profiles.takes_jpeg(model) {
            continue;
        }
        for uplink in Uplink::ALL {
            let setting = Setting::identical(model, 50).at(uplink);
            let outcome = |forms, policy| {
                let setting = setting.clone().with(forms);
                context.layered(&setting)?.outcome(Strategy::Policy(policy))
            };
            let local = outcome(Forms::Raw, Policy::LocalOnly)?;
            let raw = outcome(Forms::Raw, Policy::Joint)?;
            let send = outcome(Forms::Jpeg, Policy::ServerOnly)?;
            let jpeg = outcome(Forms::Jpeg, Policy::Joint)?;
            let partition = outcome(Forms::All, Policy::PartitionOnly)?;
            let all = context.layered(&setting.clone().with(Forms::All))?.outcome(JOINT)?;
            let three =
                [("local-only", &local), ("send JPEG", &send), ("partition-only", &partition)];
            let (name, best) = three.into_iter().min_by_key(|(_, o)| o.makespan).expect("three");
            let over = all.over(best);
            worst = worst.max(over);
            let whole_jobs = outcome(Forms::Jpeg, Policy::ScheduleOnly)?;
            by_cuts.push((-all.over(&whole_jobs) * 100.0, uplink.mbps));
            let ms =
                |outcome: &crate::experiment::Outcome| Cell::Ms(outcome.makespan.milliseconds());
            table.rows.push(vec![
                Cell::Text(model.to_owned()),
                Cell::Number(uplink.mbps),
                ms(&local),
                ms(&raw),
                ms(&send),
                ms(&whole_jobs),
                ms(&jpeg),
                ms(&partition),
                ms(&all),
                Cell::Text(name.to_owned()),
                Cell::Change(over),
            ]);
        }
    }
    table.summary.push(format!(
        "Joint with all encodings is at worst {:+.1} % over the best of local-only, sending the JPEG, \
         and partition-only, in {} rows.",
        worst * 100.0,
        by_cuts.len()
    ));
    for uplink in Uplink::ALL {
        let of_uplink = by_cuts.iter().filter(|(_, mbps)| mbps.total_cmp(&uplink.mbps).is_eq());
        let mut saved: Vec<f64> = of_uplink.map(|(saved, _)| *saved).collect();
        saved.sort_by(f64::total_cmp);
        let (Some(most), median) = (saved.last(), saved.get(saved.len() / 2)) else { continue };
        table.summary.push(format!(
            "At {} Mbit/s cuts inside the models and encodings save {:.1} % in the median and \
             {most:.1} % at most over the best mix of whole jobs, some local and some as a JPEG \
             (schedule-only).",
            uplink.mbps,
            median.copied().unwrap_or_default()
        ));
    }
    Ok(table)
}
