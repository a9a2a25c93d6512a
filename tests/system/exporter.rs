//! An exporter by the official client library of Prometheus: what arrives of it is what the library's own
//! parser reads in the same text, value by value, with every odd character in its labels.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use candor_tests::{Agent, Collector, Settings, eventually, need, python};
use serde_json::Value;

/// The exporter's process, ended with this.
struct Exporter {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Exporter {
    fn start(python: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/system/exporter.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Self { process, input, output, port: line.trim().parse().unwrap() }
    }

    /// Adds to its metrics; what its own library then reads in its text.
    fn add(&mut self, amount: u32) -> Value {
        writeln!(self.input, "{amount}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Values by the label that tells a metric's series apart.
type Series = BTreeMap<String, f64>;

/// What the library says of a metric.
fn said(read: &Value, name: &str) -> Series {
    let samples = read[name].as_array().unwrap().iter();
    let of = |sample: &Value| {
        let mode = sample[0]["mode"].as_str().unwrap_or_default().to_owned();
        (mode, sample[1].as_f64().unwrap())
    };
    samples.map(of).collect()
}

/// What arrived of a metric, point by point, oldest first.
fn points(collector: &Collector, name: &str) -> Vec<Value> {
    let mut records = collector.records();
    records.retain(|record| record["name"] == name);
    records.sort_by_key(|record| record["time"].as_str().map(str::to_owned));
    records.iter().flat_map(|record| record["points"].as_array().unwrap().clone()).collect()
}

fn mode(point: &Value) -> String {
    point["attributes"]["mode"].as_str().unwrap_or_default().to_owned()
}

/// All that was added to each series.
fn added(collector: &Collector, name: &str) -> Series {
    let mut series = Series::new();
    for point in points(collector, name) {
        *series.entry(mode(&point)).or_default() += point["value"].as_f64().unwrap();
    }
    series.retain(|_, value| *value != 0.0);
    series
}

/// The last value of each series.
fn last(collector: &Collector, name: &str) -> Series {
    points(collector, name)
        .iter()
        .map(|point| (mode(point), point["value"].as_f64().unwrap()))
        .collect()
}

/// Of a histogram what was added: how many values, their sum, and how many in each bucket.
fn histogram(collector: &Collector, name: &str) -> (u64, f64, [u64; 3]) {
    let (mut count, mut sum, mut buckets) = (0, 0.0, [0; 3]);
    for point in points(collector, name) {
        let value = &point["value"];
        count += value["count"].as_u64().unwrap();
        sum += value["sum"].as_f64().unwrap();
        let counts = value["buckets"].as_array().unwrap().iter();
        counts.zip(&mut buckets).for_each(|(n, bucket)| *bucket += n.as_u64().unwrap());
    }
    (count, sum, buckets)
}

#[test]
fn an_exporter_of_the_official_library_arrives_value_by_value() {
    let python = python("prometheus_client");
    let what = "Python with prometheus-client in target/venv (.ci/packages makes it)";
    let (true, Some(python)) = (need(what, python.is_some()), python) else { return };
    let (collector, mut exporter) = (Collector::start(), Exporter::start(&python));
    let lines = format!(
        "name = \"shop\"\nurl = \"http://127.0.0.1:{}/metrics\"\ninterval = \"200ms\"\n\
         metrics = [\"shop_orders_total\", \"shop_load\", \"shop_seconds\", \"shop_sizes\"]\n\
         labels = [\"mode\"]\nlevel = 2",
        exporter.port
    );
    let agent = Agent::start(&Settings::to(&collector, 2).table("[scrape]", &lines));
    assert_eq!(agent.ctl(&["providers", "enable", "prometheus"]).code, Some(0));
    // The first scrape says where the counters stand: at one order more than their place in the list.
    eventually("the exporter is scraped", || {
        (!points(&collector, "shop_load").is_empty()).then_some(())
    });
    exporter.add(5);
    let read = exporter.add(7);

    // Thirteen orders, and three more for each place further down the list; a third of the latter was
    // there at first, and one order.
    let counted = said(&read, "shop_orders_total").into_iter();
    let growth: Series =
        counted.map(|(mode, total)| (mode, total - 1.0 - (total - 13.0) / 3.0)).collect();
    eventually("all that was counted arrives", || {
        (added(&collector, "shop_orders_total") == growth).then_some(())
    });
    let loads = said(&read, "shop_load");
    eventually("the gauges arrive", || (last(&collector, "shop_load") == loads).then_some(()));
    eventually("the histogram arrives", || {
        let (count, sum, buckets) = histogram(&collector, "shop_seconds");
        // 0.5 and 0.7 s in the second bucket, twice 20 s beyond all.
        let is_all = count == 4 && (sum - 41.2).abs() < 1e-9 && buckets == [0, 2, 2];
        is_all.then_some(())
    });
    eventually("the summary arrives", || {
        let last = points(&collector, "shop_sizes").pop()?;
        (last["value"]["count"] == 3 && last["value"]["sum"] == 13.0).then_some(())
    });
    assert!(points(&collector, "shop_canary").is_empty());
}
