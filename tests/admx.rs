//! Group Policy's templates, made from the key table that the agent itself reads by. `CANDOR_WRITE_DOCS=1`
//! writes them anew; without it they are compared, so that a key cannot be missing from them.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use candor_policy::{Key, Scope};

const REGISTRY_KEY: &str = r"SOFTWARE\Policies\Microsoft\Windows\DataCollection";
const NAMESPACE: &str = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions";
const LEVELS: [&str; 4] = ["0 - Security", "1 - Basic", "2 - Enhanced", "3 - Full"];

/// How a key's value is edited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Editor {
    Level,
    Switch,
    Text,
    List,
}

fn editor(key: Key) -> Editor {
    match key.type_name() {
        "a number from 0 to 3" => Editor::Level,
        "the number 0 or 1" => Editor::Switch,
        list if list.starts_with("a list") => Editor::List,
        _ => Editor::Text,
    }
}

/// What a policy may state: everything but what `agentctl` keeps for itself.
fn keys() -> impl Iterator<Item = Key> {
    Key::ALL.iter().copied().filter(|key| key.scope() != Scope::Operator)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn admx() -> String {
    let mut text = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<!-- Made from the key table of the agent by tests/admx.rs; do not edit by hand. -->
<policyDefinitions xmlns="{NAMESPACE}" revision="1.0" schemaVersion="1.0">
  <policyNamespaces>
    <target prefix="candor" namespace="Candor.Policies.DataCollection" />
  </policyNamespaces>
  <resources minRequiredRevision="1.0" />
  <supportedOn>
    <definitions>
      <definition name="SUPPORTED_Candor" displayName="$(string.SUPPORTED_Candor)" />
    </definitions>
  </supportedOn>
  <categories>
    <category name="Candor" displayName="$(string.Candor)" />
  </categories>
  <policies>
"#
    );
    for key in keys() {
        let name = key.name();
        let editor = editor(key);
        let presentation = if editor == Editor::Switch {
            String::new()
        } else {
            format!(" presentation=\"$(presentation.{name})\"")
        };
        let value =
            if editor == Editor::Switch { format!(" valueName=\"{name}\"") } else { String::new() };
        let _ = writeln!(
            text,
            "    <policy name=\"{name}\" class=\"Machine\" displayName=\"$(string.{name})\" explainText=\"$(string.{name}_Help)\"{presentation} key=\"{REGISTRY_KEY}\"{value}>\n      <parentCategory ref=\"Candor\" />\n      <supportedOn ref=\"SUPPORTED_Candor\" />"
        );
        text.push_str(&values(name, editor));
        text.push_str("    </policy>\n");
    }
    text + "  </policies>\n</policyDefinitions>\n"
}

fn values(name: &str, editor: Editor) -> String {
    let mut text = String::new();
    match editor {
        Editor::Switch => {
            text.push_str(
                "      <enabledValue>\n        <decimal value=\"1\" />\n      </enabledValue>\n",
            );
            text.push_str(
                "      <disabledValue>\n        <decimal value=\"0\" />\n      </disabledValue>\n",
            );
        }
        Editor::Level => {
            let _ = writeln!(
                text,
                "      <elements>\n        <enum id=\"{name}\" valueName=\"{name}\" required=\"true\">"
            );
            for level in 0..LEVELS.len() {
                let _ = writeln!(
                    text,
                    "          <item displayName=\"$(string.Level{level})\">\n            <value>\n              <decimal value=\"{level}\" />\n            </value>\n          </item>"
                );
            }
            text.push_str("        </enum>\n      </elements>\n");
        }
        Editor::Text => {
            let _ = writeln!(
                text,
                "      <elements>\n        <text id=\"{name}\" valueName=\"{name}\" required=\"true\" />\n      </elements>"
            );
        }
        Editor::List => {
            let _ = writeln!(
                text,
                "      <elements>\n        <multiText id=\"{name}\" valueName=\"{name}\" required=\"true\" />\n      </elements>"
            );
        }
    }
    text
}

fn adml() -> String {
    let mut strings = String::from(
        "      <string id=\"Candor\">Candor telemetry</string>\n      <string id=\"SUPPORTED_Candor\">Candor 0.1 and later</string>\n",
    );
    for (level, name) in LEVELS.iter().enumerate() {
        let _ = writeln!(strings, "      <string id=\"Level{level}\">{name}</string>");
    }
    let mut presentations = String::new();
    for key in keys() {
        let (name, help) = (key.name(), escaped(key.meaning()));
        let write = escaped(key.type_name());
        let _ = writeln!(strings, "      <string id=\"{name}\">{name}</string>");
        let _ = writeln!(
            strings,
            "      <string id=\"{name}_Help\">{help} The value is {write}. It counts in {}.</string>",
            key.scope().place()
        );
        let control = match editor(key) {
            Editor::Switch => continue,
            Editor::Level => format!(
                "<dropdownList refId=\"{name}\" noSort=\"true\" defaultItem=\"2\">{name}</dropdownList>"
            ),
            Editor::Text => format!(
                "<textBox refId=\"{name}\">\n          <label>{name}</label>\n        </textBox>"
            ),
            Editor::List => format!("<multiTextBox refId=\"{name}\" />"),
        };
        let _ = writeln!(
            presentations,
            "      <presentation id=\"{name}\">\n        {control}\n      </presentation>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<!-- Made from the key table of the agent by tests/admx.rs; do not edit by hand. -->
<policyDefinitionResources xmlns="{NAMESPACE}" revision="1.0" schemaVersion="1.0">
  <displayName>Candor</displayName>
  <description>What the Candor agent may tell, and to whom.</description>
  <resources>
    <stringTable>
{strings}    </stringTable>
    <presentationTable>
{presentations}    </presentationTable>
  </resources>
</policyDefinitionResources>
"#
    )
}

fn compare(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if env::var_os("CANDOR_WRITE_DOCS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, made).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == made,
        "{path} is not what the key table says"
    );
}

#[test]
fn the_templates_are_those_of_the_key_table() {
    compare("policy/admx/Candor.admx", &admx());
    compare("policy/admx/en-US/Candor.adml", &adml());
}

/// Every `$(string.X)` and `$(presentation.X)` of the template is in the language file, and nothing else is.
#[test]
fn the_language_file_has_each_word_that_the_template_uses_and_no_other() {
    let (template, language) = (admx(), adml());
    for (kind, tag) in [("string", "string"), ("presentation", "presentation")] {
        let used = between(&template, &format!("$({kind}."), ")");
        let defined = between(&language, &format!("<{tag} id=\""), "\"");
        assert!(!used.is_empty() && used == defined, "{kind}: {used:?} {defined:?}");
    }
}

fn between(text: &str, start: &str, end: &str) -> std::collections::BTreeSet<String> {
    text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).map(str::to_owned).collect()
}
