//! Functions in sources that `rustfmt` laid out: their names, parameters and whom they call.
//!
//! # Invariants
//! - A function ends at the first line that closes it at its own indentation.
//! - What a function calls is found by name: in its own file, and in files that it names or takes from with `use`.
//!
//! A source that cannot be read fails the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One file.
pub(crate) struct Source {
    /// Below `src`, without `.rs`.
    pub(crate) path: String,
    code: String,
    pub(crate) tests: String,
}

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    /// `linux/kmsg::parse`
    pub(crate) path: String,
    pub(crate) parameters: String,
    /// Whether something comes out.
    gives: bool,
    /// The words of its body.
    words: BTreeSet<String>,
    /// The words that its file takes from others.
    taken: BTreeSet<String>,
}

/// Every source below a directory.
pub(crate) fn below(directory: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(&path, directory));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Source {
    fn read(path: &Path, directory: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(directory).unwrap().with_extension("");
        let path = name.to_str().unwrap().replace('\\', "/");
        let is_tests = |line: &str| line.ends_with("mod tests {") && !line.starts_with(' ');
        let tests = text.lines().find(|line| is_tests(line));
        let at = tests.and_then(|line| text.find(line)).unwrap_or(text.len());
        let (code, tests) = text.split_at(at);
        // A file of tests alone.
        let code = if path.ends_with("tests") { "" } else { code };
        let tests = if path.ends_with("tests") { &text } else { tests };
        Self { code: code.to_owned(), tests: tests.to_owned(), path }
    }

    /// All of it is tests.
    pub(crate) fn into_tests(self) -> Self {
        Self { tests: self.code + &self.tests, code: String::new(), ..self }
    }

    pub(crate) fn into_functions(self) -> Vec<Function> {
        let lines: Vec<&str> = self.code.lines().collect();
        let taken = lines.iter().filter(|line| line.trim_start().starts_with("use "));
        let taken: BTreeSet<String> = taken.flat_map(|line| words(line)).collect();
        let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
        starts.map(|(at, _)| self.function(&lines, at, &taken)).collect()
    }

    fn function(&self, lines: &[&str], at: usize, taken: &BTreeSet<String>) -> Function {
        let first = lines[at];
        let indent = &first[..first.len() - first.trim_start().len()];
        let close = format!("{indent}}}");
        let is_one_line = first.ends_with('}');
        let ends = |line: &&str| **line == close || line.starts_with(&format!("{close} "));
        let len = lines[at..].iter().position(ends).filter(|_| !is_one_line).unwrap_or(0);
        let text = lines[at..=at + len].join("\n");
        let name = text.split_once("fn ").unwrap().1.split(['(', '<']).next().unwrap();
        let (signature, body) = text.split_once('{').unwrap_or((&text, ""));
        Function {
            path: format!("{}::{name}", self.path),
            parameters: parameters(signature),
            gives: signature.contains(") -> "),
            words: words(body).collect(),
            taken: taken.clone(),
        }
    }

    /// What is asked of the host: the part of the tree, and the path in it with `*` for what is put in.
    pub(crate) fn paths(&self) -> Vec<(&'static str, String)> {
        let calls = [("proc", "proc"), ("sys", "sys"), ("etc", "etc"), ("path", "")];
        let of = |(call, root): (&str, &'static str)| {
            let parts: Vec<&str> = self.code.split(&format!("host.{call}(")).skip(1).collect();
            let literal = |part: &str| {
                let part = part.trim_start_matches(['&', '\n', ' ']).trim_start_matches("format!(");
                let (path, _) = part.trim_start().strip_prefix('"')?.split_once('"')?;
                (!path.is_empty()).then(|| (root, starred(path)))
            };
            parts.into_iter().filter_map(literal).collect::<Vec<_>>()
        };
        calls.into_iter().flat_map(of).collect()
    }
}

/// `cpu/{name}/stat` as `cpu/*/stat`.
fn starred(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "*" + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// Whether a path with stars is this one, or a directory above it.
pub(crate) fn matches(path: &str, known: &str) -> bool {
    let mut parts = known.split('/');
    path.split('/').all(|part| {
        parts.next().is_some_and(|known| match part.split_once('*') {
            Some((start, end)) => known.starts_with(start) && known.ends_with(end),
            None => known == part,
        })
    })
}

fn is_function(line: &str) -> bool {
    let start = line.split("fn ").next().unwrap_or_default();
    let is_head = start.split_whitespace().all(|word| {
        word.starts_with("pub")
            || ["const", "async", "unsafe", "extern", "\"system\""].contains(&word)
    });
    is_head && line.contains("fn ") && line.contains(['(', '<'])
}

/// What stands in the outer parentheses.
fn parameters(signature: &str) -> String {
    let (_, rest) = signature.split_once('(').unwrap_or_default();
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    rest[..end.unwrap_or(rest.len())].split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
}

impl Function {
    fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap()
    }

    fn file(&self) -> &str {
        self.path.rsplit_once("::").unwrap().0
    }

    /// The last word of its file: what others name it by.
    fn room(&self) -> &str {
        self.file().rsplit('/').next().unwrap()
    }

    pub(crate) fn calls(&self, other: &Self) -> bool {
        let is_above = || {
            let above = self.file().rsplit_once('/').map(|(above, _)| above);
            above == Some(other.file()) && self.taken.contains("super")
        };
        let is_near = self.file() == other.file() || is_above();
        let is_named = || self.words.contains(other.room()) || self.taken.contains(other.room());
        self.words.contains(other.name()) && (is_near || is_named())
    }

    /// Text, bytes or JSON among its parameters, and something comes out. What also takes the host or a
    /// path reads a file: that is tried with the damaged tree.
    pub(crate) fn takes_text(&self) -> bool {
        let plain = self.parameters.replace("'a ", "").replace("mut ", "");
        let has = |kinds: &[&str]| kinds.iter().any(|kind| plain.contains(kind));
        self.gives
            && has(&["&str", "&[u8]", "&Value", "text: String", "impl BufRead"])
            && !has(&["&Host", "&Path", "&'static str", "fmt::Formatter"])
    }
}
