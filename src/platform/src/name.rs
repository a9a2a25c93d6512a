//! The host's own name. It leaves only where `AllowDeviceNameInTelemetry` allows it, and that is for
//! its reader to decide.
//!
//! On failure: `None`.

/// The name that the host calls itself by, without a domain.
#[must_use]
pub fn host_name() -> Option<String> {
    let name = imp::host_name()?;
    let name = name.split('.').next().unwrap_or_default().trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(unix)]
mod imp {
    pub(super) fn host_name() -> Option<String> {
        nix::unistd::gethostname().ok()?.into_string().ok()
    }
}

/// Every process on Windows is given it by the system.
#[cfg(windows)]
mod imp {
    pub(super) fn host_name() -> Option<String> {
        std::env::var("COMPUTERNAME").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_without_a_domain() {
        let name = host_name().unwrap();
        assert!(!name.is_empty() && !name.contains('.'), "{name}");
    }
}
