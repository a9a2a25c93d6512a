//! A manifest from its text: TOML that serde understands, then what the format cannot say.
//!
//! # Invariants
//! - A text is a checked [`Manifest`] or findings with file, line, key and what to change.

use candor_model::{Class, Kind};
use candor_policy::{Finding, Findings};
use toml::de::{DeTable, DeValue};

use super::{Event, Field, FieldKind, Manifest, Parser, PeerWord, Peers};

/// The only manifest that may take any event.
const OPEN: &str = "application";
/// The only manifest as which the agent itself speaks; `[[scrape]]` declares what it may tell.
const SCRAPED: &str = "prometheus";
/// What [`Parser::ModuleDeployment`] gives.
const PARTS: [&str; 6] = ["tool", "kind", "module", "version", "suffix", "attribution_id"];

/// Reads a manifest. `file` is what findings call it.
///
/// # Errors
/// Everything that is wrong with it; of what does not fit its type only the first.
pub fn read(text: &str, file: &str) -> Result<Manifest, Vec<Finding>> {
    let mut findings = Findings::new(file, text);
    let manifest = match toml::from_str::<Manifest>(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            findings.error(&span, "", format!("{message}: change it"));
            return Err(findings.into_vec());
        }
    };
    let table = DeTable::parse(text).ok();
    let mut check = Check { table: table.as_ref().map(toml::Spanned::get_ref), findings };
    check.manifest(&manifest);
    let found = check.findings.into_vec();
    if found.is_empty() { Ok(manifest) } else { Err(found) }
}

struct Check<'a> {
    table: Option<&'a DeTable<'a>>,
    findings: Findings<'a>,
}

impl Check<'_> {
    /// An error at a path such as `event.2.fields.x.format`.
    fn error(&mut self, path: &[&str], problem: &str) {
        let span = self.table.map_or(0..0, |table| span_of(table, path));
        self.findings.error(&span, &path.join("."), problem);
    }

    fn manifest(&mut self, manifest: &Manifest) {
        if !is_plain(&manifest.name) {
            self.error(&["name"], "write 1 to 64 lower-case letters, digits and dashes");
        }
        self.recognition(manifest);
        if manifest.any_event && manifest.name != OPEN {
            self.error(
                &["any_event"],
                "only the provider application may take any event: declare the events",
            );
        }
        let is_agents = manifest.peer == Peers::Word(PeerWord::Agent);
        if is_agents && manifest.name != SCRAPED {
            self.error(
                &["peer"],
                "only the provider prometheus is the agent's own: name who may speak",
            );
        }
        if manifest.events.is_empty() && !manifest.any_event && !is_agents {
            self.error(&["name"], "declares no event: add [[event]]");
        }
        let rate = [("peer", manifest.rate.peer), ("user", manifest.rate.user)];
        for (key, _) in rate.iter().filter(|(_, rate)| !(*rate > 0.0 && *rate <= 1e6)) {
            self.error(&["rate", key], "write records a second, above 0 and up to 1000000");
        }
        for (at, event) in manifest.events.iter().enumerate() {
            self.event(manifest, at, event);
        }
    }

    fn recognition(&mut self, manifest: &Manifest) {
        for (key, names) in [("service_name", &manifest.service_name), ("scope", &manifest.scope)] {
            if names.0.iter().any(|name| is_odd(name)) {
                self.error(&[key], "write names, with a * only at the end and something before it");
            }
        }
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if manifest.token_sha256.as_ref().is_some_and(|digest| !is_digest(digest)) {
            self.error(&["token_sha256"], "write the 64 hexadecimal digits of the token's SHA-256");
        }
        match &manifest.peer {
            Peers::These(these)
                if these.uid.is_empty() && these.gid.is_empty() && these.executable.is_empty() =>
            {
                self.error(
                    &["peer"],
                    "names nobody: state uid, gid or executable, or write \"any\"",
                );
            }
            Peers::Word(PeerWord::Any) if !manifest.any_event && is_for_all(manifest) => {
                let problem =
                    "recognises every program: state service_name, scope or token_sha256 too";
                self.error(&["peer"], problem);
            }
            _ => {}
        }
    }

    fn event(&mut self, manifest: &Manifest, at: usize, event: &Event) {
        let at_text = at.to_string();
        let path = |key| ["event", at_text.as_str(), key];
        let name = event.name.strip_suffix('*').unwrap_or(&event.name);
        if name.is_empty()
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
        {
            self.error(&path("name"), "write ASCII letters, digits and . _ - /");
        }
        if name.starts_with("candor.") {
            self.error(
                &path("name"),
                "names that begin with candor. are the agent's own: choose another",
            );
        }
        let same = |other: &Event| other.kind == event.kind && other.name == event.name;
        if manifest.events[..at].iter().any(same) {
            self.error(&path("name"), "is declared twice: remove one");
        }
        if !(0.0..=1.0).contains(&event.sample) {
            self.error(&path("sample"), "write a part from 0 to 1");
        } else if event.kind == Kind::Metric && event.sample < 1.0 {
            self.error(&path("sample"), "metrics are not sampled: a sum would be wrong; remove it");
        }
        for (name, field) in &event.fields {
            self.field(&at_text, event, (name, field));
        }
    }

    fn field(&mut self, at: &str, event: &Event, (name, field): (&str, &Field)) {
        let path = |key| ["event", at, "fields", name, key];
        let is_text = matches!(field.kind, FieldKind::Text | FieldKind::List);
        if !is_text && (field.format.is_some() || !field.words.is_empty()) {
            self.error(&path("type"), "only a text has a format or words: remove them");
        }
        let is_shaped = field.format.is_some() || !field.words.is_empty() || field.parse.is_some();
        let is_free = (is_text && !is_shaped && !field.sensitive) || field.kind == FieldKind::Map;
        if is_free && field.class != Class::DiagnosticText {
            self.error(
                &path("class"),
                "free text and maps are \"diagnostic text\": say so, or state format or words",
            );
        }
        if field.level.is_some_and(|level| level < event.level) {
            self.error(
                &path("level"),
                "stands below its event: write the event's level or a higher one",
            );
        }
        if name.starts_with('_') || name.starts_with("candor.") {
            self.error(
                &path("type"),
                "names that begin with _ or candor. do not pass: choose another",
            );
        }
        if field.parse == Some(Parser::ModuleDeployment)
            && let Some(part) = PARTS.iter().find(|part| !event.fields.contains_key(**part))
        {
            self.error(
                &path("parse"),
                &format!("gives a field that is not declared: declare {part}"),
            );
        }
    }
}

fn is_for_all(manifest: &Manifest) -> bool {
    manifest.service_name.0.is_empty()
        && manifest.scope.0.is_empty()
        && manifest.token_sha256.is_none()
}

fn is_odd(name: &str) -> bool {
    let name = name.strip_suffix('*').unwrap_or(name);
    name.is_empty() || name.contains('*')
}

fn is_plain(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// The place of the longest part of a path that is there.
fn span_of(table: &DeTable<'_>, path: &[&str]) -> std::ops::Range<usize> {
    let mut span = 0..0;
    let mut at: Option<&DeValue<'_>> = None;
    for step in path {
        let next = match at {
            None => table.get(*step),
            Some(DeValue::Table(table)) => table.get(*step),
            Some(DeValue::Array(items)) => {
                step.parse().ok().and_then(|index: usize| items.get(index))
            }
            Some(_) => None,
        };
        let Some(next) = next else { break };
        span = next.span();
        at = Some(next.get_ref());
    }
    span
}
