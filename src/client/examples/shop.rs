//! A program that tells its orders: `cargo run -p candor-client --example shop -- 3 [--no-telemetry]`.
//!
//! Its provider's manifest, for `etc/candor/providers.d/`, is `examples/shop.toml`.

use std::time::Duration;

use candor_client::{Client, Event, OptOut};

fn main() {
    let orders: i32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let opt_out = OptOut::new()
        .environment("SHOP_TELEMETRY", &["no", "0"])
        .file("~/.config/shop.ini", "privacy.telemetry", &["no", "off"])
        .flag("--no-telemetry");
    let client = Client::builder("shop").opt_out(opt_out).start();
    if let Some(why) = client.silenced() {
        println!("telemetry is off: {why}");
    }
    for order in 0..orders {
        let outcome = if order % 7 == 6 { "failure" } else { "success" };
        let event = Event::new("shop.order").with("items", order + 1).with("outcome", outcome);
        client.emit_within(event, Duration::from_secs(5));
    }
    client.flush(Duration::from_secs(30));
    let counts = client.counts();
    println!(
        "{} confirmed, {} refused, {} waiting",
        counts.confirmed, counts.refused, counts.waiting
    );
}
