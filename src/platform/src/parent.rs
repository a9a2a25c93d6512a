//! The program that started this one: what a command that runs on its behalf must know of it.
//!
//! On failure: nothing is known of it.

/// The arguments of the program that started this one, its name first; empty where the system does not
/// tell.
#[must_use]
pub fn parent_arguments() -> Vec<String> {
    imp::parent_arguments()
}

#[cfg(target_os = "linux")]
mod imp {
    pub(super) fn parent_arguments() -> Vec<String> {
        let path = format!("/proc/{}/cmdline", std::os::unix::process::parent_id());
        let line = std::fs::read(path).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn parent_arguments() -> Vec<String> {
        Vec::new()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_started_this_one_has_a_name() {
        let own = std::os::unix::process::parent_id();
        let is_told = std::path::Path::new("/proc").join(own.to_string()).exists();
        assert_eq!(!parent_arguments().is_empty(), is_told);
    }
}
