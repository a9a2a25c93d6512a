//! Finds paths in home directories: the whole path, since file names of a person tell as much as
//! the directory's name.

use std::ops::Range;

/// What a home path begins with; compared without case, `\` and `/` alike.
const ROOTS: [&str; 4] = ["/home/", "/users/", "/documents and settings/", "/root"];

pub(super) fn paths(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(['/', '\\']) {
        let free_from = found.last().map_or(0, |last| last.end);
        if at < free_from {
            continue;
        }
        let Some(root) = ROOTS.iter().find(|root| begins(&text[at..], root)) else { continue };
        let after = at + root.len();
        let rest = &text[after..];
        if *root == "/root" && (!is_start(&text[..at]) || rest.starts_with(is_name)) {
            continue;
        }
        let end = after + tail(rest, &text[..at]);
        found.push(drive(&text[..at]).max(free_from)..end);
    }
    found
}

/// Whether `text` begins with `root`, without regard to case and to the kind of separator.
fn begins(text: &str, root: &str) -> bool {
    text.len() >= root.len()
        && text.bytes().zip(root.bytes()).all(|(byte, wanted)| match byte {
            b'\\' => wanted == b'/',
            _ => byte.eq_ignore_ascii_case(&wanted),
        })
}

/// `/root` is a home directory only at the start of a path.
fn is_start(before: &str) -> bool {
    !before.ends_with(|c: char| is_name(c) || matches!(c, '/' | '\\'))
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

/// Start of the path: with its drive, where there is one.
fn drive(before: &str) -> usize {
    let mut letters = before.chars().rev();
    match (letters.next(), letters.next()) {
        (Some(':'), Some(drive)) if drive.is_ascii_alphabetic() => before.len() - 2,
        _ => before.len(),
    }
}

/// Length of the rest of the path. Inside quotes it runs to the closing quote; else a component
/// may hold blanks only when a separator follows it (`Alice Smith\file`); a separator after a blank
/// begins the next path.
fn tail(rest: &str, before: &str) -> usize {
    let quote = before.chars().rev().find(|c| !c.is_ascii_alphabetic() && *c != ':');
    if let Some(quote @ ('"' | '\'' | '`')) = quote
        && let Some(end) = rest.find([quote, '\r', '\n'])
    {
        return end;
    }
    let begins_next = |at: usize| rest[at + 1..].starts_with(['/', '\\']);
    let ends = |(at, letter): &(usize, char)| {
        ends_path(*letter) || (matches!(letter, ' ' | '\t') && begins_next(*at))
    };
    let whole = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
    let last = rest[..whole].rfind(['/', '\\']).map_or(0, |at| at + 1);
    last + rest[last..whole].find(char::is_whitespace).unwrap_or(whole - last)
}

/// Brackets and commas are not among them: file names have them.
fn ends_path(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '`' | '<' | '>' | '|' | '*' | '?' | ':' | ';' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        paths(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn the_whole_path_under_a_home_is_found_on_both_systems() {
        assert_eq!(found("open /home/al/tax.pdf: denied"), ["/home/al/tax.pdf"]);
        assert_eq!(found("'/home/al/My Files/a' x"), ["/home/al/My Files/a"]);
        assert_eq!(found(r"at C:\Users\Al Smith\a.txt now"), [r"C:\Users\Al Smith\a.txt"]);
        assert_eq!(found(r"c:/users/al, d:\USERS\bo"), ["c:/users/al,", r"d:\USERS\bo"]);
        assert_eq!(found("/var/home/al: (/Users/bo (x)/y z"), ["/home/al", "/Users/bo (x)/y"]);
        assert_eq!(found("cp /home/al/x /etc/x by hand"), ["/home/al/x"]);
        assert_eq!(found("cd /root; ls /root/.ssh"), ["/root", "/root/.ssh"]);
    }

    #[test]
    fn a_path_that_begins_where_another_ends_is_found_without_overlap() {
        assert_eq!(found(r"/home/C:\Users\"), ["/home/C", r":\Users\"]);
    }

    #[test]
    fn other_paths_are_left() {
        assert_eq!(found("/sysroot /mnt/root/x /rootfs /root-dir /usr/lib /homes/a"), [""; 0]);
    }
}
