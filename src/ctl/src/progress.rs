//! What a person sees while a command lasts: one line on stderr that is written over, and gone at the end.
//!
//! # Invariants
//! - Only on a terminal, and never with `--json`: a program that reads stderr reads complaints alone.
//!
//! On failure: nothing is shown; the work goes on.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::context::Context;

/// How often the line is written anew.
const TICK: Duration = Duration::from_millis(250);

/// Waits for the work, and meanwhile says what `now` says and for how long already. `now` may ask the
/// daemon; work that is done does not wait for it.
pub(crate) async fn lasting<T>(
    context: &Context,
    work: impl Future<Output = T>,
    now: impl AsyncFn() -> String,
) -> T {
    if context.json() || !io::stderr().is_terminal() {
        return work.await;
    }
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        let tick = async {
            tokio::time::sleep(TICK).await;
            now().await
        };
        tokio::select! {
            biased;
            done = &mut work => {
                write("");
                return done;
            }
            said = tick => write(&format!("{said} … {} s", begun.elapsed().as_secs())),
        }
    }
}

/// Writes over the line.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    // A terminal that is gone shows nothing.
    let _gone = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
}
