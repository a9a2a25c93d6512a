//! The JSON Schema of a manifest, from the very types that read it: `docs/provider-manifest.schema.json`.
//!
//! On failure: the test says how to write the file anew.

use std::path::Path;

use schemars::generate::SchemaSettings;

use super::Manifest;

const FILE: &str = "../../docs/provider-manifest.schema.json";

fn schema() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Manifest>();
    schema.insert("title".into(), "A provider's manifest for Candor".into());
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("CANDOR_WRITE_DOCS").is_some() {
        std::fs::write(&file, schema()).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        published == schema(),
        "write it anew: CANDOR_WRITE_DOCS=1 cargo test -p candor-providers schema"
    );
}

#[test]
fn the_schema_names_every_key_of_a_shipped_manifest() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let keys = schema["properties"].as_object().unwrap();
    for (name, text) in crate::SHIPPED {
        let manifest: toml::Table = text.parse().unwrap();
        for key in manifest.keys() {
            assert!(keys.contains_key(key), "{name}: {key}");
        }
    }
    assert_eq!(schema["additionalProperties"], false);
}
