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

/// `NT SERVICE\candor`, the virtual account that the service runs as. The five numbers are the SHA-1 of the
/// service's name in upper case and UTF-16, as for every virtual account.
pub(crate) const SERVICE: &str = "S-1-5-80-2879994920-1618746621-4088633959-324463231-2958391919";

/// The pipe: whoever is logged on may connect; the server decides by role. Its owner is named, since that is
/// what a client knows the agent by: one administrator is as good as another, an ordinary user is himself.
pub(crate) fn pipe(own: Option<&str>, is_administrator: bool) -> String {
    let owner = if is_administrator { Some("BA") } else { own };
    let owner = owner.map_or_else(String::new, |owner| format!("O:{owner}"));
    format!("{owner}D:P(A;;GA;;;SY)(A;;GA;;;BA){}(A;;{CONNECT:#x};;;AU)", entry("", own))
}

/// The state directory and all that will be in it. Whoever makes it, the service must be able to use it.
pub(crate) fn private_dir(own: Option<&str>) -> String {
    let own = own.filter(|sid| *sid != SERVICE);
    format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{SERVICE}){}", entry("OICI", own))
}

/// The directory of the configuration, in which the private ones lie: everybody reads, the service too.
pub(crate) fn shared_dir() -> String {
    format!(
        "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;{SERVICE})(A;OICI;0x1200a9;;;BU)"
    )
}

/// The registry key of the operator's setting: the service writes what an administrator asked it for.
pub(crate) fn settings_key() -> String {
    format!("D:P(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KA;;;{SERVICE})(A;CI;KR;;;BU)")
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
        assert_eq!(pipe(None, false), "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x12019b;;;AU)");
        assert_eq!(CONNECT & 4, 0, "FILE_CREATE_PIPE_INSTANCE");
        assert_eq!(CONNECT & 3, 3, "read and write");
    }

    #[test]
    fn a_pipe_says_whose_it_is() {
        assert!(pipe(Some("S-1-5-21-7"), true).starts_with("O:BAD:P("));
        assert!(pipe(Some(SERVICE), false).starts_with(&format!("O:{SERVICE}D:P(")));
    }

    #[test]
    fn a_private_directory_names_nobody_but_the_system_administrators_the_service_and_us() {
        let list = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;";
        assert_eq!(
            private_dir(Some("S-1-5-21-7")),
            format!("{list}{SERVICE})(A;OICI;FA;;;S-1-5-21-7)")
        );
        assert_eq!(private_dir(Some(SERVICE)), format!("{list}{SERVICE})"), "named once");
    }

    #[test]
    fn ordinary_users_read_the_configuration_and_change_nothing() {
        for list in [shared_dir(), settings_key()] {
            let users = list.split('(').find(|entry| entry.ends_with(";BU)")).unwrap();
            let right = users.split(';').nth(2).unwrap();
            assert!(matches!(right, "0x1200a9" | "KR"), "{list}");
        }
        let service = format!("(A;CI;KA;;;{SERVICE})");
        assert!(settings_key().contains(&service), "what `set-level` asks the service to write");
        assert!(
            !shared_dir().contains(&format!("FA;;;{SERVICE}")),
            "its own configuration is not its"
        );
    }
}
