//! Whether the program's user said no: by an environment variable, a key of the program's own
//! configuration, or a flag. `DO_NOT_TRACK` always counts.
//!
//! # Invariants
//! - Looked at before anything is sent, and as the program's user: his files, his environment.
//! - A configuration that cannot be read says nothing; a value is compared without letter case.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Largest configuration file that is looked into.
const MAX_BYTES: u64 = 1 << 20;
/// Values that mean that somebody does not want to be tracked.
const TRACK_NO: [&str; 4] = ["1", "true", "yes", "on"];

/// The ways in which a program's user says no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptOut {
    environment: Vec<(String, Vec<String>)>,
    files: Vec<(String, String, Vec<String>)>,
    flags: Vec<String>,
}

impl OptOut {
    /// Only `DO_NOT_TRACK`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An environment variable, and the values that mean no.
    #[must_use]
    pub fn environment(mut self, name: &str, no: &[&str]) -> Self {
        self.environment.push((name.to_owned(), owned(no)));
        self
    }

    /// A key of a configuration file, `section.key` of INI or TOML, or a path of keys in JSON, and the values
    /// that mean no. `~/` is the user's home directory.
    #[must_use]
    pub fn file(mut self, path: &str, key: &str, no: &[&str]) -> Self {
        self.files.push((path.to_owned(), key.to_owned(), owned(no)));
        self
    }

    /// A flag of the program.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// What says no in this process: its environment, its user's files, its arguments.
    #[must_use]
    pub fn found(&self) -> Option<String> {
        let arguments: Vec<String> =
            env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
        self.found_with(&arguments)
    }

    /// The same with the arguments of another program, on whose behalf this one runs.
    #[must_use]
    pub fn found_with(&self, arguments: &[String]) -> Option<String> {
        self.by_environment().or_else(|| self.by_file()).or_else(|| self.by_flag(arguments))
    }

    fn by_environment(&self) -> Option<String> {
        let says = |name: &str, no: &[String]| {
            let value = env::var_os(name)?;
            is_one(&value.to_string_lossy(), no).then(|| format!("{name} is set"))
        };
        let track = says("DO_NOT_TRACK", &owned(&TRACK_NO));
        track.or_else(|| self.environment.iter().find_map(|(name, no)| says(name, no)))
    }

    fn by_file(&self) -> Option<String> {
        self.files.iter().find_map(|(path, key, no)| {
            let value = value_in(&read(path)?, key)?;
            is_one(&value, no).then(|| format!("{key} = {value} in {path}"))
        })
    }

    fn by_flag(&self, arguments: &[String]) -> Option<String> {
        let is_given = |flag: &&String| {
            let with_value = format!("{flag}=");
            let means_it = |argument: &String| {
                let value = argument.strip_prefix(&with_value);
                argument == *flag || value.is_some_and(|value| is_one(value, &owned(&TRACK_NO)))
            };
            // What stands behind `--` is no flag.
            arguments.iter().take_while(|argument| *argument != "--").any(means_it)
        };
        self.flags.iter().find(is_given).map(|flag| format!("{flag} is given"))
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn is_one(value: &str, words: &[String]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(value.trim()))
}

fn read(path: &str) -> Option<String> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => home()?.join(rest),
        None => PathBuf::from(path),
    };
    let facts = fs::metadata(&path).ok()?;
    (facts.is_file() && facts.len() <= MAX_BYTES).then(|| fs::read_to_string(path).ok())?
}

fn home() -> Option<PathBuf> {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    env::var_os(variable).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The value of `section.key`: of INI and TOML by lines, of JSON by braces.
fn value_in(text: &str, key: &str) -> Option<String> {
    if text.trim_start().starts_with('{') { in_json(text, key) } else { in_lines(text, key) }
}

fn in_lines(text: &str, wanted: &str) -> Option<String> {
    let mut section = String::new();
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name.trim().clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once(['=', ':']) {
            let key = key.trim().trim_matches('"');
            let key = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            if key.eq_ignore_ascii_case(wanted) {
                // The last one counts, as everywhere.
                found = Some(plain(value));
            }
        }
    }
    found
}

/// A value without its quotes and the comment behind it.
fn plain(value: &str) -> String {
    let value = value.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default().to_owned(),
        _ => value.split(['#', ';']).next().unwrap_or_default().trim().to_owned(),
    }
}

/// Walks through a JSON text: a key counts at its own depth below the keys before it.
fn in_json(text: &str, wanted: &str) -> Option<String> {
    let mut path: Vec<String> = Vec::new();
    let mut last = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let end = text[at + 1..].find('"')? + at + 1;
                text[at + 1..end].clone_into(&mut last);
                while letters.next()?.0 < end {}
            }
            '{' | '[' => path.push(std::mem::take(&mut last)),
            '}' | ']' => {
                path.pop();
            }
            ':' => {
                let mut key: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
                key.push(&last);
                if key.join(".").eq_ignore_ascii_case(wanted) {
                    let value = text[at + 1..].trim_start();
                    let end = value.find([',', '}', '\n']).unwrap_or(value.len());
                    return Some(plain(&value[..end]));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_ini_toml_and_json() {
        for (text, expected) in [
            ("[core]\ncollect_telemetry = no\n", Some("no")),
            ("[other]\ncollect_telemetry = no\n[core]\nx = 1\n", None),
            ("core.collect_telemetry = \"no\" # why\n", Some("no")),
            ("[core]\ncollect_telemetry=yes\ncollect_telemetry = No ; why", Some("No")),
            ("{\"core\": {\"collect_telemetry\": \"no\"}}", Some("no")),
            (
                "{\"x\": {\"collect_telemetry\": 1}, \"core\": {\"y\": [1], \"collect_telemetry\": false}}",
                Some("false"),
            ),
            ("{\"collect_telemetry\": \"no\"}", None),
            ("{\"core\": \"", None),
            ("", None),
        ] {
            assert_eq!(value_in(text, "core.collect_telemetry").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_of_the_program_says_no() {
        let dir = env::temp_dir().join(format!("candor-client-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("config").display().to_string();
        let opt_out = OptOut::new().file(&path, "core.collect_telemetry", &["no", "0"]);
        assert_eq!(opt_out.by_file(), None, "what is not there says nothing");
        fs::write(&path, "[core]\ncollect_telemetry = NO\n").unwrap();
        assert!(opt_out.by_file().is_some_and(|why| why.contains("core.collect_telemetry")));
        fs::write(&path, "[core]\ncollect_telemetry = yes\n").unwrap();
        assert_eq!(opt_out.by_file(), None);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_flag_counts_before_the_end_of_the_flags_and_with_a_value_that_means_it() {
        let opt_out = OptOut::new().flag("--disable-telemetry");
        let given = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            opt_out.by_flag(&arguments).is_some()
        };
        assert!(given("build --disable-telemetry x") && given("build --disable-telemetry=true"));
        assert!(
            !given("build --disable-telemetry=false") && !given("build -- --disable-telemetry")
        );
    }

    #[test]
    fn an_environment_variable_counts_by_its_value() {
        // A variable that every process has, since changing the environment of a test is not safe.
        let Some((name, value)) =
            env::vars().find(|(name, value)| name != "DO_NOT_TRACK" && value.trim() == value)
        else {
            return;
        };
        assert!(OptOut::new().environment(&name, &[&value]).by_environment().is_some());
        let other = OptOut::new().environment(&name, &["a value that it does not have"]);
        assert_eq!(other.by_environment(), OptOut::new().by_environment());
    }
}
