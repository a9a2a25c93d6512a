//! Every function that takes apart what others wrote is tried with damaged input: the parsers of the rooms
//! below are found in their sources, with the targets in their tests, and `docs/fuzzing.md` lists both.
//!
//! # Invariants
//! - A function with text or bytes among its parameters is a parser, unless [`others::OTHERS`] says what else it is.
//! - A parser is tried when a target names it, or when a function that is tried calls it.
//! - A file of the host that a probe names stands in the tree that `src/probes/tests/hostile.rs` damages.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

mod others;
mod source;

use source::{Function, Source};

/// The rooms that read what others wrote, by their folders.
const ROOMS: [&str; 5] = ["src/probes", "src/platform", "src/otlp", "src/ingest", "src/scrape"];

/// A parser of a room, and the rule by which its numbers are checked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    room: String,
    parser: String,
    says: String,
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn sources(room: &str) -> Vec<Source> {
    source::below(&workspace().join(room).join("src"))
}

/// The targets that stand in the tests of a room: `text("file::parser", Says::Stands, …)`.
fn targets(room: &str) -> Vec<Target> {
    let of = |source: &Source| {
        let words = source.tests.split_whitespace().collect::<Vec<_>>().join(" ");
        let parts: Vec<&str> = words.split("\", Says::").collect();
        let target = |pair: &[&str]| Target {
            room: room.to_owned(),
            parser: pair[0].rsplit('"').next().unwrap_or_default().to_owned(),
            says: pair[1].split_once(", &").map_or("", |(says, _)| says).to_owned(),
        };
        parts.windows(2).map(target).collect::<Vec<_>>()
    };
    let mut sources = sources(room);
    let beside = workspace().join(room).join("tests");
    let beside = if beside.exists() { source::below(&beside) } else { Vec::new() };
    sources.extend(beside.into_iter().map(Source::into_tests));
    sources.iter().flat_map(of).collect()
}

/// The functions that are tried: those of the targets, and whatever they call, one by one.
fn tried<'a>(functions: &'a [Function], targets: &[Target]) -> BTreeSet<&'a str> {
    let named: BTreeSet<&str> = targets.iter().map(|target| target.parser.as_str()).collect();
    let mut tried: BTreeSet<&str> =
        functions.iter().map(|f| f.path.as_str()).filter(|path| named.contains(path)).collect();
    loop {
        let callers = functions.iter().filter(|function| tried.contains(function.path.as_str()));
        let callers: Vec<_> = callers.collect();
        let is_new = |function: &&Function| {
            !tried.contains(function.path.as_str()) && callers.iter().any(|f| f.calls(function))
        };
        let new: Vec<_> =
            functions.iter().filter(is_new).map(|function| function.path.as_str()).collect();
        if new.is_empty() {
            return tried;
        }
        tried.extend(new);
    }
}

/// A function, or all whose path begins so.
fn is_of(path: &str, other: &str) -> bool {
    match other.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == other,
    }
}

#[test]
fn every_parser_is_tried_with_damaged_input() {
    let mut untried = Vec::new();
    for room in ROOMS {
        let functions: Vec<_> =
            sources(room).into_iter().flat_map(Source::into_functions).collect();
        let targets = targets(room);
        let paths: BTreeSet<_> = functions.iter().map(|function| function.path.as_str()).collect();
        for target in &targets {
            assert!(paths.contains(target.parser.as_str()), "{target:?} names no function");
        }
        let tried = tried(&functions, &targets);
        let others =
            others::OTHERS.iter().filter(|(of, ..)| *of == room).map(|(_, other, _)| *other);
        let others: Vec<_> = others.collect();
        for other in &others {
            assert!(paths.iter().any(|path| is_of(path, other)), "{room} has no {other} any more");
        }
        let parsers = functions.iter().filter(|function| function.takes_text());
        let is_untried = |f: &&Function| {
            !tried.contains(f.path.as_str()) && !others.iter().any(|other| is_of(&f.path, other))
        };
        untried.extend(
            parsers.filter(is_untried).map(|f| format!("{room} {}({})", f.path, f.parameters)),
        );
    }
    assert!(
        untried.is_empty(),
        "write a target for each (candor_fuzz::text or bytes, in the tests of its file), or say in \
         tests/fuzz/others.rs what it is:\n{}",
        untried.join("\n")
    );
}

#[test]
fn the_table_of_targets_is_that_of_the_documentation() {
    let mut all: Vec<_> = ROOMS.into_iter().flat_map(targets).collect();
    all.sort();
    let rows = all.iter().map(|Target { room, parser, says }| {
        let rule = match says.as_str() {
            "Stands" => "stand in the text".to_owned(),
            times if times.starts_with("Times") => "stand in the text, or times a unit".to_owned(),
            derived => derived.trim_start_matches("Derived(\"").trim_end_matches("\")").to_owned(),
        };
        format!("| `{room}` | `{parser}` | {rule} |\n")
    });
    let path = workspace().join("docs/fuzzing.md");
    let written = fs::read_to_string(&path).unwrap();
    let (head, _) = written.split_once("| --- | --- | --- |\n").unwrap();
    let expected = format!("{head}| --- | --- | --- |\n{}", rows.collect::<String>());
    if std::env::var_os("CANDOR_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        written == expected,
        "docs/fuzzing.md is not of these targets: CANDOR_WRITE_DOCS=1 writes it"
    );
    assert!(all.len() > 60, "the targets are not found: {all:?}");
}

/// The paths of a probe's source, `*` for what it puts in, against those of the damaged tree.
#[test]
fn every_file_that_a_probe_names_is_among_the_damaged_ones() {
    let hostile = fs::read_to_string(workspace().join("src/probes/tests/hostile.rs")).unwrap();
    let damaged: Vec<&str> = hostile.split('"').filter(|text| text.contains('/')).collect();
    let mut missing = BTreeSet::new();
    for source in sources("src/probes") {
        if source.path.contains("windows") || source.path.starts_with("recorder") {
            continue;
        }
        for (root, relative) in source.paths() {
            let path =
                if root.is_empty() { relative.clone() } else { format!("{root}/{relative}") };
            let is_known = |known: &&str| source::matches(&path, known);
            let is_other = others::PATHS.iter().any(|(other, _)| *other == path);
            if !is_other && !damaged.iter().any(is_known) {
                missing.insert(format!("{path} ({})", source.path));
            }
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    assert!(missing.is_empty(), "not in FILES of hostile.rs:\n{}", missing.join("\n"));
}
