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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(resource: &Resource) -> Vec<String> {
        let resource = v1::Resource::decode(resource.encode().as_slice()).unwrap();
        resource.attributes.into_iter().map(|attribute| attribute.key).collect()
    }

    #[test]
    fn what_is_not_told_is_absent_and_the_rest_has_its_published_name() {
        let here = Resource::here(None, "1.2.3");
        assert_eq!(keys(&here), ["service.name", "service.version", "os.type", "host.arch"]);
        let told = || Some("x".to_owned());
        let all = Resource {
            install_id: told(),
            os_name: told(),
            os_version: told(),
            os_build_id: told(),
            host_name: told(),
            ..here
        };
        assert_eq!(
            keys(&all),
            [
                "service.name",
                "service.version",
                "service.instance.id",
                "os.type",
                "os.name",
                "os.version",
                "os.build_id",
                "host.arch",
                "host.name",
            ]
        );
    }

    #[test]
    fn architectures_and_systems_have_the_conventions_names() {
        let names = ["x86_64", "aarch64", "x86", "riscv64"].map(arch);
        assert_eq!(names, ["amd64", "arm64", "x86", "riscv64"]);
        assert_eq!(["linux", "windows", "macos"].map(os_type), ["linux", "windows", "darwin"]);
    }
}
