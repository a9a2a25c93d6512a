//! The text format of Prometheus, line by line.
//!
//! ```text
//! # TYPE http_requests_total counter
//! http_requests_total{method="get",path="a\\b\"c\n"} 1027 1395066363000
//! ```
//! The text of `OpenMetrics` is read as far as it is the same: exemplars and units are passed over, and
//! `# TYPE x counter` also names `x_total`.
//!
//! # Invariants
//! - A line is understood whole or not at all; one that is not costs only itself.
//! - No line makes more of itself than a few times its length.
//!
//! On failure: [`Line::Malformed`], for its reader to count.

use std::borrow::Cow;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// One line that says something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line<'a> {
    /// What a metric is; a type that is none of ours counts as a gauge.
    Type(&'a str, Kind),
    /// A value.
    Sample(Sample<'a>),
    /// No line of this format.
    Malformed,
}

/// Names and values.
pub(crate) type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Labels<'a>,
    pub(crate) value: f64,
}

/// The lines of a text; comments and empty ones say nothing.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        match line.strip_prefix('#') {
            Some(comment) => typed(comment),
            None if line.is_empty() => None,
            None => Some(sample(line).map_or(Line::Malformed, Line::Sample)),
        }
    })
}

fn typed(comment: &str) -> Option<Line<'_>> {
    let mut words = comment.split_ascii_whitespace();
    let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return None;
    };
    let kind = match kind {
        "counter" => Kind::Counter,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        _ => Kind::Gauge,
    };
    Some(Line::Type(name, kind))
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest.strip_prefix([' ', '\t'])?),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next()?)?;
    match words.next() {
        None => {}
        // The exporter's own time is not taken: ours is one clock for all.
        Some(time) if time.parse::<f64>().is_ok() || time == "#" => {}
        Some(_) => return None,
    }
    Some(Sample { name, labels, value })
}

const fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

/// The labels up to the brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_end();
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.push((name, value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A text up to its closing quote, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other @ ('\\' | '"') => value.push(other),
                // What is no escape stays as it is, as Prometheus reads it.
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

/// A number as Go writes it.
fn number(text: &str) -> Option<f64> {
    // Rust also knows `infinity` and `nan` with a sign; Go does too.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Pairs = Vec<(String, String)>;

    fn one(line: &str) -> Option<(String, Pairs, f64)> {
        let sample = sample(line)?;
        let labels =
            sample.labels.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
        Some((sample.name.to_owned(), labels.collect(), sample.value))
    }

    fn labelled(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn samples_are_read_in_every_spelling_of_the_format() {
        for (line, name, labels, value) in [
            ("up 1", "up", &[][..], 1.0),
            ("up{} 1", "up", &[], 1.0),
            (
                "a:b_1{x=\"1\",y=\"2\"} 1027 1395066363000",
                "a:b_1",
                &[("x", "1"), ("y", "2")],
                1027.0,
            ),
            ("java{x=\"1\",} 2", "java", &[("x", "1")], 2.0),
            (
                "msdos{path=\"C:\\\\DIR\\\\F\",error=\"a \\\"b\\\"\\n\"} 1.458255915e9",
                "msdos",
                &[("path", "C:\\DIR\\F"), ("error", "a \"b\"\n")],
                1_458_255_915.0,
            ),
            (
                "odd { a = \"x,y=z}\" , b=\"\u{e4}\" } 3",
                "odd",
                &[("a", "x,y=z}"), ("b", "\u{e4}")],
                3.0,
            ),
            ("past -3.0 -3982045", "past", &[], -3.0),
            ("x{le=\"+Inf\"} 144320", "x", &[("le", "+Inf")], 144_320.0),
            (
                "open_total{a=\"b\"} 17.0 1.5 # {trace_id=\"x\"} 0.67 1.5",
                "open_total",
                &[("a", "b")],
                17.0,
            ),
            ("open_total 17 # {trace_id=\"x\"} 0.67", "open_total", &[], 17.0),
        ] {
            assert_eq!(one(line), Some((name.to_owned(), labelled(labels), value)), "{line}");
        }
        assert_eq!(one("x +Inf").unwrap().2.total_cmp(&f64::INFINITY), std::cmp::Ordering::Equal);
        assert!(one("x NaN").unwrap().2.is_nan());
    }

    #[test]
    fn what_is_no_line_of_the_format_is_malformed_and_costs_only_itself() {
        for line in [
            "up",
            "up one",
            "1up 1",
            "up{x} 1",
            "up{x=1} 1",
            "up{x=\"1\" 1",
            "up{x=\"1} 1",
            "up{x=\"1\"y=\"2\"} 1",
            "up 1 yesterday",
            "{x=\"1\"} 1",
            "up{=\"1\"} 1",
            "<html>",
            "up{x=\"1\\",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
        let text = "# HELP up x\n#TYPE up gauge\n\n<html>\nup 1\n# EOF\n";
        let lines: Vec<_> = lines(text).collect();
        let up = Sample { name: "up", labels: vec![], value: 1.0 };
        assert_eq!(lines, [Line::Type("up", Kind::Gauge), Line::Malformed, Line::Sample(up)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_trouble(text in any::<String>()) {
            let _ = lines(&text).count();
        }

        #[test]
        fn text_that_looks_like_the_format_is_read_without_trouble(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "a", "{", "}", "\"", "\\", "=", ",", " ", "1", "#", "TYPE", "\n", "\u{e4}", "x=\"y\"",
            ]), 0..40)
        ) {
            let _ = lines(&pieces.concat()).count();
        }

        #[test]
        fn a_label_reads_back_whatever_it_is(value in "[^\r]*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let line = format!("x{{a=\"{escaped}\"}} 1");
            prop_assert_eq!(one(&line).map(|sample| sample.1), Some(labelled(&[("a", &value)])));
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        let page =
            "# TYPE a counter\na{x=\"1\",y=\"q\\\"\\n\"} 1027 1395066363000\nup 1.5e3\n# EOF\n";
        text("exposition::lines", Says::Derived("powers of ten"), &[page], |page| {
            lines(page).map(|line| format!("{line:?}")).collect::<Vec<_>>()
        });
    }
}
