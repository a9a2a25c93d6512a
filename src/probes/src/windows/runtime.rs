//! Which of the installed programs are parts that other programs stand on: runtimes, by the names under which
//! they register themselves. Only text to facts: the same everywhere.
//!
//! # Invariants
//! - A name that is not in the table is not told: what else is installed is nobody's business at level 1.

/// How a runtime's entry begins, and the runtime. The more special beginning stands first.
const RUNTIMES: [(&str, &str); 9] = [
    ("Microsoft Visual C++ 2015-2022 Redistributable (x64)", "visual_cpp_2015_x64"),
    ("Microsoft Visual C++ 2015-2022 Redistributable (x86)", "visual_cpp_2015_x86"),
    ("Microsoft Visual C++ 2013 Redistributable (x64)", "visual_cpp_2013_x64"),
    ("Microsoft Visual C++ 2013 Redistributable (x86)", "visual_cpp_2013_x86"),
    ("Microsoft ASP.NET Core", "aspnet_core"),
    ("Microsoft Windows Desktop Runtime", "dotnet_desktop"),
    ("Microsoft .NET Runtime", "dotnet"),
    ("Microsoft Edge WebView2 Runtime", "webview2"),
    ("Windows Subsystem for Linux", "wsl"),
];

/// The runtime of an entry's display name and publisher.
pub(super) fn named(display: &str, publisher: &str) -> Option<&'static str> {
    let is_microsoft = publisher.starts_with("Microsoft Corporation");
    let mut found = RUNTIMES.into_iter().filter(|(start, _)| display.starts_with(start));
    found.next().map(|(_, name)| name).filter(|_| is_microsoft)
}

/// .NET Framework by its release number, of which each version states the least (Microsoft's table).
pub(super) fn dotnet_framework(release: u32) -> Option<&'static str> {
    Some(match release {
        533_320.. => "4.8.1",
        528_040.. => "4.8",
        461_808.. => "4.7.2",
        461_308.. => "4.7.1",
        460_798.. => "4.7",
        394_802.. => "4.6.2",
        394_254.. => "4.6.1",
        393_295.. => "4.6",
        378_389.. => "4.5",
        _ => return None,
    })
}

/// Whether the program of a service or driver came with Windows, by the path in its registration: nobody but
/// the system's own installer writes to these directories.
pub(crate) fn is_systems_own(image: &str, windows: &str) -> bool {
    let image = image.trim_start_matches(['"', '\\', '?']).to_ascii_lowercase();
    let windows = windows.trim_end_matches('\\').to_ascii_lowercase();
    let path = ["%systemroot%", "%windir%", "systemroot", &windows]
        .into_iter()
        .find_map(|root| image.strip_prefix(root))
        .map_or(image.as_str(), |rest| rest.trim_start_matches('\\'));
    let is_relative = !path.contains(':') && !path.starts_with('%');
    is_relative
        && ["system32\\", "syswow64\\", "servicing\\"].iter().any(|dir| path.starts_with(dir))
}

/// The file of a driver, from its registration; without one it lies where Windows looks by itself. `None`
/// for a path of another form.
pub(super) fn driver_file(image: Option<&str>, name: &str, windows: &str) -> Option<String> {
    let windows = windows.trim_end_matches('\\');
    let Some(image) = image.map(str::trim).filter(|image| !image.is_empty()) else {
        return Some(format!(r"{windows}\System32\drivers\{name}.sys"));
    };
    let image = image.strip_prefix(r"\??\").unwrap_or(image);
    let lower = image.to_ascii_lowercase();
    for root in [r"\systemroot\", r"%systemroot%\", r"%windir%\"] {
        if lower.starts_with(root) {
            return Some(format!(r"{windows}\{}", image.get(root.len()..)?));
        }
    }
    if lower.get(1..).is_some_and(|rest| rest.starts_with(r":\")) {
        return Some(image.to_owned());
    }
    let is_relative = !image.contains([':', '%', '"']) && !image.starts_with('\\');
    is_relative.then(|| format!(r"{windows}\{image}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_known_by_name_and_maker() {
        let maker = "Microsoft Corporation";
        let name = "Microsoft Visual C++ 2015-2022 Redistributable (x64) - 14.38.33130";
        assert_eq!(named(name, maker), Some("visual_cpp_2015_x64"));
        assert_eq!(named("Microsoft .NET Runtime - 8.0.1 (x64)", maker), Some("dotnet"));
        assert_eq!(named("Microsoft .NET Runtime - 8.0.1 (x64)", "Somebody"), None);
        for other in ["Acme Payroll 3", "Microsoft Office", ""] {
            assert_eq!(named(other, maker), None, "{other}");
        }
    }

    #[test]
    fn a_framework_between_two_numbers_is_the_earlier_version() {
        assert_eq!(dotnet_framework(528_372), Some("4.8"));
        assert_eq!(dotnet_framework(533_325), Some("4.8.1"));
        assert_eq!(dotnet_framework(1), None);
    }

    #[test]
    fn what_lies_elsewhere_did_not_come_with_windows() {
        for own in [
            r"%SystemRoot%\system32\svchost.exe -k netsvcs -p",
            r"C:\WINDOWS\System32\spoolsv.exe",
            r"\SystemRoot\System32\drivers\tcpip.sys",
            r"System32\drivers\disk.sys",
            r#""C:\Windows\system32\x.exe" -a"#,
            r"\??\C:\Windows\System32\drivers\x.sys",
        ] {
            assert!(is_systems_own(own, r"C:\Windows"), "{own}");
        }
        for other in [
            r"C:\Program Files\Acme\acme.exe",
            r"%ProgramFiles%\x\system32\y.exe",
            r"D:\Windows\System32\x.exe",
            r"C:\Windows\Temp\x.exe",
            "",
        ] {
            assert!(!is_systems_own(other, r"C:\Windows"), "{other}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "windows/runtime::named",
            Says::Stands,
            &["Microsoft .NET Runtime - 8.0.1 (x64)"],
            |name| named(name, "Microsoft Corporation").is_some(),
        );
        text(
            "windows/runtime::is_systems_own",
            Says::Stands,
            &["\\\\SystemRoot\\\\System32\\\\drivers\\\\x.sys"],
            |image| is_systems_own(image, "C:\\Windows"),
        );
        text(
            "windows/runtime::driver_file",
            Says::Derived("a relative path lies below the system's own directory"),
            &[r"\SystemRoot\System32\drivers\x.sys", r"System32\drivers\x.sys", r"\??\D:\x.sys"],
            |image| driver_file(Some(image), "x", "W").filter(|_| !image.trim().is_empty()),
        );
    }

    #[test]
    fn the_file_of_a_driver_is_found_in_every_form_of_registration() {
        let file = |image| driver_file(image, "acme", r"C:\Windows\");
        let expected = Some(r"C:\Windows\System32\drivers\acme.sys".to_owned());
        for image in [
            None,
            Some(""),
            Some(r"System32\drivers\acme.sys"),
            Some(r"\SystemRoot\System32\drivers\acme.sys"),
            Some(r"%SystemRoot%\System32\drivers\acme.sys"),
            Some(r"\??\C:\Windows\System32\drivers\acme.sys"),
        ] {
            assert_eq!(file(image), expected, "{image:?}");
        }
        let elsewhere = Some(r"D:\x\acme.sys".to_owned());
        assert_eq!(file(Some(r"\??\D:\x\acme.sys")), elsewhere);
        for odd in [
            r"\Device\HarddiskVolume1\x.sys",
            r"\\server\x.sys",
            r"%ProgramFiles%\x.sys",
            "\u{e4}:",
        ] {
            assert_eq!(file(Some(odd)), None, "{odd}");
        }
    }
}
