//! Unpacks a machine that is kept as one text, `NAME/tree.txt`; the form is drawn in `README.md`.
//!
//! # Invariants
//! - A line that is not understood, or a place that is said twice, is an error with its number: nothing of a
//!   machine is left out in silence.
//! - A link to a place of the tree is made relative, so that it stays in the tree.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Peekable;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::str::Lines;
use std::time::{Duration, SystemTime};

type Numbered<'a> = Peekable<std::iter::Enumerate<Lines<'a>>>;

/// Makes below `root` what the text says.
pub(crate) fn unpack(text: &str, root: &Path) -> Result<(), String> {
    let mut lines = text.lines().enumerate().peekable();
    let mut directory = String::new();
    let mut ways = BTreeMap::new();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(opened) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            directory = if opened == "." { String::new() } else { format!("{opened}/") };
            continue;
        }
        let failed = |what: &str| format!("line {}: {what}: {line}", number + 1);
        let (name, rest) =
            line.split_once(' ').ok_or("a name and nothing after it").map_err(failed)?;
        let place = format!("{directory}{name}");
        if ways.contains_key(&place) {
            return Err(failed("said twice"));
        }
        match rest.strip_prefix("-> ") {
            Some(to) => drop(ways.insert(place, to)),
            None => entry(&root.join(place), rest, &mut lines).map_err(|what| failed(&what))?,
        }
    }
    // Last, so that what they lead to is there.
    ways.iter().try_for_each(|(place, to)| link(root, place, to))
}

fn entry(path: &Path, rest: &str, lines: &mut Numbered) -> Result<(), String> {
    let (kind, value) = rest.split_once(' ').unwrap_or((rest, ""));
    fs::create_dir_all(path.parent().ok_or("no place")?).map_err(|error| said(&error))?;
    if kind != "/" && path.exists() {
        return Err("said twice".to_owned());
    }
    match kind {
        "=" => fs::write(path, format!("{value}\n")).map_err(|error| said(&error)),
        "|" => fs::write(path, barred(lines)).map_err(|error| said(&error)),
        "hex" => fs::write(path, bytes(value).ok_or("no hexadecimal digits")?)
            .map_err(|error| said(&error)),
        "@" => changed(path, value),
        "/" => fs::create_dir_all(path).map_err(|error| said(&error)),
        _ if rest.starts_with('"') => {
            let text: String = serde_json::from_str(rest).map_err(|error| said(&error))?;
            fs::write(path, text).map_err(|error| said(&error))
        }
        _ => Err("not understood".to_owned()),
    }
}

/// The lines that begin with a bar.
fn barred(lines: &mut Numbered) -> String {
    let mut text = String::new();
    while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with('|')) {
        text += &line[1..];
        text.push('\n');
    }
    text
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

/// `/sys/x` is a place of the tree, which is made if it is not there yet; anything else stays as it is.
fn link(root: &Path, place: &str, to: &str) -> Result<(), String> {
    let target = match to.strip_prefix('/') {
        Some(inside) => {
            if !root.join(inside).exists() {
                fs::create_dir_all(root.join(inside)).map_err(|error| said(&error))?;
            }
            "../".repeat(place.matches('/').count()) + inside
        }
        None => to.to_owned(),
    };
    let path = root.join(place);
    fs::create_dir_all(path.parent().ok_or("no place")?).map_err(|error| said(&error))?;
    symlink(target, &path).map_err(|error| format!("{place}: {error}"))
}

fn changed(path: &Path, seconds: &str) -> Result<(), String> {
    let time = SystemTime::UNIX_EPOCH
        + Duration::from_secs(seconds.parse().map_err(|error| said(&error))?);
    fs::File::create(path).and_then(|file| file.set_modified(time)).map_err(|error| said(&error))
}

fn said(error: &impl ToString) -> String {
    error.to_string()
}

#[test]
fn a_line_that_is_not_understood_is_an_error_with_its_number() {
    for (text, said) in [
        ("# x\n[sys]\na = 1\nb\n", "line 4: a name and nothing after it: b"),
        ("a = 1\na = 2\n", "line 2: said twice: a = 2"),
        ("a ~ 1\n", "line 1: not understood: a ~ 1"),
        ("a -> b\na -> c\n", "line 2: said twice: a -> c"),
        ("a hex 1\n", "line 1: no hexadecimal digits: a hex 1"),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(unpack(text, root.path()).expect_err("an error"), said);
    }
}

#[test]
fn each_line_makes_what_it_says() {
    let root = tempfile::tempdir().expect("a directory");
    let text = "[.]\ntop = 1\n[sys/a]\nb \"x\\u0000\"\nc hex ff00\nd |\n|one\n|\n|two\ne /\nf @ 5\ng -> /sys/h/i\nk -> nowhere\n";
    unpack(text, root.path()).expect("unpacked");
    let at = |path: &str| root.path().join(path);
    let read = |path: &str| fs::read(at(path)).expect("a file");
    assert_eq!(read("top"), b"1\n");
    assert_eq!(read("sys/a/b"), b"x\0");
    assert_eq!(read("sys/a/c"), [0xFF, 0]);
    assert_eq!(read("sys/a/d"), b"one\n\ntwo\n");
    assert!(at("sys/a/e").is_dir() && read("sys/a/f").is_empty());
    let changed = fs::metadata(at("sys/a/f")).and_then(|found| found.modified()).expect("a time");
    assert_eq!(changed, SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    assert_eq!(fs::read_link(at("sys/a/g")).expect("a link"), Path::new("../../sys/h/i"));
    assert!(at("sys/a/g").is_dir());
    assert_eq!(fs::read_link(at("sys/a/k")).expect("a link"), Path::new("nowhere"));
}
