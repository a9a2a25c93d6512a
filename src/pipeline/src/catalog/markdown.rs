//! The catalog as Markdown: a section for each event and a table of metrics, as the documentation
//! publishes it.

use std::fmt::Write;

use candor_model::{EventEntry, Level, MetricEntry};

use super::{Row, flat, kind_text, prose};

pub(super) fn render(level: Level) -> String {
    let mut text = format!("# What can leave at level {level}\n\n");
    push(&mut text, &format!("Catalog `{}`.", super::hash()));
    for entry in super::events(level) {
        event(&mut text, entry, level);
    }
    for entry in super::metrics(level) {
        metric(&mut text, entry, level);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn event(text: &mut String, event: &EventEntry, level: Level) {
    push(text, &format!("## `{}`", event.name));
    push(text, &format!("Level {}, event, {}.", event.level, event.purpose));
    push(text, &prose(event.doc));
    fields(text, &flat(event.fields, event.level, level));
}

fn metric(text: &mut String, metric: &MetricEntry, level: Level) {
    let (instrument, unit) = (metric.instrument.name(), metric.unit);
    push(text, &format!("## `{}`", metric.name));
    push(
        text,
        &format!("Level {}, metric ({instrument}) in `{unit}`, {}.", metric.level, metric.purpose),
    );
    push(text, &prose(metric.doc));
    fields(text, &flat(metric.attributes, metric.level, level));
}

fn fields(text: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    text.push_str(
        "| field | level | type | unit | class | description |\n|---|---|---|---|---|---|\n",
    );
    for Row { path, level, entry } in rows {
        let (level, class) = (level.number(), entry.class.name());
        // A bar in a cell would end it.
        let (kind, doc) = (kind_text(&entry.kind), prose(entry.doc).replace('|', "\\|"));
        let kind = kind.replace('|', ", ");
        let unit = entry.unit.map_or_else(String::new, |unit| format!("`{unit}`"));
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "| `{path}` | {level} | {kind} | {unit} | {class} | {doc} |");
    }
    text.push('\n');
}

fn push(text: &mut String, paragraph: &str) {
    text.push_str(paragraph);
    text.push_str("\n\n");
}
