//! What firmware and drives say when they have nothing to say. The inventory passes their texts
//! through here.
//!
//! # Invariants
//! - A placeholder is never a fact: it is absent.
//! - A text that is kept has no control characters, single spaces, and a bounded length.

/// The longest text that is kept, in characters.
const MAX_CHARS: usize = 128;

/// Placeholders seen on real boards, in lower case, with single spaces.
const FILLERS: &[&str] = &[
    "all series",
    "<bad index>",
    "bad index",
    "base board manufacturer",
    "base board product name",
    "chassis manufacture",
    "chassis manufacturer",
    "default",
    "default string",
    "empty",
    "fill by oem",
    "filled by oem",
    "invalid",
    "n/a",
    "na",
    "no enclosure",
    "no module installed",
    "none",
    "not applicable",
    "not available",
    "not defined",
    "not known",
    "not provided",
    "not set",
    "not specified",
    "null",
    "o.e.m",
    "o.e.m.",
    "oem",
    "oem_mb",
    "oemname",
    "other",
    "<out of spec>",
    "product name",
    "sku",
    "system manufacturer",
    "system name",
    "system product name",
    "system version",
    "tba",
    "tbd",
    "type1productconfigid",
    "unassigned",
    "undefined",
    "unknown",
    "unspecified",
    "x.x",
];

/// The text as a fact, or `None` when it is a placeholder.
pub(crate) fn fact(text: &str) -> Option<String> {
    let text = text.replace(|c: char| c.is_control(), " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(MAX_CHARS).collect();
    (!is_filler(&text.to_lowercase())).then_some(text)
}

fn is_filler(text: &str) -> bool {
    let is_blank = text.chars().all(|c| !c.is_alphanumeric() || matches!(c, '0' | 'x'));
    is_blank
        || text.starts_with("to be filled")
        || matches!(text, "123456789" | "0123456789" | "1234567890" | "ffffffff")
        || FILLERS.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_every_spelling_are_absent() {
        let placeholders = [
            "To be filled by O.E.M.",
            "To Be Filled By O.E.M. by More String",
            "Default string",
            "  System   Product Name ",
            "Not Specified",
            "<BAD INDEX>",
            "UNKNOWN",
            "None",
            "x.x",
            "N/A",
            "00000000",
            "...",
            "",
            "0123456789",
            "\u{0}",
        ];
        for text in placeholders {
            assert_eq!(fact(text), None, "{text:?}");
        }
    }

    #[test]
    fn real_names_stay_and_are_tidied() {
        assert_eq!(fact("LENOVO\n").as_deref(), Some("LENOVO"));
        assert_eq!(fact("Dell  Inc.").as_deref(), Some("Dell Inc."));
        assert_eq!(fact("X570\tPro").as_deref(), Some("X570 Pro"));
        assert_eq!(fact(&"ä".repeat(300)).map(|text| text.chars().count()), Some(MAX_CHARS));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("filler::fact", Says::Stands, &["To be filled by O.E.M.", "Dell  Inc. 7"], fact);
    }
}
