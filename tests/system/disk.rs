//! The real agent on a disk that fills up, on one that does not answer for a while, and on one that the
//! kernel makes read-only, as it does after an error (a `mount -o remount,ro` is refused while the agent has
//! its files open): it keeps running, delivers what it holds, counts what it could not keep, and recovers without a human.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use candor_tests::{Agent, Collector, Settings, eventually, need};
use serde_json::Value;

/// Runs a program of the host; whether it did what it was asked.
fn done(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A file system at a directory, taken away when this is dropped.
struct Mount(PathBuf);

impl Mount {
    /// Mounts it; `None` where this user may not.
    fn make(arguments: &[&str], dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mut all = arguments.to_vec();
        let place = dir.to_str().unwrap();
        all.push(place);
        done("mount", &all).then(|| Self(dir.to_owned()))
    }

    /// Writes on into a file until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        for size in [64 * 1024, 4096] {
            while file.write_all(&vec![0x5a; size]).is_ok() {}
        }
        path
    }
}

/// A file system that answers no write until this is dropped; what reads from memory goes on.
struct Frozen<'a>(&'a Mount);

impl<'a> Frozen<'a> {
    fn new(mount: &'a Mount) -> Self {
        assert!(done("fsfreeze", &["-f", mount.0.to_str().unwrap()]));
        Self(mount)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = done("fsfreeze", &["-u", self.0.0.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: in a failing test the agent may still have files open in it.
        let _ = done("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

fn count(status: &Value, key: &str) -> u64 {
    status["events"][key].as_u64().unwrap()
}

fn full(status: &Value) -> u64 {
    status["events"]["dropped_by_reason"]["spool_full"].as_u64().unwrap()
}

fn balanced(status: &Value) {
    let known = ["uploaded", "dropped", "pending"].map(|key| count(status, key));
    assert_eq!(count(status, "generated"), known.iter().sum::<u64>(), "{status}");
}

/// The collector has exactly what the agent says that it has.
fn agree(agent: &Agent, collector: &Collector) {
    let status = agent.status();
    balanced(&status);
    let records = collector.records();
    let mut numbers: Vec<u64> = records.iter().map(|r| r["seq"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), records.len(), "a record came twice");
    assert_eq!(numbers.len() as u64, count(&status, "uploaded"), "{status}");
    assert_eq!(count(&status, "generated") - count(&status, "dropped"), numbers.len() as u64);
}

fn settings(collector: &Collector) -> Settings {
    Settings::to(collector, 3).replace("200ms", "100ms").replace("500ms", "200ms")
}

#[test]
fn a_full_16_mib_file_system_stops_nothing_and_what_it_could_not_keep_is_counted() {
    let mut collector = Collector::prepare();
    let mut agent = Agent::prepare(&settings(&collector));
    let state = agent.root().join("var/lib/candor");
    let mount = Mount::make(&["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"], &state);
    if !need("root and mount", mount.is_some()) {
        return;
    }
    let mount = mount.unwrap();
    agent.run();
    eventually("records wait", || (count(&agent.status(), "pending") > 20).then_some(()));
    let filler = mount.fill();
    let before = agent.status();

    // No endpoint and no room: it goes on, and says what it costs.
    let status = eventually("losses are counted", || {
        let status = agent.status();
        (full(&status) > full(&before) + 20).then_some(status)
    });
    balanced(&status);
    assert!(count(&status, "pending") > 0, "{status}");

    // Still no room, but the collector is back: what it holds is delivered and taken out.
    collector.serve();
    eventually("delivery on the full disk", || {
        let now = agent.status();
        balanced(&now);
        (count(&now, "uploaded") >= count(&status, "pending")).then_some(())
    });
    assert!(agent.status()["upload"]["state"] == "ok", "{}", agent.log());

    // Room again, and nobody does anything.
    fs::remove_file(filler).unwrap();
    eventually("the reserve is back", || state.join("spool.reserve").exists().then_some(()));
    let status = agent.status();
    eventually("no loss any more", || {
        let now = agent.status();
        assert!(full(&now) <= full(&status) + 60, "it goes on losing: {now}");
        (count(&now, "generated") > count(&status, "generated") + 100).then_some(())
    });
    agent.settle();
    agree(&agent, &collector);
    // A start on a full disk is a start like another.
    let filler = mount.fill();
    assert!(agent.stop().success(), "{}", agent.log());
    agent.run();
    fs::remove_file(filler).unwrap();
    agent.settle();
    agree(&agent, &collector);
    agent.kill();
}

#[test]
fn a_journal_without_room_holds_up_nothing_and_says_what_it_lacks() {
    let collector = Collector::start();
    let mut agent = Agent::prepare(&settings(&collector));
    // A disk of its own: what waits elsewhere has room.
    let dir = agent.root().join("var/lib/candor/journal");
    let mount = Mount::make(&["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"], &dir);
    if !need("root and mount", mount.is_some()) {
        return;
    }
    let mount = mount.unwrap();
    agent.run();
    eventually("it delivers", || (count(&agent.status(), "uploaded") > 20).then_some(()));
    let filler = mount.fill();
    let status = eventually("the journal has no room", || {
        let status = agent.status();
        status["journal"]["trouble"].is_string().then_some(status)
    });
    let trouble = status["journal"]["trouble"].as_str().unwrap();
    assert!(trouble.contains("journal") && trouble.contains("space"), "{trouble}");
    assert!(agent.ctl(&["status"]).stdout.contains("what leaves cannot be written into it"));
    eventually("it goes on delivering", || {
        let now = agent.status();
        balanced(&now);
        (count(&now, "uploaded") > count(&status, "uploaded") + 20).then_some(())
    });
    assert_eq!(agent.ctl(&["audit"]).code, Some(0), "what is missing is no change");

    fs::remove_file(filler).unwrap();
    eventually("it is written again", || {
        agent.status()["journal"]["trouble"].is_null().then_some(())
    });
    agent.settle();
    let (audit, status) = (agent.ctl(&["audit", "--json"]), agent.status());
    assert_eq!(audit.code, Some(0), "{audit:?}");
    let (journal, holes) = (&audit.json()["journal"], &status["journal"]["holes"]);
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(number(holes) > 0 && journal["holes"] == *holes, "{journal} and {holes}");
    assert_eq!(number(&journal["entries"]) + number(holes), number(&journal["last"]), "{journal}");
    let (_, page) = agent.ask("GET", "/v1/journal?limit=500", "");
    let told = page["holes"].as_array().unwrap().iter();
    let told = told.map(|hole| number(&hole["last"]) - number(&hole["first"]) + 1).sum::<u64>();
    assert_eq!(told, number(holes), "{page}");
    agree(&agent, &collector);
    agent.kill();
}

#[test]
fn the_owner_switches_it_off_on_a_disk_without_a_free_block() {
    let mut agent = Agent::prepare(&Settings::level(2));
    let state = agent.root().join("var/lib/candor");
    let mount = Mount::make(&["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"], &state);
    if !need("root and mount", mount.is_some()) {
        return;
    }
    let mount = mount.unwrap();
    agent.run();
    let filler = mount.fill();
    let off = agent.ctl(&["disable"]);
    assert_eq!(off.code, Some(0), "{off:?}");
    assert_eq!(agent.status()["upload"]["state"], "off");
    let trail = fs::read_to_string(state.join("audit.log")).unwrap();
    assert!(trail.lines().last().is_some_and(|line| line.contains("\"upload\"")), "{trail}");
    assert_eq!(agent.ctl(&["enable"]).code, Some(0), "{}", agent.log());
    fs::remove_file(filler).unwrap();
    agent.kill();
}

#[test]
fn a_disk_that_does_not_answer_stops_nothing_and_what_lingers_is_in_the_loss_bound() {
    let collector = Collector::start();
    let mut agent = Agent::prepare(&settings(&collector));
    let state = agent.root().join("var/lib/candor");
    let Some(mount) = ext4(&agent, &state) else { return };
    agent.run();
    eventually("it delivers", || (count(&agent.status(), "uploaded") > 20).then_some(()));
    let frozen = Frozen::new(&mount);
    // It answers, commits nothing, and says what a power cut would cost: more and more.
    let bound = |status: &Value| status["spool"]["loss_bound"]["events"].as_u64().unwrap();
    let first = agent.status();
    let last = eventually("the loss bound grows", || {
        let status = agent.status();
        balanced(&status);
        let seconds = status["spool"]["loss_bound"]["seconds"].as_f64()?;
        (bound(&status) > bound(&first) + 20 && seconds > 6.0).then_some(status)
    });
    drop(frozen);
    eventually("what lingered is committed and sent", || {
        let sent = count(&agent.status(), "uploaded");
        (sent >= count(&last, "generated") + bound(&last)).then_some(())
    });
    agent.settle();
    agree(&agent, &collector);
    let status = agent.status();
    assert_eq!((count(&status, "dropped"), count(&status, "refused")), (0, 0), "{status}");
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
    agent.kill();
}

/// An ext4 file system of its own for an agent's state, that turns read-only at an error; `None` where
/// this user or this host has none.
fn ext4(agent: &Agent, state: &Path) -> Option<Mount> {
    let image = agent.path("image");
    File::create(&image).unwrap().set_len(32 << 20).unwrap();
    let image = image.to_str().unwrap();
    let made = done("mkfs.ext4", &["-q", "-F", "-e", "remount-ro", image]);
    let mount = Mount::make(&["-o", "loop,errors=remount-ro", image], state);
    let mount = mount.filter(|_| made);
    need("root, mount, mkfs.ext4 and a loop device", mount.is_some()).then_some(mount).flatten()
}

#[test]
fn a_file_system_that_turns_read_only_costs_what_comes_meanwhile_and_nothing_else() {
    let collector = Collector::start();
    let mut agent = Agent::prepare(&settings(&collector));
    let state = agent.root().join("var/lib/candor");
    let Some(mount) = ext4(&agent, &state) else { return };
    agent.run();
    eventually("it delivers", || (count(&agent.status(), "uploaded") > 20).then_some(()));
    // What the kernel does after an error of the disk.
    let device = device(&mount.0);
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    assert!(File::create(mount.0.join("probe")).is_err(), "the file system is read-only");
    let before = agent.status();
    balanced(&before);
    eventually("it says that it cannot write", || agent.log().contains("linger").then_some(()));
    let status = agent.status();
    balanced(&status);
    assert_eq!(count(&status, "generated"), count(&before, "generated"), "nothing is committed");

    // The disk is replaced, as it was, under the running agent.
    let saved = agent.root().join("saved");
    let (from, to) = (format!("{}/.", mount.0.display()), format!("{}/.", saved.display()));
    fs::create_dir_all(&saved).unwrap();
    assert!(done("cp", &["-a", &from, &to]));
    drop(mount);
    let _mount = Mount::make(&["-t", "tmpfs", "-o", "mode=0700", "tmpfs"], &state).unwrap();
    assert!(done("cp", &["-a", &to, &from]));
    eventually("it goes on by itself", || {
        (count(&agent.status(), "uploaded") > count(&before, "uploaded") + 20).then_some(())
    });
    agent.settle();
    agree(&agent, &collector);
    assert_eq!(count(&agent.status(), "dropped"), 0, "{}", agent.log());
    agent.kill();
}

/// The block device of a mount, as the kernel names it.
fn device(dir: &Path) -> String {
    let output = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(dir).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().rsplit('/').next().unwrap().to_owned()
}
