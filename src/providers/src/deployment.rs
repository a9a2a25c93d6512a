//! Names of module deployments, taken apart.
//!
//! ```text
//! 46d3xbcp.res.compute-virtualmachine.1-2-3.eum3
//! tool     kind module                version suffix
//!
//! pid-0f8fad5b-d9cb-469f-a165-70867728950e-partnercenter
//!     attribution_id
//! ```
//! A customer's attribution stands beside a module's deployment in the same template; it is another
//! party's id and is never mixed with ours.
//!
//! # Invariants
//! - Only names of exactly this form are understood; what somebody else called his deployment is
//!   customer data and gives nothing.

use crate::format::is_guid;

/// Prefix and tool.
const TOOLS: [(&str, &str); 2] = [("46d3xbcp", "bicep"), ("46d3xgtf", "terraform")];
/// Kinds of modules: resource, pattern, utility.
const KINDS: [&str; 3] = ["res", "ptn", "utl"];
/// Longest part of a name.
const MAX_PART: usize = 64;
/// The length of a GUID in text.
const GUID: usize = 36;

/// The parts of a deployment's name with the names of their fields.
pub(crate) fn parts(name: &str) -> Option<Vec<(&'static str, String)>> {
    attribution(name).or_else(|| module(name))
}

fn attribution(name: &str) -> Option<Vec<(&'static str, String)>> {
    let rest = name.strip_prefix("pid-")?;
    let (id, after) = rest.split_at_checked(GUID)?;
    let is_whole = is_guid(id) && (after.is_empty() || after.starts_with('-'));
    is_whole.then(|| vec![("attribution_id", id.to_ascii_lowercase())])
}

fn module(name: &str) -> Option<Vec<(&'static str, String)>> {
    let parts: Vec<&str> = name.split('.').collect();
    let [prefix, kind, module, version, suffix] = parts[..] else { return None };
    let (_, tool) = TOOLS.into_iter().find(|(known, _)| *known == prefix)?;
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    let is_version = |text: &str| {
        text.split('-').take(3).filter(|part| part.parse::<u32>().is_ok()).count() == 3
            && is_part(text)
    };
    let is_suffix = |text: &str| text.len() <= 8 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let fits = is_part(module) && is_version(version) && is_suffix(suffix) && !suffix.is_empty();
    fits.then(|| {
        vec![
            ("tool", tool.to_owned()),
            ("kind", kind.to_owned()),
            ("module", module.to_owned()),
            ("version", dotted(version)),
            ("suffix", suffix.to_owned()),
        ]
    })
}

fn is_part(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_PART).contains(&text.len()) && text.bytes().all(fits)
}

/// `1-2-3` is `1.2.3`; what follows the three numbers stays as it is.
fn dotted(version: &str) -> String {
    version.replacen('-', ".", 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str) -> Option<String> {
        let parts = parts(name)?;
        Some(
            parts.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
        )
    }

    #[test]
    fn a_modules_name_is_taken_apart() {
        for (name, expected) in [
            (
                "46d3xbcp.res.compute-virtualmachine.1-2-3.eum3",
                "tool=bicep kind=res module=compute-virtualmachine version=1.2.3 suffix=eum3",
            ),
            (
                "46d3xgtf.ptn.lz-sub-vending.0-10-0.a1b2",
                "tool=terraform kind=ptn module=lz-sub-vending version=0.10.0 suffix=a1b2",
            ),
            (
                "46d3xbcp.utl.types.0-1-0-preview.x",
                "tool=bicep kind=utl module=types version=0.1.0-preview suffix=x",
            ),
        ] {
            assert_eq!(said(name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_attribution_is_kept_apart() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let expected = format!("attribution_id={id}");
        assert_eq!(said(&format!("pid-{id}")), Some(expected.clone()));
        assert_eq!(said(&format!("pid-{}-partnercenter", id.to_uppercase())), Some(expected));
    }

    #[test]
    fn what_a_customer_called_his_deployment_gives_nothing() {
        for name in [
            "payroll-production",
            "46d3xbcp",
            "46d3xbcp.res.compute.1-2-3",
            "46d3xbcp.res.compute.1-2-3.eum3.more",
            "46d3xaaa.res.compute.1-2-3.eum3",
            "46d3xbcp.app.compute.1-2-3.eum3",
            "46d3xbcp.res.Alice@example.1-2-3.eum3",
            "46d3xbcp.res.compute.1-2.eum3",
            "46d3xbcp.res.compute.1-2-3.",
            "46d3xbcp.res.compute.1-2-3.a-secret-name",
            "pid-0f8fad5b",
            "pid-payroll-of-production-in-west-europe",
            "pid-0f8fad5b-d9cb-469f-a165-70867728950epayroll",
            "pid-\u{e9}0f8fad5b-d9cb-469f-a165-7086772895\u{e9}",
            "",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }
}
