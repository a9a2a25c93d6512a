//! `stats`: the ledger, reason by reason.

use crate::context::Context;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(context: &Context) -> Result<Shown, Failure> {
    let stats = context.client().stats().await?;
    let events = &stats.events;
    let mut table = Table::default();
    table.row([
        "generated",
        &events.generated.to_string(),
        "committed here since the installation",
    ]);
    table.row(["uploaded", &events.uploaded.to_string(), "acknowledged by the endpoint"]);
    table.row(["pending", &events.pending.to_string(), "waiting, in flight included"]);
    table.row(["dropped", &events.dropped.to_string(), "will not be uploaded, by reason:"]);
    for reason in &stats.reasons {
        table.row([&format!("  {}", reason.reason), &reason.count.to_string(), &reason.meaning]);
        if reason.count > 0 {
            table.row(["", "", &format!("to do: {}", reason.remedy)]);
        }
    }
    table.row([
        "withheld",
        &events.withheld_by_level.to_string(),
        "above the level: never generated",
    ]);
    table.row(["refused", &events.refused.to_string(), "refused at the door: never generated"]);
    Ok(Shown::new(table.text(), &stats))
}
