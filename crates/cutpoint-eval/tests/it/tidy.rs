//! The source tree keeps its own rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines a source file may have; a longer one usually holds two things.
const FILE_LINES_MAX: usize = 700;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/NAME").to_path_buf()
}

/// Every file below `folder` with this ending, build output left out.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.to_lowercase().contains("generated"))
}

#[test]
fn source_files_say_what_they_are_for_and_stay_small() {
    let mut complaints = Vec::new();
    for path in files(&root().join("crates"), ".rs") {
        let text = fs::read_to_string(&path).expect("UTF-8");
        if is_generated(&text) {
            continue;
        }
        if !text.starts_with("//!") && !path.ends_with("tests.rs") {
            complaints.push(format!("{}: no module documentation", path.display()));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The statements (for example `Theorem 1`) that rows of the paper map begin with.
fn mapped_statements() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/paper-map.md")).expect("docs/paper-map.md");
    text.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split('|').next())
        .flat_map(statements)
        .collect()
}

/// The numbered statements in a text: `Thm 1`, `Cor 2`, `Eq 3`, `LB4`.
fn statements(text: &str) -> Vec<String> {
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    let words: Vec<&str> = text.split(is_separator).filter(|w| !w.is_empty()).collect();
    let is_number = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        match *word {
            "Thm" | "Cor" | "Eq" | "Alg" if words.get(i + 1).is_some_and(|w| is_number(w)) => {
                found.push(format!("{word} {}", words[i + 1]));
            }
            bound if bound.strip_prefix("LB").is_some_and(is_number) => found.push(bound.into()),
            _ => {}
        }
    }
    found
}

#[test]
fn every_statement_that_the_code_cites_has_a_row_in_the_paper_map() {
    let mapped = mapped_statements();
    let mut missing = BTreeSet::new();
    for path in files(&root().join("crates/cutpoint-plan/src"), ".rs") {
        let text = fs::read_to_string(&path).expect("UTF-8");
        for line in text.lines() {
            let Some((_, tags)) = line.split_once("Paper: ") else { continue };
            for tag in statements(tags.split("Source:").next().unwrap_or_default()) {
                if !mapped.contains(&tag) {
                    missing.insert(format!("{}: {tag:?}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no row in docs/paper-map.md for {missing:#?}");
}

#[test]
fn every_test_that_the_paper_map_names_exists() {
    let text = fs::read_to_string(root().join("docs/paper-map.md")).expect("docs/paper-map.md");
    let sources: String = files(&root().join("crates"), ".rs")
        .iter()
        .map(|path| fs::read_to_string(path).expect("UTF-8"))
        .collect();
    let named = text.split('`').filter(|word| {
        ["thm", "cor", "lb", "eq", "alg", "lemma"].iter().any(|p| word.starts_with(p))
            && word.contains('_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    let missing: Vec<_> = named.filter(|name| !sources.contains(&format!("fn {name}"))).collect();
    assert!(missing.is_empty(), "docs/paper-map.md names tests that do not exist: {missing:?}");
}

#[test]
fn the_page_of_errors_has_the_codes_of_the_sources() {
    let page = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let codes: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let read = |folder: &str| -> String {
        let files = files(&root().join(folder), ".rs");
        files.iter().map(|path| fs::read_to_string(path).expect("UTF-8")).collect()
    };
    let sources = read("crates/cutpoint-plan/src") + &read("crates/cutpoint/src");
    let unknown: Vec<_> =
        codes.iter().filter(|code| !sources.contains(&format!("\"{code}\""))).collect();
    assert!(unknown.is_empty(), "docs/errors.md has codes that no source has: {unknown:?}");
    let kinds = sources.lines().filter_map(|line| line.trim().strip_prefix("ErrorKind::"));
    let kinds = kinds.filter_map(|line| line.split_once(" => \"")?.1.strip_suffix("\","));
    let missing: Vec<_> = kinds.filter(|kind| !codes.contains(kind)).collect();
    assert!(missing.is_empty(), "docs/errors.md lacks the kinds {missing:?}");
}
