//! The command `gaps` as a program: results on standard output, the same for the same seed.

use std::process::{Command, Output};

fn gaps(further: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutpoint-eval"));
    command.args(["gaps", "--count=3", "--jobs=2,4", "--family=general,convex-line"]);
    command.args(further).output().expect("the program starts")
}

#[test]
fn outcomes_are_the_same_for_the_same_seed_and_have_their_optimum() {
    for machines in ["two", "three"] {
        let [one, other] = [(); 2].map(|()| {
            let machines = format!("--machines={machines}");
            gaps(&[&machines, "--seed=5"])
        });
        assert!(one.status.success(), "{}", String::from_utf8_lossy(&one.stderr));
        assert_eq!(one.stdout, other.stdout);
        let lines = serde_json::Deserializer::from_slice(&one.stdout).into_iter();
        let outcomes: Vec<serde_json::Value> = lines.collect::<Result<_, _>>().expect("JSON");
        // Two granularities of general graphs and one of lines, two numbers of jobs, three seeds.
        assert_eq!(outcomes.len(), 18);
        for outcome in outcomes {
            assert!((5..8).contains(&outcome["seed"].as_u64().expect("a seed")), "{outcome}");
            let [bound, makespan, optimum] = [
                &outcome["lower_bound_ns"],
                &outcome["makespan_ns"],
                &outcome["optimum"]["makespan_ns"],
            ]
            .map(|time| time.as_u64().unwrap_or_else(|| panic!("a time is missing: {outcome}")));
            assert!(bound <= optimum && optimum <= makespan, "{outcome}");
        }
    }
}
