//! The watch: reads every layer again when one changes, and publishes what follows.
//!
//! ```text
//! change ─> quiet for 40 ms, at most 200 ms ─> watch what is there now ─> read ─> publish
//! ```
//!
//! # Invariants
//! - A change counts within a second, however it is made: written, renamed, a link swapped, a
//!   directory removed and made again.
//! - What is watched is settled before it is read, so that nothing changes unseen between.
//! - Without a change it sleeps: no timer, but for the end of a raise or of remote settings, and once a second where the
//!   system refuses to watch.
//! - Only one reading runs at a time; what is published is never older than what was.
//!
//! On failure: a system that refuses to watch is said in the log, and looked at once a second.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::source::notice::{Notice, Points, Waker, Woken, points};
use crate::source::{Snapshot, Sources, now};

/// So long nothing more may happen before a change is read.
const QUIET: Duration = Duration::from_millis(40);
/// A change that goes on is read after this.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// How often it looks where it cannot watch.
const LOOK: Duration = Duration::from_secs(1);
/// How long it trusts the boot clock's remainder of a raise: a wall clock that is set forward
/// ends the raise no later than this after.
const RAISE_LOOK: Duration = Duration::from_mins(1);
/// The same for the end of remote settings, which stand for days.
const REMOTE_LOOK: Duration = Duration::from_hours(1);
/// Rounds of arming until what is watched is what is there.
const MAX_ROUNDS: usize = 8;

/// Why policy cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread that watches policy")]
pub struct WatchError {
    /// The system's answer.
    #[source]
    source: std::io::Error,
}

/// The running watch. Dropping it ends it; receivers keep the last snapshot.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    waker: Option<Waker>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    sources: Sources,
    reading: Mutex<()>,
    sender: watch::Sender<Arc<Snapshot>>,
}

impl Sources {
    /// Reads everything and watches it from now on.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn watch(self) -> Result<Watch, WatchError> {
        let mut arming = Arming::new(&self);
        arming.arm(&self);
        let (sender, _) = watch::channel(Arc::new(self.load()));
        let shared = Arc::new(Shared { sources: self, reading: Mutex::new(()), sender });
        let stop = Arc::default();
        let waker = arming.notice.as_ref().map(Notice::waker);
        let watcher = Watcher { shared: Arc::clone(&shared), arming, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new()
            .name("policy-watch".to_owned())
            .spawn(move || watcher.run())
            .map_err(|source| WatchError { source })?;
        Ok(Watch { shared, waker, stop, thread: Some(thread) })
    }
}

impl Watch {
    /// A receiver that has seen the present snapshot.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.sender.subscribe()
    }

    /// The present snapshot.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.sender.borrow())
    }

    /// Reads everything now and publishes it: what a reload does, and what makes a setting that
    /// was just written count at once. Blocks for some file reads.
    #[must_use = "the snapshot says whether agent.toml was taken"]
    pub fn reload(&self) -> Arc<Snapshot> {
        self.shared.reread();
        // A raise that just began or ended changes what the thread waits for.
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        self.current()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        if let Some(thread) = self.thread.take() {
            // A watch that panicked has said so; there is nothing more to end.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn reread(&self) {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = Arc::clone(&self.sender.borrow());
        let snapshot = self.sources.load_after(Some(&previous), &now());
        self.sender.send_if_modified(|current| {
            let is_new = **current != snapshot;
            if is_new {
                *current = Arc::new(snapshot);
            }
            is_new
        });
    }
}

/// The thread's half.
struct Watcher {
    shared: Arc<Shared>,
    arming: Arming,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    fn run(mut self) {
        // Asked before each wait: a wake that ended the wait in `settle` is used up.
        while !self.is_stopped() {
            let woken = self.arming.wait(self.next_look());
            if self.is_stopped() {
                return;
            }
            match woken {
                Woken::Changed => self.settle(),
                Woken::Time => {}
                // Somebody else has read; only the next look may have moved.
                Woken::Asked => continue,
            }
            self.arming.arm(&self.shared.sources);
            self.shared.reread();
        }
    }

    /// Waits until the change is over.
    fn settle(&self) {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_WAIT && self.arming.wait(Some(QUIET)) != Woken::Time {
            if self.is_stopped() {
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// When to look without a change.
    fn next_look(&self) -> Option<Duration> {
        let snapshot = Arc::clone(&self.shared.sender.borrow());
        let now = now();
        let raise = snapshot.raise.as_ref().map(|until| until.left(&now).min(RAISE_LOOK));
        let remote = snapshot.remote_left(now.wall).map(|left| left.min(REMOTE_LOOK));
        let look = self.arming.is_blind.then_some(LOOK);
        raise.into_iter().chain(remote).chain(look).min()
    }
}

/// What is watched now.
struct Arming {
    notice: Option<Notice>,
    points: Points,
    is_blind: bool,
}

impl Arming {
    fn new(sources: &Sources) -> Self {
        let notice = Notice::new(sources.layout().has_root());
        if let Err(error) = &notice {
            tracing::warn!(%error, "policy is looked at once a second: the system refuses to watch it");
        }
        let is_blind = notice.is_err();
        Self { notice: notice.ok(), points: Points::new(), is_blind }
    }

    /// Watches what is there. Repeated until what is there after is what was there before: a
    /// directory made between the look and the watch would go unseen.
    fn arm(&mut self, sources: &Sources) {
        let Some(notice) = &mut self.notice else { return };
        for _ in 0..MAX_ROUNDS {
            let points = sources.points();
            let armed = notice.arm(&points);
            let was_blind = std::mem::replace(&mut self.is_blind, armed.is_err());
            if let (Err(error), false) = (armed, was_blind) {
                tracing::warn!(%error, "policy is looked at once a second: the system refuses to watch it");
            }
            self.points = points;
            if sources.points() == self.points {
                return;
            }
        }
    }

    fn wait(&self, time: Option<Duration>) -> Woken {
        if let Some(notice) = &self.notice {
            return notice.wait(time);
        }
        std::thread::sleep(time.unwrap_or(LOOK));
        Woken::Time
    }
}

impl Sources {
    /// What must be watched now.
    fn points(&self) -> Points {
        let layout = self.layout();
        let mut files: Vec<PathBuf> = vec![self.config_file().to_owned()];
        let is_in_files = !cfg!(windows) || layout.has_root();
        let policy = is_in_files.then(|| layout.policy_dir());
        files.extend(is_in_files.then(|| layout.operator_file()));
        files.push(layout.provider_switches());
        let directories: Vec<PathBuf> =
            policy.into_iter().chain([layout.providers_dir()]).collect();
        points(layout.root(), &files, &directories)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candor_model::Level;
    use candor_platform::{Layout, write_atomic};
    use tempfile::TempDir;

    use super::*;
    use crate::operator::{LevelSetting, Operator};
    use crate::raise::Until;
    use crate::remote::{Held, Origin};

    /// Longer than any machine needs; only a change that is never noticed takes so long.
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Host {
        root: TempDir,
        layout: Layout,
        watch: Watch,
        receiver: watch::Receiver<Arc<Snapshot>>,
    }

    impl Host {
        fn new(prepare: impl Fn(&Layout)) -> Self {
            let root = tempfile::tempdir().unwrap();
            let layout = Layout::new(Some(root.path()));
            prepare(&layout);
            let watch = Sources::new(&layout, None).watch().unwrap();
            let receiver = watch.subscribe();
            Self { root, layout, watch, receiver }
        }

        fn bare() -> Self {
            Self::new(|_| {})
        }

        fn with_policy(text: &str) -> Self {
            Self::new(|layout| {
                std::fs::create_dir_all(layout.policy_dir()).unwrap();
                std::fs::write(layout.policy_dir().join("10.toml"), text).unwrap();
            })
        }

        fn policy(&self) -> PathBuf {
            self.layout.policy_dir().join("10.toml")
        }

        async fn wait(&mut self, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
            let waited = self.receiver.wait_for(|snapshot| is_so(snapshot));
            let waited = tokio::time::timeout(PATIENCE, waited).await;
            assert!(waited.is_ok(), "not noticed: {what}; {:?}", self.watch.current().effective);
        }

        async fn level(&mut self, what: &str, level: Level) {
            self.wait(what, |snapshot| snapshot.effective.level.effective == level).await;
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[tokio::test]
    async fn a_policy_appears_changes_breaks_is_repaired_and_disappears() {
        let mut host = Host::bare();
        assert_eq!(host.watch.current().effective.level.effective, Level::Enhanced);
        let file = host.policy();
        write(&file, "AllowTelemetry = 1\n");
        host.level("appear", Level::Basic).await;
        write(&file, "AllowTelemetry = 3\n");
        host.level("change", Level::Full).await;
        write(&file, "AllowTelemetry = \n");
        host.level("break", Level::Security).await;
        host.wait("hold", |snapshot| snapshot.effective.hold.is_some()).await;
        write(&file, "AllowTelemetry = 1\n");
        host.level("repair", Level::Basic).await;
        host.wait("no hold", |snapshot| snapshot.effective.hold.is_none()).await;
        std::fs::remove_file(&file).unwrap();
        host.level("disappear", Level::Enhanced).await;
    }

    #[tokio::test]
    async fn a_file_replaced_by_rename_counts() {
        let mut host = Host::with_policy("AllowTelemetry = 1\n");
        for (number, level) in [(3, Level::Full), (0, Level::Security), (1, Level::Basic)] {
            let text = format!("AllowTelemetry = {number}\n");
            write_atomic(&host.policy(), text.as_bytes(), 0o644).unwrap();
            host.level("rename", level).await;
        }
    }

    #[tokio::test]
    async fn a_directory_removed_and_made_again_counts_at_any_depth() {
        let mut host = Host::with_policy("AllowTelemetry = 1\n");
        let policy_dir = host.layout.policy_dir();
        let etc = host.root.path().join("etc");
        for gone in [policy_dir.as_path(), policy_dir.parent().unwrap(), etc.as_path()] {
            std::fs::remove_dir_all(gone).unwrap();
            host.level("removed", Level::Enhanced).await;
            write(&host.policy(), "AllowTelemetry = 3\n");
            host.level("made again", Level::Full).await;
            write(&host.policy(), "AllowTelemetry = 1\n");
            host.level("written in it", Level::Basic).await;
        }
    }

    #[tokio::test]
    async fn a_directory_renamed_away_and_back_counts() {
        let mut host = Host::with_policy("AllowTelemetry = 1\n");
        let (etc, away) = (host.root.path().join("etc"), host.root.path().join("away"));
        std::fs::rename(&etc, &away).unwrap();
        host.level("away", Level::Enhanced).await;
        std::fs::rename(&away, &etc).unwrap();
        host.level("back", Level::Basic).await;
        write(&host.policy(), "AllowTelemetry = 3\n");
        host.level("written", Level::Full).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_swapped_link_counts_wherever_on_the_way_it_stands() {
        use std::os::unix::fs::symlink;

        let swap = |link: &Path, target: &str| {
            let new = link.with_extension("new");
            symlink(target, &new).unwrap();
            std::fs::rename(&new, link).unwrap();
        };
        let mut host = Host::new(|layout| {
            let opt = layout.root().join("opt");
            write(&opt.join("v1/p.toml"), "AllowTelemetry = 1\n");
            write(&opt.join("v2/p.toml"), "AllowTelemetry = 3\n");
            symlink("v1", opt.join("current")).unwrap();
            std::fs::create_dir_all(layout.policy_dir()).unwrap();
            symlink(opt.join("current/p.toml"), layout.policy_dir().join("10.toml")).unwrap();
        });
        let opt = host.root.path().join("opt");
        host.level("start", Level::Basic).await;
        swap(&opt.join("current"), "v2");
        host.level("directory swapped", Level::Full).await;
        write(&opt.join("v2/p.toml"), "AllowTelemetry = 0\n");
        host.level("target written", Level::Security).await;
        swap(&host.policy(), "/nowhere");
        host.wait("link to nowhere", |snapshot| snapshot.effective.hold.is_some()).await;
        swap(&host.policy(), &opt.join("v1/p.toml").display().to_string());
        host.level("file swapped", Level::Basic).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_opened_to_others_counts() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;

        let mut host = Host::with_policy("AllowTelemetry = 1\n");
        std::fs::set_permissions(host.policy(), Permissions::from_mode(0o666)).unwrap();
        host.level("opened", Level::Security).await;
        std::fs::set_permissions(host.policy(), Permissions::from_mode(0o644)).unwrap();
        host.level("closed", Level::Basic).await;
    }

    #[tokio::test]
    async fn the_operators_setting_counts_and_a_reload_reads_it_at_once() {
        let mut host = Host::bare();
        let operator = Operator::new(&host.layout);
        let set = |level| LevelSetting { level, until: None, reason: None };
        operator.set_level(&set(Level::Basic)).unwrap();
        host.level("written", Level::Basic).await;
        operator.set_level(&set(Level::Full)).unwrap();
        assert_eq!(host.watch.reload().effective.level.effective, Level::Full);
    }

    /// A host with a document that lowers to level 1 and ends then; its policy.
    fn host_with_remote_settings(end: jiff::Timestamp) -> (Host, String) {
        let pair = crate::remote::tests::pair();
        let key = crate::remote::tests::public(&pair);
        let policy =
            format!("SettingsEndpoint = \"https://s.example\"\nSettingsKeys = [\"{key}\"]\n");
        let host = Host::with_policy(&policy);
        std::fs::create_dir_all(host.layout.state_dir()).unwrap();
        let document = format!(
            r#"{{"candor_settings": 1, "version": 1, "audience": "all", "expires": "{end}",
                 "MaxTelemetryAllowed": 1}}"#
        );
        let signed = crate::remote::tests::sign(&pair, &document);
        let origin = Origin::of(&host.watch.current().effective.words).unwrap();
        let begun = std::time::SystemTime::UNIX_EPOCH;
        Held::new(&host.layout).take(&signed, None, (&origin, "me", begun)).unwrap();
        let _lowered = host.watch.reload();
        (host, policy)
    }

    #[tokio::test]
    async fn remote_settings_end_by_themselves() {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
        let (mut host, _) = host_with_remote_settings(end);
        host.level("the end", Level::Enhanced).await;
        let layers = &host.watch.current().layers;
        let remote = layers.iter().find(|layer| layer.kind == crate::LayerKind::Remote).unwrap();
        assert!(remote.reading.words().is_some(), "it was there: {remote:?}");
    }

    #[tokio::test]
    async fn remote_settings_that_are_switched_off_lower_nothing_until_they_are_switched_on() {
        let (mut host, policy) = host_with_remote_settings(jiff::Timestamp::MAX);
        assert_eq!(host.watch.current().effective.level.effective, Level::Basic);
        write(&host.policy(), &format!("{policy}DisableOneSettingsDownloads = 1\n"));
        host.level("off", Level::Enhanced).await;
        let layers = &host.watch.current().layers;
        assert!(layers.iter().any(|layer| layer.weight == crate::Weight::Nothing), "it is shown");
        write(&host.policy(), &policy);
        host.level("on", Level::Basic).await;
    }

    #[tokio::test]
    async fn a_raise_ends_by_itself() {
        let mut host = Host::bare();
        let operator = Operator::new(&host.layout);
        let until = Some(Until::after(&now(), Duration::from_secs(2)));
        operator.set_level(&LevelSetting { level: Level::Full, until, reason: None }).unwrap();
        let raised = host.watch.reload();
        assert!(raised.raise.is_some() || raised.effective.level.effective == Level::Enhanced);
        host.level("the end of the raise", Level::Enhanced).await;
        host.wait("no raise", |snapshot| snapshot.raise.is_none()).await;
    }

    #[tokio::test]
    async fn a_bad_configuration_keeps_the_good_one_and_says_so() {
        let mut host = Host::bare();
        let file = host.layout.config_file();
        write(&file, "AllowTelemetry = 1\n[sample]\ninterval = \"1s\"\n");
        host.level("configured", Level::Basic).await;
        write(&file, "AllowTelemetry = 1\n[sample]\ninterval = \"1 s\"\n");
        host.wait("bad", |snapshot| snapshot.config_error.is_some()).await;
        let snapshot = host.watch.current();
        assert_eq!(snapshot.effective.level.effective, Level::Basic);
        assert_eq!(snapshot.config.sample.interval, Duration::from_secs(1));
        write(&file, "AllowTelemetry = 3\n");
        host.level("good again", Level::Full).await;
        assert_eq!(host.watch.current().config_error, None);
    }

    #[tokio::test]
    async fn what_changes_nothing_is_not_published_and_a_dropped_watch_ends() {
        let Host { root: _root, watch, mut receiver, .. } = Host::with_policy("");
        receiver.mark_unchanged();
        let before = watch.current();
        assert!(Arc::ptr_eq(&watch.reload(), &before));
        assert!(!receiver.has_changed().unwrap());
        drop(watch);
        assert!(receiver.has_changed().is_err(), "the sender is gone with the thread");
    }
}
