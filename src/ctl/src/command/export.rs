//! `export` and `import-receipt`: the way out for a host without a network. What waits is written to a file
//! that a person carries to a collector; the receipt comes back and settles the ledger.
//!
//! # Invariants
//! - An export settles nothing: what was written waits until its receipt is taken, and may be written again.
//! - The file is its owner's alone, and appears whole or not at all.
//!
//! On failure: there is no file, and everything waits as before.

use std::fs;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candor_control::protocol::{ExportRequest, ReceiptRequest, ReceiptTaken};
use candor_model::Kind;
use candor_otlp::{End, FileWriter, Form, Part, request_body};
use candor_pipeline::{resource, rfc3339};
use candor_platform::NewFile;
use candor_policy::Snapshot;
use candor_policy::receipt::{self, MAX_BYTES, Purpose, Range};
use candor_spool::{Offline, OfflineError};
use serde_json::json;

use crate::cli::{ExportFormat, ExportOptions};
use crate::command::csv::Sheet;
use crate::command::purge::with_stopped_store;
use crate::command::spool::unusable;
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;

/// A run of records, wherever it came from.
pub(crate) struct Batch<'a> {
    pub(crate) kind: Kind,
    pub(crate) boot: &'a str,
    pub(crate) first_seq: u64,
    pub(crate) records: u64,
    pub(crate) frames: &'a [u8],
}

pub(crate) async fn export(context: &Context, options: &ExportOptions) -> Result<Shown, Failure> {
    let snapshot = context.readable_snapshot()?;
    let out = &options.out;
    let written = |error: io::Error| Failure::system(&format!("write {}", out.display()), error);
    let file = NewFile::begin(out).map_err(|error| Failure::new(FAILED, chain(&error)))?;
    let mut pen = Pen::new(BufWriter::new(file), options.format, &snapshot);
    if !from_daemon(context, &mut pen, &written).await? {
        from_stopped_store(context, &mut pen, &written)?;
    }
    let (records, ranges) = (pen.records, pen.ranges.clone());
    let file = pen.finish().map_err(written)?;
    let file = file.into_inner().map_err(|error| written(error.into_error()))?;
    file.finish().map_err(|error| Failure::new(FAILED, chain(&error)))?;
    let next = match options.format {
        ExportFormat::Csv => "for reading: a collector takes --format protobuf or json",
        _ => "they wait until `agentctl import-receipt` has the collector's receipt",
    };
    let text = format!("{records} records in {}; {next}", out.display());
    Ok(Shown::new(text, &json!({ "records": records, "ranges": ranges, "out": out })))
}

/// Page by page; false where no daemon runs.
async fn from_daemon(
    context: &Context,
    pen: &mut Pen<'_>,
    written: &impl Fn(io::Error) -> Failure,
) -> Result<bool, Failure> {
    let client = context.client();
    let mut after = 0;
    loop {
        let request = ExportRequest { after };
        let Some(page) = Context::unless_no_daemon(client.export(request).await)? else {
            if after == 0 {
                return Ok(false);
            }
            return Err(Failure::new(FAILED, "the agent ended meanwhile; export again"));
        };
        pen.of(&page.install_id).map_err(written)?;
        for row in &page.rows {
            let strange =
                || Failure::new(FAILED, "the agent's answer is not understood: update agentctl");
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == row.kind);
            let frames = STANDARD.decode(&row.frames).ok();
            let (kind, frames) = kind.zip(frames).ok_or_else(strange)?;
            let batch = Batch {
                kind,
                boot: &row.boot_id,
                first_seq: row.first_seq,
                records: row.records.into(),
                frames: &frames,
            };
            pen.write(&batch).map_err(written)?;
            after = row.first_seq;
        }
        if page.rows.is_empty() {
            return Ok(true);
        }
    }
}

/// A failure of an export: of the store, or of the file that it goes to.
enum Trouble {
    Store(OfflineError),
    Output(io::Error),
}

impl From<OfflineError> for Trouble {
    fn from(error: OfflineError) -> Self {
        Self::Store(error)
    }
}

fn from_stopped_store(
    context: &Context,
    pen: &mut Pen<'_>,
    written: &impl Fn(io::Error) -> Failure,
) -> Result<(), Failure> {
    let store = Offline::open(&context.layout.state_dir()).map_err(|error| unusable(&error))?;
    pen.of(store.install_id()).map_err(written)?;
    let rows = store.rows(|kind, row| {
        // A row that was stored damaged is nobody's to carry; the agent counts it.
        let Ok(frames) = row.frames() else { return Ok(()) };
        let batch = Batch {
            kind,
            boot: &row.boot,
            first_seq: row.first_seq,
            records: row.records.into(),
            frames: &frames,
        };
        pen.write(&batch).map_err(Trouble::Output)
    });
    match rows {
        Ok(_damaged) => Ok(()),
        Err(Trouble::Store(error)) => Err(unusable(&error)),
        Err(Trouble::Output(error)) => Err(written(error)),
    }
}

type Out = BufWriter<NewFile>;

/// What writes one of the forms.
enum Nib {
    File(FileWriter<Out>),
    Csv(Sheet<Out>),
}

struct Pen<'a> {
    nib: Nib,
    snapshot: &'a Snapshot,
    install_id: String,
    resource: Vec<u8>,
    records: u64,
    ranges: Vec<Range>,
}

impl<'a> Pen<'a> {
    fn new(out: Out, format: ExportFormat, snapshot: &'a Snapshot) -> Self {
        let nib = match format {
            ExportFormat::Protobuf => Nib::File(FileWriter::new(out, Form::Protobuf)),
            ExportFormat::Json => Nib::File(FileWriter::new(out, Form::Json)),
            ExportFormat::Csv => Nib::Csv(Sheet::new(out)),
        };
        let (install_id, resource) = (String::new(), Vec::new());
        Self { nib, snapshot, install_id, resource, records: 0, ranges: Vec::new() }
    }

    /// Whose records follow.
    fn of(&mut self, install_id: &str) -> io::Result<()> {
        if self.install_id == install_id {
            return Ok(());
        }
        if !self.install_id.is_empty() {
            return Err(io::Error::other("the ids were renewed meanwhile; export again"));
        }
        install_id.clone_into(&mut self.install_id);
        self.resource = resource(&self.snapshot.effective, Some(install_id.to_owned())).encode();
        Ok(())
    }

    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let Batch { kind, boot, first_seq, records, frames } = *batch;
        match &mut self.nib {
            Nib::File(file) => {
                let parts = [Part { boot, rows: &[frames] }];
                file.request(kind, &request_body(kind, &self.resource, &parts))?;
            }
            Nib::Csv(sheet) => sheet.batch(batch)?,
        }
        self.records += records;
        let last = first_seq + records.saturating_sub(1);
        match self.ranges.last_mut() {
            Some(open) if open.1 + 1 == first_seq => open.1 = last,
            _ => self.ranges.push((first_seq, last)),
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Out> {
        match self.nib {
            Nib::Csv(sheet) => sheet.finish(),
            Nib::File(file) => {
                let mut end = End::of(&self.install_id, rfc3339(SystemTime::now()));
                end.records = self.records;
                end.ranges = self.ranges;
                file.finish(end)
            }
        }
    }
}

pub(crate) async fn import_receipt(context: &Context, path: &Path) -> Result<Shown, Failure> {
    let bytes = fs::read(path)
        .map_err(|error| Failure::system(&format!("read {}", path.display()), error))?;
    let nothing = |why: String| {
        Failure::new(FAILED, format!("{}: {why}; nothing was settled", path.display()))
    };
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES);
    let receipt = text.ok_or_else(|| nothing("it is no receipt".to_owned()))?;
    let request = ReceiptRequest { receipt };
    let taken = match Context::unless_no_daemon(context.client().receipt(&request).await)? {
        Some(taken) => taken,
        None => settle(context, &request.receipt, nothing).await?,
    };
    let ReceiptTaken { uploaded, rejected, pending } = taken;
    let text =
        format!("{uploaded} records count as uploaded, {rejected} as rejected; {pending} wait");
    Ok(Shown::new(text, &taken))
}

/// Without a daemon: the store of the stopped agent.
async fn settle(
    context: &Context,
    text: &str,
    nothing: impl Fn(String) -> Failure,
) -> Result<ReceiptTaken, Failure> {
    let snapshot = context.readable_snapshot()?;
    let keys = snapshot.effective.words.settings_keys.clone().unwrap_or_default();
    let opened = receipt::open(text.as_bytes(), &keys);
    let opened = opened.map_err(|bad| nothing(format!("it proves nothing: {bad}")))?;
    with_stopped_store(context, &snapshot, async |spool| {
        let receipt = opened.of(Purpose::Import, spool.install_id());
        let receipt = receipt.map_err(|bad| format!("the receipt proves nothing here: {bad}"))?;
        let settled = spool.settle(&receipt.accepted, &receipt.rejected).await;
        let settled = settled.map_err(|error| chain(&error))?;
        let pending = spool.ledger().pending;
        Ok(ReceiptTaken { uploaded: settled.uploaded, rejected: settled.rejected, pending })
    })
    .await?
    .map_err(nothing)
}
