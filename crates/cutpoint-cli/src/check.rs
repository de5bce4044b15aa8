//! `cutpoint check`: checks a plan against the rules of the cost model.

use crate::args::workload::PlanArgs;
use crate::files::print;
use cutpoint_plan::check::{check_plan, proved_bound, simple_makespan};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::count;
use cutpoint_plan::workload::Workload;
use std::fmt::Write;
use std::process::ExitCode;

pub(crate) fn run(args: PlanArgs) -> anyhow::Result<ExitCode> {
    let (workload, plan) = args.load()?;
    let violations = check_plan(&workload, &plan);
    let mut text = String::new();
    for violation in &violations {
        writeln!(text, "{violation}")?;
    }
    if violations.is_empty() {
        text = verdict(&workload, &plan)?;
    } else {
        writeln!(text, "{}", count(violations.len(), "violation"))?;
    }
    print(&text)?;
    Ok(ExitCode::from(u8::from(!violations.is_empty())))
}

/// What was proved of a plan without violations, and what was not.
fn verdict(workload: &Workload, plan: &Plan) -> anyhow::Result<String> {
    let mut text = String::new();
    let claimed = plan.lower_bound;
    let own = proved_bound(workload, plan.granularity, claimed);
    writeln!(text, "valid: cuts, operations, completions and makespan are right")?;
    if claimed <= own && plan.optimal {
        writeln!(text, "optimal: proved, no plan is shorter than {own}")?;
    } else if claimed <= own {
        writeln!(text, "lower bound {claimed}: proved, no plan is shorter than {own}")?;
    } else if let Some(period) = plan.period {
        writeln!(
            text,
            "lower bound {claimed}: proved here only up to {own}, which takes no account of a job \
             arriving every {period}"
        )?;
    } else {
        let simple = simple_makespan(workload);
        writeln!(
            text,
            "lower bound {claimed}: not above what local-only or server-only take ({simple}); \
             proved here only up to {own}"
        )?;
    }
    Ok(text)
}
