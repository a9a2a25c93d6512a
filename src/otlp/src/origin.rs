//! Where a record comes from: the boot, and for a local program's record the program's own resource
//! and scope. Written by ingest into [`Draft::boot`](candor_model::Draft::boot), by which the spool
//! groups rows without understanding it; read when a request is put together.
//!
//! ```text
//! the agent's own record    boot
//! a program's record        boot LF base64(Resource) LF base64(InstrumentationScope)
//! ```
//!
//! # Invariants
//! - Records that share a row share boot, resource and scope.
//! - The program's resource names the host by [`keys::AGENT_ID`], and its scope the boot, so that
//!   what a program says can be joined with what its host says.
//! - A label that is damaged is read as the boot alone: its records go under the agent's resource.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1;
use prost::Message;

use crate::decode::decode_resource;
use crate::encode::text;
use crate::{DecodeError, ResourceAttributes, keys};

/// The finished messages of a program's resource and scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The bytes of a `Resource`.
    pub resource: Vec<u8>,
    /// The bytes of an `InstrumentationScope`.
    pub scope: Vec<u8>,
}

/// The host as a program's records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostIds<'a> {
    /// The random id of the installation.
    pub install_id: &'a str,
    /// The id of the boot.
    pub boot: &'a str,
}

/// What a program says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program<'a> {
    /// Attributes of its resource.
    pub resource: &'a [(String, String)],
    /// The name of the scope, empty where there is none.
    pub scope: &'a str,
    /// The version of the scope, empty where there is none.
    pub scope_version: &'a str,
}

impl Source {
    /// The messages of a program on a host.
    #[must_use]
    pub fn of(program: &Program<'_>, host: HostIds<'_>) -> Self {
        let mut attributes: Vec<_> =
            program.resource.iter().map(|(key, value)| text(key, value)).collect();
        attributes.push(text(keys::AGENT_ID, host.install_id));
        let resource = v1::Resource { attributes, ..v1::Resource::default() };
        let scope = InstrumentationScope {
            name: program.scope.to_owned(),
            version: program.scope_version.to_owned(),
            attributes: vec![text(keys::BOOT_ID, host.boot)],
            ..InstrumentationScope::default()
        };
        Self { resource: resource.encode_to_vec(), scope: scope.encode_to_vec() }
    }

    /// What the program says of itself, as attributes.
    ///
    /// # Errors
    /// When the bytes are no `Resource`.
    pub fn attributes(&self) -> Result<ResourceAttributes, DecodeError> {
        decode_resource(&self.resource)
    }

    /// The text by which the spool groups this program's records of a boot.
    #[must_use]
    pub fn label(&self, boot: &str) -> String {
        let [resource, scope] =
            [&self.resource, &self.scope].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        format!("{boot}\n{resource}\n{scope}")
    }
}

/// A grouping text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The id of the boot.
    pub boot: &'a str,
    /// The program, where it is a program's.
    pub source: Option<Source>,
}

impl<'a> Origin<'a> {
    /// Reads a grouping text.
    #[must_use]
    pub fn read(label: &'a str) -> Self {
        let mut parts = label.split('\n');
        let boot = parts.next().unwrap_or_default();
        let mut bytes = || parts.next().and_then(|text| STANDARD_NO_PAD.decode(text).ok());
        let source = bytes().zip(bytes()).map(|(resource, scope)| Source { resource, scope });
        Self { boot, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostIds<'_> = HostIds { install_id: "me", boot: "b1" };

    #[test]
    fn a_programs_label_reads_back_and_names_host_and_boot() {
        let resource = [("service.name".to_owned(), "shop".to_owned())];
        let program = Program { resource: &resource, scope: "http", scope_version: "1.2" };
        let source = Source::of(&program, HOST);
        let label = source.label("b1");
        assert_eq!(Origin::read(&label), Origin { boot: "b1", source: Some(source.clone()) });
        let told = source.attributes().unwrap();
        assert_eq!(told.iter().map(|(key, _)| key.as_str()).next(), Some("service.name"));
        let resource = v1::Resource::decode(source.resource.as_slice()).unwrap();
        assert_eq!(
            resource.attributes,
            [text("service.name", "shop"), text("candor.install_id", "me")]
        );
        let scope = InstrumentationScope::decode(source.scope.as_slice()).unwrap();
        assert_eq!((scope.name.as_str(), scope.version.as_str()), ("http", "1.2"));
        assert_eq!(scope.attributes, [text("candor.boot_id", "b1")]);
    }

    #[test]
    fn an_own_label_and_a_damaged_one_are_the_boot_alone() {
        for label in ["b1", "b1\n", "b1\nAAAA", "b1\n!\nAAAA", "b1\nAAAA\n!"] {
            assert_eq!(Origin::read(label), Origin { boot: "b1", source: None }, "{label:?}");
        }
        assert_eq!(Origin::read("").boot, "");
    }
}
