//! The catalog in columns for a terminal: one line for each event and metric, its fields below.

use std::fmt::Write;

use candor_model::Level;

use super::{Row, flat, kind_text, prose};

pub(super) fn render(level: Level) -> String {
    let mut lines = vec![cells(["LEVEL", "NAME", "TYPE", "UNIT", "CLASS", "DESCRIPTION"])];
    for event in super::events(level) {
        let level_number = event.level.number().to_string();
        lines.push(cells([&level_number, event.name, "event", "", "", &prose(event.doc)]));
        lines.extend(flat(event.fields, event.level, level).iter().map(field));
    }
    for metric in super::metrics(level) {
        let (level_number, instrument) = (metric.level.number().to_string(), metric.instrument);
        let class = metric.class.name();
        let doc = prose(metric.doc);
        lines.push(cells([
            &level_number,
            metric.name,
            instrument.name(),
            metric.unit,
            class,
            &doc,
        ]));
        lines.extend(flat(metric.attributes, metric.level, level).iter().map(field));
    }
    align(&lines)
}

fn field(row: &Row) -> [String; 6] {
    let entry = row.entry;
    cells([
        &row.level.number().to_string(),
        &format!("  {}", row.path),
        &kind_text(&entry.kind),
        entry.unit.unwrap_or_default(),
        entry.class.name(),
        &prose(entry.doc),
    ])
}

fn cells(texts: [&str; 6]) -> [String; 6] {
    texts.map(str::to_owned)
}

/// Columns as wide as their widest cell, but no wider than 40; the last one is open.
fn align(lines: &[[String; 6]]) -> String {
    let width = |column: usize| {
        lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0).min(40)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut table = String::new();
    for [first @ .., last] in lines {
        for (cell, width) in first.iter().zip(widths) {
            // Writing to a `String` does not fail.
            let _ = write!(table, "{cell:width$}  ");
        }
        table.push_str(last);
        table.push('\n');
    }
    table
}
