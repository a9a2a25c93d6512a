//! The fault matrix has no empty cell, and every test that it names exists.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of the matrix' rows, without heads and rules.
fn cells(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("|---");
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        let is_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        line.starts_with('|') && !is_rule(line) && !is_head
    });
    rows.map(|(_, line)| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks and is a path of words: `module::test`.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let is_word = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    };
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once("::"))
        .filter(|(a, b)| is_word(a) && is_word(b))
        .collect()
}

/// Each function under an attribute of a test, with the name of its file.
fn tests(dir: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let function = line.trim_start_matches("async ").strip_prefix("fn ");
                if let Some(name) = function.and_then(|rest| rest.split('(').next())
                    && std::mem::take(&mut is_test)
                {
                    found.insert((module.clone(), name.to_owned()));
                }
            }
        }
    }
}

#[test]
fn no_cell_is_empty_and_every_named_test_exists() {
    let text = fs::read_to_string(workspace().join("docs/faults.md")).unwrap();
    let mut known = BTreeSet::new();
    for room in ["src", "service", "policy", "tests"] {
        tests(&workspace().join(room), &mut known);
    }
    let rows = cells(&text);
    assert!(rows.len() > 20, "the matrix has {} rows", rows.len());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for cell in &row[1..] {
            let tests = named(cell);
            assert!(!tests.is_empty(), "a cell of `{}` names no test: {cell}", row[0]);
            for (module, name) in tests {
                let wanted = (module.to_owned(), name.to_owned());
                assert!(
                    known.contains(&wanted),
                    "`{}` names {module}::{name}, which is no test",
                    row[0]
                );
            }
        }
    }
}
