//! The manifests that come with the agent, built in: they hold where the installation has no share
//! folder, as under `--root`.
//!
//! # Invariants
//! - Each is understood, and called as its file; a test says so.

/// Names and texts.
pub const SHIPPED: &[(&str, &str)] = &[
    ("application", include_str!("../shipped/application.toml")),
    ("cli", include_str!("../shipped/cli.toml")),
    ("deployment", include_str!("../shipped/deployment.toml")),
    ("image-builder", include_str!("../shipped/image-builder.toml")),
    ("prometheus", include_str!("../shipped/prometheus.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn every_shipped_manifest_is_understood_and_called_as_its_file() {
        for (name, text) in SHIPPED {
            let manifest = read(text, name).unwrap_or_else(|findings| unreachable!("{findings:?}"));
            assert_eq!(manifest.name, *name);
        }
    }
}
