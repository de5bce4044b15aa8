//! The sections of the page: each a heading, what the chart shows and on which conditions, and the
//! chart.

use crate::report::Report;
use crate::report::cuts::{CutInUse, cuts_in_use};
use crate::report::hull::balance_step;
use crate::report::markup::{Markup, shortened};
use crate::report::model_chart::{CUTS_DRAWN, model_chart};
use crate::report::plane::{Balance, Cloud, cloud, plane, points_outside};
use crate::report::policies::policy_table;
use crate::report::prediction_error::deviation;
use crate::report::prediction_error_tables::{jobs, largest, shares, spendings, utilisation};
use crate::report::scale::{bandwidth, bytes, time};
use crate::report::timeline::{Part, timeline};
use cutpoint_plan::options::Granularity;
use cutpoint_plan::workload::ModelId;

/// More models than this are left out of the charts of models.
const MODELS_DRAWN: usize = 8;

/// More jobs than this are left out of the table of jobs.
const JOBS_LISTED: usize = 500;

/// How many single operations are listed.
const SINGLES_LISTED: usize = 8;

/// A model in use, its cuts and its points.
pub(super) struct InUse {
    pub id: ModelId,
    pub cuts: Vec<CutInUse>,
    pub jobs: usize,
    pub cloud: Cloud,
}

/// The models that have jobs, those with the most jobs first.
pub(super) fn models_in_use(report: &Report<'_>) -> Vec<InUse> {
    let workload = report.workload;
    let mut counts = vec![0usize; workload.models().len()];
    workload.jobs().iter().for_each(|id| counts[id.index()] += 1);
    let mut used: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
    used.sort_by_key(|&i| std::cmp::Reverse(counts[i]));
    let in_use = |i: usize| {
        let id = ModelId::at(i);
        let cuts = cuts_in_use(workload, report.plan, id);
        let cloud = cloud(&workload.models()[i], &workload.link(), &cuts);
        InUse { id, cuts, jobs: counts[i], cloud }
    };
    used.into_iter().map(in_use).collect()
}

fn section(m: &mut Markup, id: &'static str, title: &'static str, fill: impl FnOnce(&mut Markup)) {
    m.element("section", &[("id", &id), ("aria-label", &title)], |m| {
        m.leaf("h2", &[], title);
        fill(m);
    });
}

fn note(m: &mut Markup, text: impl std::fmt::Display) {
    m.leaf("p", &[("class", &"note")], text);
}

pub(super) fn policies(m: &mut Markup, report: &Report<'_>) {
    section(m, "policies", "Policies compared", |m| {
        note(
            m,
            "What each way of planning makes of the same jobs, link and measured layer times. All \
             figures are planned, none is measured. A job is cut if it has layers on both sides.",
        );
        policy_table(m, report.workload, report.plan, report.policies);
    });
}

pub(super) fn timelines(m: &mut Markup, report: &Report<'_>) {
    let plan = report.plan;
    section(m, "timeline", "Timeline", |m| {
        note(
            m,
            "What each machine does when: layers and encodes on the device, tensors on the uplink, \
             the remaining layers on the server. Numbers are jobs; neighbouring jobs differ in \
             shade, encodes are hatched. Where blocks fill a row, that machine is the bottleneck. \
             Layers of a job that run without a break are one block; where there are too many \
             blocks to be seen, several are one, and it is the paler the less it is busy.",
        );
        let mut parts = vec![Part {
            title: "Planned",
            schedule: &plan.schedule,
            makespan: plan.makespan,
            busy: shares(&plan.schedule, plan.makespan),
        }];
        if let Some(run) = report.measured {
            parts.push(Part {
                title: "Measured",
                schedule: &run.schedule,
                makespan: run.makespan,
                busy: shares(&run.schedule, run.makespan),
            });
        }
        m.literal(
            "<div class=\"tools\" hidden><button type=\"button\" data-zoom=\"-1\" \
             aria-label=\"Zoom out\">−</button><button type=\"button\" data-zoom=\"1\" \
             aria-label=\"Zoom in\">+</button><button type=\"button\" \
             data-zoom=\"0\">Whole run</button><span class=\"dim\">Point at a block, or press an \
             arrow key in the chart; one job lights up everywhere.</span></div>",
        );
        timeline(m, report.workload, &parts, plan.lower_bound);
        m.element("ul", &[("class", &"legend")], |m| {
            m.literal(
                "<li><svg class=\"key\"><line class=\"bound\" x1=\"50%\" x2=\"50%\" y1=\"0\" \
                       y2=\"100%\"></line></svg>",
            );
            m.text(format_args!("lower bound {}: no plan can end earlier", time(plan.lower_bound)));
            m.literal(
                "</li><li><svg class=\"key\"><line class=\"makespan\" x1=\"50%\" x2=\"50%\" \
                       y1=\"0\" y2=\"100%\"></line></svg>makespan: the last job is complete</li>",
            );
        });
    });
}

pub(super) fn machines(m: &mut Markup, report: &Report<'_>) {
    section(m, "machines", "How busy the machines were", |m| {
        match report.measured {
            Some(_) => note(
                m,
                "The share of the makespan in which a machine worked. For each machine, the work \
                 and the idle time that were added to the plan make up the error of the makespan.",
            ),
            None => note(m, "The share of the planned makespan in which a machine works."),
        }
        utilisation(m, report);
    });
}

pub(super) fn errors(m: &mut Markup, report: &Report<'_>) {
    let Some(measured) = report.measured else { return };
    let found = deviation(report.workload, report.plan, measured, SINGLES_LISTED);
    section(m, "errors", "Where the prediction erred", |m| {
        note(
            m,
            "Measured minus planned, summed over all jobs. Sums of different machines overlap in \
             time, so they do not add up to the error of the makespan. Bars to the right took \
             longer than planned.",
        );
        spendings(m, &found);
        m.leaf("h3", &[], "Furthest from the plan");
        largest(m, report, &found);
        if found.unplanned > 0 {
            note(
                m,
                format_args!(
                    "{} measured operations have no counterpart in the plan and are only in the \
                     sums.",
                    found.unplanned
                ),
            );
        }
    });
}

pub(super) fn models(m: &mut Markup, report: &Report<'_>, models: &[InUse]) {
    section(m, "models", "Where the jobs are cut", |m| {
        note(
            m,
            "The model from input to output. Lines are tensors, thicker where they are larger; \
             bars are measured layer times, device and server on the same scale. What is above a \
             dashed line stays on the device, what is below runs on the server, and the tensors \
             that the line crosses are sent. Long runs of layers are joined into one row.",
        );
        for used in models.iter().take(MODELS_DRAWN) {
            let model = &report.workload.models()[used.id.index()];
            if models.len() > 1 {
                let name = shortened(&model.name, 60);
                m.leaf("h3", &[], format_args!("{name}, {} jobs", used.jobs));
            }
            model_chart(m, model, &used.cuts);
            left_out(m, used.cuts.len(), CUTS_DRAWN, "cuts in use");
        }
        left_out(m, models.len(), MODELS_DRAWN, "models");
    });
}

fn left_out(m: &mut Markup, count: usize, limit: usize, what: &'static str) {
    if count > limit {
        note(m, format_args!("{} more {what} are not drawn.", count - limit));
    }
}

pub(super) fn planes(m: &mut Markup, report: &Report<'_>, models: &[InUse]) {
    let hulls: Vec<_> = models.iter().map(|u| (u.jobs as u64, u.cloud.hull.clone())).collect();
    let balance = match models {
        [_] => Balance::Equal,
        _ => balance_step(&hulls).map_or(Balance::Nowhere, |(a, b)| Balance::Step(a, b)),
    };
    section(m, "plane", "Why these cuts", |m| {
        note(
            m,
            "Each dot is a cut: to the right what a job then takes on the device, upwards what it \
             takes on the uplink. A mix of cuts lies on the line between them, so nothing below \
             the hull can be had on average; the best mix is where device and uplink are equally \
             busy. Server times are not in this picture.",
        );
        for used in models.iter().take(MODELS_DRAWN) {
            let model = &report.workload.models()[used.id.index()];
            if models.len() > 1 {
                m.leaf("h3", &[], shortened(&model.name, 60));
            }
            m.element("div", &[("class", &"beside")], |m| {
                plane(m, model, &used.cloud, &used.cuts, &balance);
                plane_legend(m, report, used, &balance);
            });
        }
    });
}

fn plane_legend(m: &mut Markup, report: &Report<'_>, used: &InUse, balance: &Balance) {
    let model = &report.workload.models()[used.id.index()];
    m.element("div", &[("class", &"cutlist")], |m| {
        m.element("ul", &[], |m| {
            for cut in used.cuts.iter().take(CUTS_DRAWN) {
                m.element("li", &[], |m| {
                    m.leaf("span", &[("class", &"letter")], &cut.letter);
                    m.text(" ");
                    let jobs = if cut.jobs.len() == 1 { "job" } else { "jobs" };
                    m.leaf("strong", &[], format_args!("{} {jobs}", cut.jobs.len()));
                    m.text(format_args!(", {}", shortened(&cut.describe(model), 60)));
                    let cost = format!(
                        "f {}, g {}, {} sent",
                        time(cut.cost.device),
                        time(cut.cost.uplink),
                        bytes(cut.cost.bytes)
                    );
                    m.leaf("span", &[("class", &"dim block")], cost);
                });
            }
        });
        m.element("ul", &[("class", &"legend")], |m| {
            m.literal(
                "<li><svg class=\"key cloud\"><circle cx=\"50%\" cy=\"50%\" r=\"2.5\"></circle>\
                 </svg>",
            );
            let what = match used.cloud.is_complete {
                true => format!("all {} cuts", used.cloud.cuts),
                false => format!(
                    "the {} cuts along one order of the layers; there are too many to draw all",
                    used.cloud.cuts
                ),
            };
            m.text(what);
            let outside = points_outside(&used.cloud, &used.cuts);
            if outside > 0 {
                m.text(format_args!(" ({outside} beyond the axes)"));
            }
            m.literal(
                "</li><li><svg class=\"key\"><line class=\"hull\" x1=\"0\" x2=\"100%\" y1=\"30%\" \
                 y2=\"70%\"></line></svg>hull: the best that mixing cuts can reach</li>",
            );
            let line = match balance {
                Balance::Equal => "balance: device and uplink equally busy",
                Balance::Step(..) => "balance: the slope at which all models together are balanced",
                Balance::Nowhere => return,
            };
            m.literal(
                "<li><svg class=\"key\"><line class=\"balance\" x1=\"0\" x2=\"100%\" \
                       y1=\"70%\" y2=\"30%\"></line></svg>",
            );
            m.text(line);
            m.literal("</li>");
            if used.cuts.len() > 1 {
                m.literal(
                    "<li><svg class=\"key\"><path class=\"mean\" d=\"M7 3L17 13M7 13L17 \
                           3\"></path></svg>mean over the jobs</li>",
                );
            }
        });
    });
}

pub(super) fn job_list(m: &mut Markup, report: &Report<'_>, models: &[InUse]) {
    let workload = report.workload;
    let mut letters = vec![(String::new(), String::new()); workload.jobs().len()];
    for used in models {
        let name = match models {
            [_] => String::new(),
            _ => shortened(&workload.models()[used.id.index()].name, 32),
        };
        for cut in &used.cuts {
            for job in &cut.jobs {
                letters[job.index()] = (cut.letter.clone(), name.clone());
            }
        }
    }
    section(m, "jobs", "Every job", |m| {
        m.element("details", &[], |m| {
            m.leaf("summary", &[], format_args!("{} jobs and their cuts", workload.jobs().len()));
            jobs(m, report, &letters, JOBS_LISTED);
            left_out(m, workload.jobs().len(), JOBS_LISTED, "jobs");
        });
    });
}

pub(super) fn conditions(m: &mut Markup, report: &Report<'_>) {
    let (workload, plan) = (report.workload, report.plan);
    let link = &workload.link();
    let executors = workload.server().executors;
    let granularity = match plan.granularity {
        Granularity::Layer => "layer: a tensor may leave as soon as its layer has ended",
        Granularity::Job => "job: tensors leave after the last layer of their job on the device",
    };
    let rows = [
        ("Uplink", bandwidth(link.uplink)),
        ("Downlink", link.downlink.map_or("without cost".into(), bandwidth)),
        ("Round trip", time(link.round_trip)),
        ("Overhead of a message", time(link.message_overhead)),
        (
            "Server",
            executors.map_or("any number of jobs at a time".into(), |e| match e.get() {
                1 => "one job at a time".into(),
                e => format!("{e} jobs at a time"),
            }),
        ),
        ("Granularity", granularity.to_owned()),
        ("Jobs", workload.jobs().len().to_string()),
    ];
    section(m, "conditions", "Conditions", |m| {
        note(m, "All figures hold for these, and for the layer times and sizes shown above.");
        m.element("dl", &[("class", &"conditions")], |m| {
            for (name, value) in rows {
                m.leaf("dt", &[], name);
                m.leaf("dd", &[], value);
            }
        });
    });
}
