//! The fault lab: the spool on a disk of our making. A layer under `SQLite` records every write of
//! a scripted run; the disk is then rebuilt as a power cut after each of them would leave it, and
//! the script is run again with each write and each sync failing.
//!
//! An ordinary run takes a bounded choice; `CANDOR_LONG=1` takes everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cuts;
mod disk;
mod faults;
mod loss;
mod script;
mod vfs;

/// A directory in memory where there is such a place: what the lab calls synced is in its trace.
fn temp() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Of `all` things every one in a long run, else about `most` of them, spread evenly.
fn choice(all: usize, most: usize) -> impl Iterator<Item = usize> {
    let long = std::env::var_os("CANDOR_LONG").is_some();
    (0..all).step_by(if long { 1 } else { (all / most).max(1) })
}
