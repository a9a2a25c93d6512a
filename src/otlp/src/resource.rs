//! The resource: what is said once of the sender, in the words of OpenTelemetry's semantic
//! conventions. Encoded once per upload setting; every request starts with it.
//!
//! # Invariants
//! - The host's name is there only when the caller gives it, which only
//!   `AllowDeviceNameInTelemetry` lets it do.
//! - A fact that the host does not tell is absent.

use opentelemetry_proto::tonic::resource::v1;
use prost::Message;

use crate::encode::text;
use crate::keys;

/// Facts about the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `service.instance.id`: the random id of the installation; absent before the store exists.
    pub install_id: Option<String>,
    /// `service.version`: version of the agent.
    pub version: String,
    /// `os.type`, as [`os_type`] spells it.
    pub os_type: String,
    /// `os.name`, for example `Debian GNU/Linux`.
    pub os_name: Option<String>,
    /// `os.version`, for example `12`.
    pub os_version: Option<String>,
    /// `os.build_id`, for example `22631.4460`.
    pub os_build_id: Option<String>,
    /// `host.arch`, as [`arch`] spells it.
    pub host_arch: String,
    /// `host.name`: only with the owner's consent.
    pub host_name: Option<String>,
}

impl Resource {
    /// What the program knows of itself: version, kind of system and architecture.
    #[must_use]
    pub fn here(install_id: Option<String>, version: &str) -> Self {
        Self {
            install_id,
            version: version.to_owned(),
            os_type: os_type(std::env::consts::OS).to_owned(),
            host_arch: arch(std::env::consts::ARCH).to_owned(),
            ..Self::default()
        }
    }

    /// The bytes of the `Resource` message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let optional = |key, value: &Option<String>| value.as_deref().map(|v| text(key, v));
        let attributes = [
            Some(text("service.name", "candor")),
            Some(text("service.version", &self.version)),
            optional(keys::INSTALL_ID, &self.install_id),
            Some(text("os.type", &self.os_type)),
            optional("os.name", &self.os_name),
            optional("os.version", &self.os_version),
            optional("os.build_id", &self.os_build_id),
            Some(text("host.arch", &self.host_arch)),
            optional("host.name", &self.host_name),
        ];
        v1::Resource {
            attributes: attributes.into_iter().flatten().collect(),
            ..v1::Resource::default()
        }
        .encode_to_vec()
    }
}

/// The semantic conventions' `os.type` for Rust's name of a system; other names stay as they are,
/// which the conventions allow.
#[must_use]
pub fn os_type(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

/// The semantic conventions' `host.arch` for Rust's name of an architecture; other names stay as
/// they are, which the conventions allow.
#[must_use]
pub fn arch(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}
