//! What was added since the scrape before, series by series.
//!
//! ```text
//! counter    5 ─ 8 ─ 2      told: +3, then, since it began anew, +2
//! histogram  the same, for its count, its sum and each of its buckets
//! gauge      as it is
//! ```
//!
//! # Invariants
//! - A counter that falls has begun anew: what it shows is what was added.
//! - Labels that are not listed go. Counts and histograms of series that are then the same are added
//!   up; gauges and summaries of such series are left out, since one number would not mean the other.
//! - At most [`MAX_SERIES`] series are remembered of an exporter; one that is gone is forgotten.

use std::collections::{BTreeMap, HashMap};

use candor_model::UnixNanos;
use candor_policy::ScrapeConfig;

use crate::exposition::{Kind, Line, Sample, lines};

/// Most series of an exporter.
const MAX_SERIES: usize = 5_000;

/// Labels that pass, in the order of their names.
pub(crate) type Labels = Vec<(String, String)>;

/// One metric with what is told of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) points: Vec<(Labels, Value)>,
    /// The scrape before, for what was added since.
    pub(crate) start: Option<UnixNanos>,
    pub(crate) time: UnixNanos,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// What was added.
    Added(f64),
    /// As it is.
    Gauge(f64),
    /// What was added to each bucket.
    Histogram(Buckets),
    /// As it is.
    Summary { count: u64, sum: f64, quantiles: Vec<(f64, f64)> },
}

/// A histogram: upper bounds, and how many values lie up to each and above the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) bounds: Vec<f64>,
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

/// What a scrape tells.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) metrics: Vec<Told>,
    pub(crate) malformed: usize,
    pub(crate) left_out: usize,
}

/// What is remembered of an exporter.
#[derive(Debug, Default)]
pub(crate) struct Series {
    before: HashMap<String, Seen>,
    at: Option<UnixNanos>,
}

/// One series as it shows itself: parts are collected until all lines are read.
#[derive(Clone, Debug, Default)]
struct Seen {
    count: f64,
    sum: f64,
    /// Bounds with what lies up to each, as the exporter shows them.
    parts: Vec<(f64, f64)>,
}

/// A family's series of one scrape, by all their labels.
struct Family {
    kind: Kind,
    series: BTreeMap<String, (Labels, Seen)>,
}

impl Series {
    /// Reads a scrape and remembers it.
    pub(crate) fn read(&mut self, text: &str, config: &ScrapeConfig, now: UnixNanos) -> Reading {
        let mut reading = Reading::default();
        let families = families(text, config, &mut reading);
        let before = std::mem::take(&mut self.before);
        let mut now_seen = HashMap::new();
        for (name, family) in families {
            let mut points: BTreeMap<Labels, (usize, Value)> = BTreeMap::new();
            for (key, (labels, seen)) in family.series {
                let key = format!("{name}{key}");
                if let Some(value) = value(family.kind, &seen, before.get(&key)) {
                    let (count, sum) = points.entry(labels).or_insert((0, value.clone()));
                    *count += 1;
                    if *count > 1 {
                        add(sum, &value);
                    }
                }
                if matches!(family.kind, Kind::Counter | Kind::Histogram) {
                    now_seen.insert(key, seen);
                }
            }
            let is_added = matches!(family.kind, Kind::Counter | Kind::Histogram);
            let all = points.len();
            points.retain(|_, (count, _)| is_added || *count == 1);
            reading.left_out += all - points.len();
            if !points.is_empty() {
                let points =
                    points.into_iter().map(|(labels, (_, value))| (labels, value)).collect();
                let start = self.at.filter(|_| is_added);
                reading.metrics.push(Told { name, points, start, time: now });
            }
        }
        (self.before, self.at) = (now_seen, Some(now));
        reading
    }
}

/// The families of a text that are listed.
fn families(text: &str, config: &ScrapeConfig, reading: &mut Reading) -> BTreeMap<String, Family> {
    let mut kinds: HashMap<&str, Kind> = HashMap::new();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut series = 0;
    for line in lines(text) {
        let sample = match line {
            Line::Type(name, kind) => {
                kinds.insert(name, kind);
                continue;
            }
            Line::Malformed => {
                reading.malformed += 1;
                continue;
            }
            Line::Sample(sample) => sample,
        };
        let (name, kind, part) = place(&sample, &kinds);
        if !is_listed(config, name) {
            continue;
        }
        let family = families
            .entry(name.to_owned())
            .or_insert_with(|| Family { kind, series: BTreeMap::new() });
        let key = key(&sample, kind);
        if !family.series.contains_key(&key) {
            if series == MAX_SERIES {
                reading.left_out += 1;
                continue;
            }
            series += 1;
        }
        let kept = || (labels(&sample, config, kind), Seen::default());
        family.series.entry(key).or_insert_with(kept).1.take(part, sample.value);
    }
    families
}

/// Which part of its series a sample is.
#[derive(Clone, Copy)]
enum Part {
    Value,
    Sum,
    Count,
    /// Up to this bound, or the value at this quantile.
    At(f64),
    Nothing,
}

/// The family of a sample, what it is and which part of it.
fn place<'a>(sample: &Sample<'a>, kinds: &HashMap<&str, Kind>) -> (&'a str, Kind, Part) {
    let name = sample.name;
    let at = |label| {
        let found = sample.labels.iter().find(|(name, _)| *name == label);
        found.and_then(|(_, value)| value.parse().ok()).map_or(Part::Nothing, Part::At)
    };
    if let Some(kind) = kinds.get(name) {
        return match kind {
            Kind::Summary => (name, *kind, at("quantile")),
            _ => (name, *kind, Part::Value),
        };
    }
    for (suffix, of) in [("_sum", Part::Sum), ("_count", Part::Count), ("_bucket", Part::Nothing)] {
        let Some(family) = name.strip_suffix(suffix) else { continue };
        match kinds.get(family) {
            Some(Kind::Histogram) if suffix == "_bucket" => {
                return (family, Kind::Histogram, at("le"));
            }
            Some(kind @ (Kind::Histogram | Kind::Summary)) => return (family, *kind, of),
            _ => {}
        }
    }
    // As OpenMetrics names counters.
    let is_total = name.strip_suffix("_total").and_then(|family| kinds.get(family));
    let kind = if is_total == Some(&Kind::Counter) { Kind::Counter } else { Kind::Gauge };
    (name, kind, Part::Value)
}

fn is_listed(config: &ScrapeConfig, name: &str) -> bool {
    let is_meant = |one: &String| match one.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => one == name,
    };
    config.metrics.iter().any(is_meant)
}

/// The label by which the lines of one series differ.
fn own_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        Kind::Counter | Kind::Gauge => "",
    }
}

/// All labels, as one text: by them a series is known again.
fn key(sample: &Sample<'_>, kind: Kind) -> String {
    let mut labels: Vec<_> =
        sample.labels.iter().filter(|(name, _)| *name != own_label(kind)).collect();
    labels.sort_unstable();
    labels.iter().fold(String::new(), |key, (name, value)| format!("{key}\u{1}{name}\u{2}{value}"))
}

/// The labels that are listed.
fn labels(sample: &Sample<'_>, config: &ScrapeConfig, kind: Kind) -> Labels {
    let is_kept =
        |name: &str| name != own_label(kind) && config.labels.iter().any(|one| one == name);
    let kept = sample.labels.iter().filter(|(name, _)| is_kept(name));
    let mut labels: Labels =
        kept.map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    labels.sort_unstable();
    labels
}

impl Seen {
    fn take(&mut self, part: Part, value: f64) {
        match part {
            Part::Value | Part::Count => self.count = value,
            Part::Sum => self.sum = value,
            Part::At(bound) => self.parts.push((bound, value)),
            Part::Nothing => {}
        }
    }
}

/// What is told of a series.
fn value(kind: Kind, seen: &Seen, before: Option<&Seen>) -> Option<Value> {
    match kind {
        Kind::Gauge => seen.count.is_finite().then_some(Value::Gauge(seen.count)),
        Kind::Counter => {
            let before = before?;
            // Not a number, or endless: there is nothing to add up.
            let is_number = seen.count.is_finite() && before.count.is_finite();
            is_number.then(|| Value::Added(added(seen.count, before.count)))
        }
        Kind::Histogram => histogram(seen, before?).map(Value::Histogram),
        Kind::Summary => {
            let mut quantiles = seen.parts.clone();
            quantiles.retain(|(at, value)| (0.0..=1.0).contains(at) && value.is_finite());
            quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
            seen.sum.is_finite().then_some(())?;
            Some(Value::Summary { count: whole(seen.count)?, sum: seen.sum, quantiles })
        }
    }
}

fn added(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// What was added to each bucket; `None` where it is no histogram.
fn histogram(seen: &Seen, before: &Seen) -> Option<Buckets> {
    let now = buckets(seen)?;
    let began_anew = seen.count < before.count;
    let before = buckets(before).filter(|before| !began_anew && before.bounds == now.bounds);
    let Some(before) = before else { return Some(now) };
    let counts = now.counts.iter().zip(&before.counts);
    Some(Buckets {
        counts: counts.map(|(now, before)| now.checked_sub(*before)).collect::<Option<_>>()?,
        sum: now.sum - before.sum,
        bounds: now.bounds,
    })
}

/// The counts between the bounds, of those up to them.
fn buckets(seen: &Seen) -> Option<Buckets> {
    let mut parts = seen.parts.clone();
    parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut buckets = Buckets { sum: seen.sum, ..Buckets::default() };
    let mut below = 0;
    for (bound, up_to) in parts {
        let up_to = whole(up_to)?;
        buckets.counts.push(up_to.checked_sub(below)?);
        buckets.bounds.push(bound);
        below = up_to;
    }
    // The last bound is endless and not told: OTLP has one count more than bounds.
    let is_whole = buckets.bounds.pop()? == f64::INFINITY && seen.sum.is_finite();
    is_whole.then_some(buckets)
}

/// A count.
fn whole(number: f64) -> Option<u64> {
    let is_count = number >= 0.0 && number.fract() == 0.0 && number < 9.0e15;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just looked at")]
    is_count.then_some(number as u64)
}

/// Adds up what series that are now the same have added.
fn add(sum: &mut Value, value: &Value) {
    match (sum, value) {
        (Value::Added(sum), Value::Added(value)) => *sum += value,
        (Value::Histogram(sum), Value::Histogram(value)) if sum.bounds == value.bounds => {
            for (sum, value) in sum.counts.iter_mut().zip(&value.counts) {
                *sum += value;
            }
            sum.sum += value.sum;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn config(labels: &[&str]) -> ScrapeConfig {
        ScrapeConfig {
            name: "x".into(),
            address: ([127, 0, 0, 1], 9100).into(),
            path: "/metrics".into(),
            interval: ScrapeConfig::INTERVAL,
            metrics: vec!["seen_total".into(), "load*".into(), "took".into(), "rpc".into()],
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            level: Level::Full,
        }
    }

    fn read(series: &mut Series, text: &str, labels: &[&str], second: u64) -> Vec<Told> {
        series.read(text, &config(labels), UnixNanos(second)).metrics
    }

    fn counter(values: &[(&str, f64)]) -> String {
        let lines = values.iter().map(|(labels, value)| format!("seen_total{labels} {value}\n"));
        format!("# TYPE seen_total counter\n{}", lines.collect::<String>())
    }

    fn labelled(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_counter_tells_what_was_added_and_begins_anew_after_a_restart() {
        let mut series = Series::default();
        assert_eq!(read(&mut series, &counter(&[("", 5.0)]), &[], 1), []);
        let told = |value, start, time| Told {
            name: "seen_total".into(),
            points: vec![(vec![], Value::Added(value))],
            start: Some(UnixNanos(start)),
            time: UnixNanos(time),
        };
        assert_eq!(read(&mut series, &counter(&[("", 8.0)]), &[], 2), [told(3.0, 1, 2)]);
        assert_eq!(read(&mut series, &counter(&[("", 2.0)]), &[], 3), [told(2.0, 2, 3)]);
        assert_eq!(read(&mut series, &counter(&[("", f64::NAN)]), &[], 4), []);
    }

    #[test]
    fn counters_that_lose_a_label_are_added_up_and_gauges_left_out() {
        let mut series = Series::default();
        let text = |a, b| {
            let counts =
                counter(&[("{user=\"alice\",ok=\"1\"}", a), ("{user=\"bob\",ok=\"1\"}", b)]);
            format!(
                "{counts}# TYPE load1 gauge\nload1{{user=\"alice\"}} 1\nload1{{user=\"bob\"}} 2\nload5 3\n"
            )
        };
        read(&mut series, &text(1.0, 1.0), &["ok"], 1);
        let reading = series.read(&text(3.0, 5.0), &config(&["ok"]), UnixNanos(2));
        let points = |at: usize| &reading.metrics[at].points;
        assert_eq!(
            reading.metrics.iter().map(|told| &told.name).collect::<Vec<_>>(),
            ["load5", "seen_total"]
        );
        assert_eq!(points(0), &[(vec![], Value::Gauge(3.0))]);
        assert_eq!(points(1), &[(labelled(&[("ok", "1")]), Value::Added(6.0))]);
        assert_eq!(reading.left_out, 1);
    }

    #[test]
    fn a_histogram_tells_what_was_added_to_each_bucket() {
        let text = |low, high, sum| {
            format!(
                "# TYPE took histogram\ntook_bucket{{le=\"0.5\"}} {low}\ntook_bucket{{le=\"+Inf\"}} {high}\n\
                 took_sum {sum}\ntook_count {high}\n"
            )
        };
        let mut series = Series::default();
        assert_eq!(read(&mut series, &text(1, 2, 3.0), &["le"], 1), []);
        let told = |series: &mut Series, text: &str| match read(series, text, &["le"], 2).pop() {
            Some(Told { points, .. }) => match points.into_iter().next() {
                Some((labels, Value::Histogram(buckets))) if labels.is_empty() => Some(buckets),
                _ => None,
            },
            None => None,
        };
        let added = Buckets { bounds: vec![0.5], counts: vec![2, 1], sum: 4.0 };
        assert_eq!(told(&mut series, &text(3, 5, 7.0)), Some(added));
        let anew = Buckets { bounds: vec![0.5], counts: vec![1, 0], sum: 0.1 };
        assert_eq!(told(&mut series, &text(1, 1, 0.1)), Some(anew));
        assert_eq!(
            told(&mut series, &text(3, 1, 0.1)),
            None,
            "more below than above is no histogram"
        );
    }

    #[test]
    fn a_summary_is_told_as_it_is() {
        let text = "# TYPE rpc summary\nrpc{quantile=\"0.5\"} 4773\nrpc{quantile=\"0.9\"} NaN\nrpc_sum 17\nrpc_count 2\n";
        let told = read(&mut Series::default(), text, &[], 1);
        let value = Value::Summary { count: 2, sum: 17.0, quantiles: vec![(0.5, 4773.0)] };
        assert_eq!((told[0].points.as_slice(), told[0].start), (&[(vec![], value)][..], None));
    }

    #[test]
    fn what_is_not_listed_does_not_pass_and_too_many_series_are_left_out() {
        let mut series = Series::default();
        assert_eq!(read(&mut series, "other 1\nloa 1\n", &[], 1), []);
        let many: Vec<String> =
            (0..=MAX_SERIES).map(|n| format!("load{{n=\"{n}\"}} 1\n")).collect();
        let many = many.concat();
        let reading = series.read(&many, &config(&["n"]), UnixNanos(2));
        assert_eq!((reading.metrics[0].points.len(), reading.left_out), (MAX_SERIES, 1));
    }

    #[test]
    fn openmetrics_counters_are_known_by_their_suffix() {
        let mut series = Series::default();
        let text = |value| format!("# TYPE seen counter\nseen_total {value}\n# EOF\n");
        read(&mut series, &text(1), &[], 1);
        assert_eq!(read(&mut series, &text(4), &[], 2)[0].points, [(vec![], Value::Added(3.0))]);
    }
}
