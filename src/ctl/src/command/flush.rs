//! `flush`: upload now.

use std::fmt::Write as _;

use candor_control::protocol::{FlushDone, FlushRequest};

use crate::cli::FlushOptions;
use crate::context::Context;
use crate::failure::{FAILED, Failure};
use crate::progress::lasting;
use crate::shown::Shown;

pub(crate) async fn run(context: &Context, options: &FlushOptions) -> Result<Shown, Failure> {
    let request = FlushRequest { wait: options.wait, stop_probes: options.stop_probes };
    let client = context.client();
    let waiting = async || match client.status().await {
        Ok(status) => format!("{} pending", status.events.pending),
        Err(_) => "waiting".to_owned(),
    };
    let done = lasting(context, client.flush(request), waiting).await?;
    // Who waits wants to know whether it was worth it.
    let exit_code = if options.wait && !done.complete { FAILED } else { 0 };
    Ok(Shown::new(text(&done, options.wait), &done).with_exit_code(exit_code))
}

fn text(done: &FlushDone, waited: bool) -> String {
    let mut text = format!("{} uploaded, {} pending", done.uploaded, done.pending);
    if !waited && done.pending > 0 {
        text.push_str("; the upload was asked for");
    }
    if let Some(reason) = &done.reason {
        let _ = write!(text, "; {}: {reason}", done.state);
    }
    if let Some(remedy) = &done.remedy {
        let _ = write!(text, "\nto do: {remedy}");
    }
    text
}
