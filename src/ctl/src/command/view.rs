//! `view`: opens the viewer's page and serves it until nobody looks any more.
//!
//! # Invariants
//! - Before anything listens the daemon was asked for an event: who may not read them is told so.
//! - Under `DisableDiagnosticDataViewer` nothing is opened, and an open viewer ends.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use candor_control::ClientError;
use candor_view::{End, Settings, Viewer};
use serde_json::json;

use crate::cli::ViewOptions;
use crate::context::Context;
use crate::failure::{FAILED, Failure, REFUSED, chain};
use crate::shown::Shown;

mod daemon;

use daemon::Daemon;

pub(crate) async fn run(context: &Context, options: &ViewOptions) -> Result<Shown, Failure> {
    may_look(context).await?;
    let viewer = Viewer::open().await.map_err(|error| Failure::new(FAILED, chain(&error)))?;
    let opened = !options.no_open
        && candor_platform::has_screen()
        && candor_platform::open_page(viewer.file()).is_ok();
    let stop = stop()?;
    announce(context, &viewer, opened, options.gone_after);
    let settings = Settings { gone_after: options.gone_after };
    let end = viewer.serve(Daemon::new(context.clone()), settings, stop).await;
    match end {
        End::Stopped => Ok(Shown::new("the viewer was closed", &json!({ "ended": "stopped" }))),
        End::Gone => {
            let text =
                format!("nobody looked for {}: the viewer was closed", spoken(options.gone_after));
            Ok(Shown::new(text, &json!({ "ended": "gone" })))
        }
        End::Refused(why) => Err(Failure::new(REFUSED, why)),
    }
}

/// Whether this user may see events here and now.
async fn may_look(context: &Context) -> Result<(), Failure> {
    if context.snapshot().effective.words.disable_diagnostic_data_viewer == Some(true) {
        return Err(Failure::new(
            REFUSED,
            "DisableDiagnosticDataViewer = 1: policy closed the viewer; `agentctl explain` names the layers",
        ));
    }
    for path in ["/v1/history", "/v1/events?limit=1"] {
        match context.client().fetch(path).await {
            // Off, or in trouble: the page says so, and what to do.
            Err(ClientError::Refused(refusal)) if !matches!(refusal.code.exit_code(), 3 | 4) => {}
            answer => drop(answer?),
        }
    }
    Ok(())
}

/// Says where the page is, at once: what comes at the end of a command would come too late.
fn announce(context: &Context, viewer: &Viewer, opened: bool, patience: Duration) {
    let (file, address) = (viewer.file(), format!("http://{}/", viewer.address()));
    let text = if context.json() {
        json!({ "file": file, "address": address, "opened": opened }).to_string()
    } else {
        format!(
            "{}\nit ends with ctrl-c, or when nobody has looked for {}",
            invitation(file, &address, opened),
            spoken(patience)
        )
    };
    let mut out = io::stdout().lock();
    // Whoever closed the pipe does not want to know.
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn invitation(file: &Path, address: &str, opened: bool) -> String {
    if opened {
        return format!("the viewer opens in your browser ({address})");
    }
    format!(
        "the viewer is ready: open this file in a browser, it works once\n  {}\n\
         or go to {address} and paste the key that stands in the file",
        file.display()
    )
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Ctrl-C, or what a service manager or a closing terminal says. It listens from this call on, so that whoever
/// was told where the page is may stop it at once.
#[cfg(unix)]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::system("listen to signals", error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Ctrl-C, or the console's end.
#[cfg(windows)]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::windows::{ctrl_c, ctrl_close};
    let mut interrupt =
        ctrl_c().map_err(|error| Failure::system("listen to the console", error))?;
    let mut close =
        ctrl_close().map_err(|error| Failure::system("listen to the console", error))?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
        }
    })
}
