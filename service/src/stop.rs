//! The one token that says stop. Everything that waits, waits for it as well.

use tokio::sync::watch;

/// Says stop, once.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

/// Hears it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A token and the one that pulls it.
pub(crate) fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Everyone who waits for the token goes on.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when somebody said stop, or nobody is left who could.
    pub(crate) async fn requested(&mut self) {
        // An error means that the stopper is gone, which means the same.
        let _ = self.0.wait_for(|is_stopped| *is_stopped).await;
    }
}
