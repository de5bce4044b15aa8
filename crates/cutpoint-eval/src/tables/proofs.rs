//! How many of the lower bounds that joint's plans claim does the checker prove by its own means?

use super::{Cell, Context, Table};
use crate::experiment::{Forms, Setting, Uplink};
use cutpoint_plan::check::{load_bound, proved_bound};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{Server, Workload};

const JOBS: [usize; 5] = [1, 2, 5, 20, 100];

/// A row for each network, with a server and without one's times.
pub(super) fn table(context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "network",
        "server",
        "claims",
        "proved",
        "by loads alone",
        "optimal",
        "of these proved",
        "most missing %",
    ]);
    let networks: Vec<String> = context.profiles.names().map(str::to_owned).collect();
    for network in &networks {
        for (server, is_without) in [("one executor", false), ("no times", true)] {
            let mut row = Row::default();
            for jobs in JOBS {
                for uplink in Uplink::ALL {
                    for forms in [Forms::Raw, Forms::All] {
                        let setting = Setting::identical(network, jobs).at(uplink).with(forms);
                        let mut workload = setting.workload(&context.profiles)?;
                        if is_without {
                            leave_out_server(&mut workload);
                        }
                        row.add(&workload)?;
                    }
                }
            }
            table.rows.push(row.cells(network, server));
        }
    }
    Ok(table)
}

/// The two-machine flow shop of the literature.
fn leave_out_server(workload: &mut Workload) {
    workload.server = Server { executors: None };
    workload.link.round_trip = Time::ZERO;
    let layers = workload.models.iter_mut().flat_map(|model| &mut model.layers);
    layers.for_each(|layer| layer.server = Time::ZERO);
}

#[derive(Default)]
struct Row {
    claims: usize,
    proved: usize,
    by_loads: usize,
    optimal: usize,
    optimal_proved: usize,
    missing: f64,
}

impl Row {
    /// The claims at both granularities.
    fn add(&mut self, workload: &Workload) -> anyhow::Result<()> {
        for granularity in [Granularity::Layer, Granularity::Job] {
            let plan = plan(workload, Policy::Joint, &PlanOptions::raw(granularity))?;
            let claim = plan.lower_bound;
            let own = proved_bound(workload, granularity, claim);
            let is_proved = own >= claim;
            self.claims += 1;
            self.proved += usize::from(is_proved);
            self.by_loads += usize::from(load_bound(workload, granularity) >= claim);
            self.optimal += usize::from(plan.optimal);
            self.optimal_proved += usize::from(plan.optimal && is_proved);
            let missing = 1.0 - own.milliseconds() / claim.milliseconds();
            self.missing = self.missing.max(missing);
        }
        Ok(())
    }

    fn cells(&self, network: &str, server: &str) -> Vec<Cell> {
        vec![
            Cell::Text(network.to_owned()),
            Cell::Text(server.to_owned()),
            Cell::Count(self.claims),
            Cell::Count(self.proved),
            Cell::Count(self.by_loads),
            Cell::Count(self.optimal),
            Cell::Count(self.optimal_proved),
            Cell::Percent(self.missing),
        ]
    }
}
