//! Capabilities of the calling thread, by capget(2) and capset(2); the Linux half of `privilege`.
//!
//! # Invariants
//! - The permitted set is never changed: what sleeps can be woken, what is missing cannot be had.
//! - A user id of 0 owns the system's files anyway, and is left alone.
//!
//! On failure: the thread's rights stay as they were.
#![expect(unsafe_code, reason = "nix has no capabilities")]

use nix::libc;
use nix::unistd::geteuid;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`: 64 bits in two words.
const VERSION: u32 = 0x2008_0522;

/// `CAP_DAC_READ_SEARCH` of `linux/capability.h`: to read and enter what other users own.
const DAC_READ_SEARCH: u32 = 1 << 2;

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: libc::c_int,
}

/// One word of each set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The sets of a thread.
pub(super) type Rights = [Word; 2];

pub(super) fn lower() {
    if geteuid().is_root() {
        return;
    }
    if let Some(rights) = get() {
        set(&rights.map(|word| Word { effective: 0, ..word }));
    }
}

/// What was awake before, where something was woken.
pub(super) fn raise_to_read() -> Option<Rights> {
    let before = get()?;
    let [low, high] = before;
    let woken = Word { effective: low.effective | (low.permitted & DAC_READ_SEARCH), ..low };
    (woken != low && set(&[woken, high])).then_some(before)
}

fn get() -> Option<Rights> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut rights = Rights::default();
    // SAFETY: version 3 reads one header and writes two words, which is what we hand over.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, rights.as_mut_ptr()) };
    (answer == 0).then_some(rights)
}

/// Whether the kernel took it.
pub(super) fn set(rights: &Rights) -> bool {
    let mut header = Header { version: VERSION, pid: 0 };
    // SAFETY: version 3 reads one header and two words, which is what we hand over.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, rights.as_ptr()) };
    answer == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::raise_to_read as raised;

    fn effective() -> u32 {
        get().unwrap()[0].effective
    }

    #[test]
    fn the_right_wakes_for_a_moment_and_only_where_it_was_given() {
        // Rights are a thread's own, and so is this test's.
        std::thread::spawn(|| {
            let [mut low, high] = get().unwrap();
            low.effective = 0;
            assert!(set(&[low, high]));
            {
                let _raised = raised();
                assert_eq!(effective(), low.permitted & DAC_READ_SEARCH);
                let _again = raised();
            }
            assert_eq!(effective(), 0, "asleep again");
            assert!(set(&[Word::default(), Word::default()]));
            let _raised = raised();
            assert_eq!(effective(), 0, "nothing is gained");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn other_threads_sleep_on_while_one_is_awake() {
        std::thread::spawn(|| {
            let [mut low, high] = get().unwrap();
            low.effective = 0;
            assert!(set(&[low, high]));
            let _raised = raised();
            let other = std::thread::scope(|scope| {
                let waker = scope.spawn(|| {
                    assert!(set(&[low, high]));
                    effective()
                });
                waker.join().unwrap()
            });
            assert_eq!(other, 0);
            assert_eq!(effective(), low.permitted & DAC_READ_SEARCH);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_others_own_is_readable_only_while_awake() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can play another user");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&file, mode).unwrap();
        std::thread::spawn(move || {
            let [mut low, high] = get().unwrap();
            low.effective = 0;
            assert!(set(&[low, high]));
            assert!(std::fs::read(&file).is_err());
            {
                let _raised = raised();
                assert_eq!(std::fs::read(&file).unwrap(), b"x");
            }
            assert!(std::fs::read(&file).is_err());
        })
        .join()
        .unwrap();
    }
}
