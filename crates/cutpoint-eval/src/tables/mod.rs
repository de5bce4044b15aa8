//! `table N`: the experiments as tables, simulated from the measured profiles. All but the planner's
//! time are the same on every machine.

mod ablation;
mod forms;
mod granularity;
mod peers;
mod planning;
mod policies;
mod proofs;
mod table;

use crate::experiment::{Setting, Strategy, Study};
use crate::origin;
use crate::profiles::Profiles;
use clap::ValueEnum;
use cutpoint_plan::options::{Granularity, Policy};
use std::path::PathBuf;
use std::process::ExitCode;
use table::{Cell, Table};

/// Compute one of the tables of docs/results.md from the measured profiles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number.
    #[arg(required_unless_present = "list")]
    number: Option<usize>,

    /// Say what each table is, and compute none.
    #[arg(long)]
    list: bool,

    /// The form of the output.
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,

    /// What is random in an ablation.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// The folder of the profiles; without it, testdata/profiles.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    Json,
}

/// What tables are computed from.
struct Context {
    profiles: Profiles,
    seed: u64,
}

/// A table and what it says.
struct Entry {
    title: &'static str,
    note: &'static str,
    make: fn(&Context) -> anyhow::Result<Table>,
}

/// All tables; a table's number is its position, from 1.
const TABLES: [Entry; 10] = [
    Entry {
        title: "Published networks on three uplinks",
        note: "50 identical jobs, device 1/4 of the server's core, raw tensors of 32 bits: joint's \
               makespan, how much less it is than by each other policy in %, and the certified gap to \
               the lower bound in %",
        make: policies::published,
    },
    Entry { title: "Number of jobs", note: "the same on 1 to 100 jobs", make: policies::counts },
    Entry {
        title: "Speed of the device",
        note: "the same on devices of a whole core, 1/4 and 1/8",
        make: policies::speeds,
    },
    Entry {
        title: "Mixes of models",
        note: "the same on jobs of several models that take turns",
        make: policies::mixes,
    },
    Entry {
        title: "Layer level against job level",
        note: "joint's makespan when tensors may leave at once (layer) or after the last device layer \
               of their job (job), and how much less the first is in %",
        make: granularity::table,
    },
    Entry {
        title: "Raw inputs against JPEG files and encodings",
        note: "50 identical jobs, device 1/4: makespans with raw tensors, with pictures as their \
               JPEG files and all else raw, and with all encodings; and joint's in % over the best of \
               local-only, sending every JPEG, and partition-only with all encodings",
        make: forms::table,
    },
    Entry {
        title: "What each part of joint brings",
        note: "makespan over that of joint, less 1, in %, if one part is left out; 20 jobs",
        make: ablation::table,
    },
    Entry {
        title: "Rules of other systems",
        note: "makespan over that of joint, less 1, in %, by rules of Neurosurgeon and DADS in the same \
               simulation",
        make: peers::table,
    },
    Entry {
        title: "Time of planning",
        note: "median of 15 plans by joint, and its share of the makespan; this table is of the machine \
               that prints it",
        make: planning::table,
    },
    Entry {
        title: "Bounds proved by the checker",
        note: "lower bounds of joint's plans for 1, 2, 5, 20 and 100 jobs on three uplinks, raw and with \
               all encodings, at both granularities, device 1/4; how many the checker proves by its \
               own means, and how many by weighted loads alone",
        make: proofs::table,
    },
];

/// Prints a table with where it is from.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(number) = args.number.filter(|_| !args.list) else {
        for (number, entry) in (1..).zip(&TABLES) {
            println!("{number}  {}: {}", entry.title, entry.note);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = number.checked_sub(1).and_then(|index| TABLES.get(index)) else {
        eprintln!("error: there are tables 1 to {}", TABLES.len());
        return Ok(ExitCode::from(2));
    };
    let profiles = Profiles::load(args.profiles.as_deref())?;
    let context = Context { profiles, seed: args.seed };
    let table = (entry.make)(&context)?;
    let (commit, machine) = (origin::commit(), origin::machine());
    let profiles = context.profiles.origin();
    match args.format {
        Format::Markdown => {
            println!("### Table {number}. {}\n\n{}.\n", entry.title, entry.note);
            println!("```\ncutpoint-eval table {number} --seed {}\n```\n", args.seed);
            println!(
                "Simulated from measured profiles ({profiles}); commit {commit}, {machine}.\n"
            );
            print!("{}", table.markdown());
        }
        Format::Json => {
            let mut json = table.json();
            json["table"] = number.into();
            json["title"] = entry.title.into();
            json["note"] = entry.note.into();
            json["seed"] = args.seed.into();
            json["commit"] = commit.into();
            json["machine"] = machine.into();
            json["profiles"] = profiles.into();
            println!("{}", serde_json::to_string_pretty(&json)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Context {
    fn study(&self, setting: &Setting, granularity: Granularity) -> anyhow::Result<Study> {
        let workload = setting.workload(&self.profiles)?;
        Ok(Study { workload, granularity, seed: self.seed })
    }

    /// A setting's study at the granularity that is the default everywhere.
    fn layered(&self, setting: &Setting) -> anyhow::Result<Study> {
        self.study(setting, Granularity::Layer)
    }
}

const JOINT: Strategy = Strategy::Policy(Policy::Joint);

/// The networks of the literature, in the order of their publication.
const PUBLISHED: [&str; 6] =
    ["alexnet", "vgg16", "googlenet", "resnet18", "squeezenet", "mobilenet-v2"];

/// Networks whose branches can be sent while others compute.
const BRANCHED: [&str; 3] = ["four-camera", "multi-head", "fpn-detector"];

#[cfg(test)]
mod tests;
