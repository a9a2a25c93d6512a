//! Which names of a table are followed. The answer needs a look into `/sys`; it is asked once for
//! each name and remembered while the name stands in the table.
//!
//! # Invariants
//! - At most [`MAX_NAMES`] names are remembered; of more, the later ones are not followed and not
//!   asked about, so that a host with a thousand containers costs no thousand system calls a round.
//!
//! Nothing here fails.

use crate::name::Name;

/// The most names remembered.
const MAX_NAMES: usize = 128;

/// The names of one table.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    is_followed: bool,
    is_seen: bool,
}

impl Roster {
    /// Before a round.
    pub(crate) fn begin(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_seen = false);
    }

    /// Whether a name is followed; `ask` is called when it is new.
    pub(crate) fn follows(&mut self, name: Name, ask: impl FnOnce(&str) -> bool) -> bool {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            entry.is_seen = true;
            return entry.is_followed;
        }
        if self.entries.len() >= MAX_NAMES {
            return false;
        }
        let is_followed = ask(name.as_str());
        self.entries.push(Entry { name, is_followed, is_seen: true });
        is_followed
    }

    /// After a round: a name that was not in it is asked about anew when it comes back.
    pub(crate) fn finish(&mut self) {
        self.entries.retain(|entry| entry.is_seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_about_once_and_again_after_it_was_gone() {
        let mut roster = Roster::default();
        let name = Name::new(b"sda").unwrap();
        let mut asked = 0;
        for is_there in [true, true, false, true] {
            roster.begin();
            if is_there {
                assert!(roster.follows(name, |_| {
                    asked += 1;
                    true
                }));
            }
            roster.finish();
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn names_beyond_the_bound_are_neither_asked_about_nor_followed() {
        let mut roster = Roster::default();
        let mut asked = 0;
        for number in 0..1000 {
            let name = Name::new(format!("veth{number}").as_bytes()).unwrap();
            roster.follows(name, |_| {
                asked += 1;
                true
            });
        }
        assert_eq!(asked, MAX_NAMES);
    }
}
