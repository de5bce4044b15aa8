//! The rooms of the source tree: no file imports in a circle, no room imports one above it.

use crate::imports::{Arrow, Sources};
use crate::tidy::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const CRATES: [&str; 4] = ["cutpoint-plan", "cutpoint", "cutpoint-cli", "cutpoint-eval"];

/// The order of the rooms, lowest first.
const ROOMS: &str = "crates/rooms.txt";

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let mut sources = Sources::default();
    for name in CRATES {
        sources.add_crate(&name.replace('-', "_"), &root().join("crates").join(name).join("src"));
    }
    sources
});

/// The rooms of a file such as crates/rooms.txt: one a line, `#` begins a comment.
fn rooms(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

/// `crates/NAME/src/ROOM/mod.rs` as `NAME/ROOM`.
fn place(file: &Path) -> String {
    let below = file.strip_prefix(root().join("crates")).unwrap_or(file).with_extension("");
    let place = below.to_string_lossy().replace("/src/", "/");
    place.strip_suffix("/mod").unwrap_or(&place).to_owned()
}

/// The number of the innermost room that a place is in.
fn room_of(rooms: &[&str], place: &str) -> Option<usize> {
    let holds = |room: &str| {
        place.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    (0..rooms.len()).filter(|&i| holds(rooms[i])).max_by_key(|&i| rooms[i].len())
}

/// Arrows from a room to one above it.
fn upward<'a>(rooms: &[&str], arrows: &'a [Arrow]) -> Vec<&'a Arrow> {
    let room = |file: &Path| room_of(rooms, &place(file));
    let is_upward = |arrow: &&Arrow| match (room(&arrow.from), room(&arrow.to)) {
        (Some(from), Some(to)) => from < to,
        _ => false,
    };
    arrows.iter().filter(is_upward).collect()
}

/// The files that import each other in a circle, each group once.
fn circles(arrows: &[Arrow]) -> Vec<BTreeSet<&Path>> {
    let mut next: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let reached = |from: &Path| {
        let mut seen = BTreeSet::new();
        let mut left = next.get(from).cloned().unwrap_or_default();
        while let Some(file) = left.pop() {
            if seen.insert(file) {
                left.extend(next.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        next.keys().map(|&from| (from, reached(from))).collect();
    let circle = |from: &Path| {
        let is_mutual = |to: &&Path| reached.get(to).is_some_and(|back| back.contains(from));
        reached[from].iter().copied().filter(is_mutual).collect::<BTreeSet<&Path>>()
    };
    let found: BTreeSet<BTreeSet<&Path>> = next.keys().map(|&from| circle(from)).collect();
    found.into_iter().filter(|circle| !circle.is_empty()).collect()
}

fn shown(arrow: &Arrow) -> String {
    format!("{} -> {} by {}", place(&arrow.from), place(&arrow.to), arrow.by)
}

#[test]
fn no_file_imports_in_a_circle() {
    let arrows = SOURCES.arrows();
    let mut complaints = String::new();
    for circle in circles(&arrows) {
        complaints += &format!("\na circle of {} files:\n", circle.len());
        let is_inside = |file: &PathBuf| circle.contains(file.as_path());
        for arrow in arrows.iter().filter(|arrow| is_inside(&arrow.from) && is_inside(&arrow.to)) {
            complaints += &format!("  {}\n", shown(arrow));
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn no_room_imports_a_room_above_it() {
    let text = fs::read_to_string(root().join(ROOMS)).expect("the order of the rooms");
    let rooms = rooms(&text);
    let arrows = SOURCES.arrows();
    let complaints: Vec<String> = upward(&rooms, &arrows).into_iter().map(shown).collect();
    assert!(complaints.is_empty(), "against the order of {ROOMS}:\n{}", complaints.join("\n"));
}

#[test]
fn every_file_is_in_a_room() {
    let text = fs::read_to_string(root().join(ROOMS)).expect("the order of the rooms");
    let rooms = rooms(&text);
    let places: Vec<String> = SOURCES.files.keys().map(|file| place(file)).collect();
    let homeless: Vec<_> = places.iter().filter(|place| room_of(&rooms, place).is_none()).collect();
    assert!(homeless.is_empty(), "in no room of {ROOMS}: {homeless:?}");
}

/// Paths that a crate's code must not name, and why.
const FORBIDDEN: [(&str, &str, &[&str]); 2] = [
    ("cutpoint", "the program's alone", &["clap", "anyhow", "indicatif"]),
    (
        "cutpoint-plan",
        "the planner does no I/O, reads no clock, starts no thread and hashes nothing",
        &[
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "std::time",
            "std::collections::HashMap",
            "std::collections::HashSet",
        ],
    ),
];

/// Whether a path is one of these or goes on from one.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn crates_keep_their_distance_from_the_world() {
    let mut complaints = Vec::new();
    for (name, reason, forbidden) in FORBIDDEN {
        let of_crate =
            SOURCES.files.iter().filter(|(file, _)| place(file).starts_with(&format!("{name}/")));
        for (file, paths) in of_crate {
            let found =
                paths.iter().filter(|path| forbidden.iter().any(|above| is_below(path, above)));
            complaints.extend(found.map(|path| format!("{}: {path}: {reason}", place(file))));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn circles_and_upward_arrows_are_found() {
    let arrow = |from: &str, to: &str| Arrow { from: from.into(), to: to.into(), by: "x".into() };
    let arrows = [
        arrow("c/top.rs", "c/low/mod.rs"),
        arrow("c/low/a.rs", "c/low/b.rs"),
        arrow("c/low/b.rs", "c/low/mod.rs"),
        arrow("c/low/mod.rs", "c/low/a.rs"),
        arrow("c/lower.rs", "c/low/inner.rs"),
    ];
    let found = circles(&arrows);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].len(), 3);
    let order = rooms("# lowest first\nc/low/inner # a comment\n\nc/low\nc/lower\nc/top\n");
    assert_eq!(order, ["c/low/inner", "c/low", "c/lower", "c/top"]);
    assert!(upward(&order, &arrows).is_empty());
    let order = ["c/lower", "c/low/inner", "c/top", "c/low"];
    let above: Vec<String> = upward(&order, &arrows).into_iter().map(shown).collect();
    assert_eq!(above, ["c/top -> c/low by x", "c/lower -> c/low/inner by x"]);
    assert!(is_below("std::fs::read", "std::fs") && is_below("std::fs", "std::fs"));
    assert!(!is_below("std::fsx", "std::fs"));
}
