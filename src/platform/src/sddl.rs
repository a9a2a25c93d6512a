//! The security descriptors that we give to what we make on Windows, as text. Plain text, so it is
//! tested on every system.
//!
//! # Invariants
//! - SYSTEM and Administrators have everything; the list is protected, so nothing is inherited.
//! - An ordinary user may connect to the pipe but make no further instance of it: with that right
//!   he could answer in the daemon's name.
//!
//! On failure: nothing here fails; a wrong text is refused when it is parsed.

/// What a client asks for when it opens the pipe: read and write data, attributes, the descriptor,
/// and wait. It is generic read and write without `FILE_CREATE_PIPE_INSTANCE` (4).
pub(crate) const CONNECT: u32 = 0x0012_019b;

/// The pipe: whoever is logged on may connect; the server decides by role.
pub(crate) fn pipe(own: Option<&str>) -> String {
    format!("D:P(A;;GA;;;SY)(A;;GA;;;BA){}(A;;{CONNECT:#x};;;AU)", entry("", own))
}

/// The state directory and all that will be in it.
pub(crate) fn private_dir(own: Option<&str>) -> String {
    format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){}", entry("OICI", own))
}

/// The user who runs us, where he is known: he need not be an administrator.
fn entry(flags: &str, own: Option<&str>) -> String {
    let right = if flags.is_empty() { "GA" } else { "FA" };
    own.map_or_else(String::new, |sid| format!("(A;{flags};{right};;;{sid})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_may_connect_but_make_no_instance() {
        assert_eq!(pipe(None), "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x12019b;;;AU)");
        assert_eq!(CONNECT & 4, 0, "FILE_CREATE_PIPE_INSTANCE");
        assert_eq!(CONNECT & 3, 3, "read and write");
    }

    #[test]
    fn a_private_directory_names_nobody_but_the_system_administrators_and_us() {
        assert_eq!(
            private_dir(Some("S-1-5-21-7")),
            "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-5-21-7)"
        );
    }
}
