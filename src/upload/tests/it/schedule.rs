//! What the host runs on decides when ordinary records go; security records and a flush do not ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_model::{Kind, Level};
use candor_upload::{Look, Schedule, State, Surroundings};

use crate::bench::{Bench, Pki, timing};
use crate::pki::backup;
use crate::server::{Reply, Server, answer, ok};

const MAINS: Surroundings = Surroundings { is_on_battery: Some(false), is_metered: None };
const BATTERY: Surroundings = Surroundings { is_on_battery: Some(true), is_metered: None };
const METERED: Surroundings = Surroundings { is_on_battery: Some(true), is_metered: Some(true) };

/// A host, and how often it was asked.
#[derive(Clone)]
struct Laptop(Arc<(Mutex<Surroundings>, AtomicUsize)>);

impl Laptop {
    fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new((Mutex::new(surroundings), AtomicUsize::new(0))))
    }

    fn set(&self, surroundings: Surroundings) {
        *self.0.0.lock().unwrap() = surroundings;
    }

    fn look(&self) -> Look {
        let laptop = self.clone();
        Arc::new(move || {
            laptop.0.1.fetch_add(1, Ordering::SeqCst);
            *laptop.0.0.lock().unwrap()
        })
    }

    /// Waits until it was asked so often again.
    async fn asked(&self, more: usize) {
        let wanted = self.0.1.load(Ordering::SeqCst) + more;
        while self.0.1.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn bench(laptop: &Laptop, reply: fn() -> Reply) -> (Bench, Server) {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, move |_| reply()).await;
    let pins = vec![pki.leaf.pin, backup()];
    let change = |settings: &mut candor_upload::UploadSettings| {
        settings.interval = Duration::from_millis(20);
        settings.is_sparing = true;
    };
    let bench = Bench::looking(server.port, (&pki.root, pins), timing(), (change, laptop.look()));
    (bench, server)
}

#[tokio::test]
async fn over_a_metered_link_only_security_goes_until_there_is_another_link() {
    let laptop = Laptop::new(METERED);
    let (mut bench, server) = bench(&laptop, ok).await;
    bench.events(5).await;
    bench.until(|status| status.schedule == Schedule::Metered).await;
    laptop.asked(3).await;
    bench.keep(Kind::Log, Level::Security, &["alarm".into()]).await;
    let status = bench.until(|status| status.requests == 1).await;
    assert_eq!((status.state, status.next_attempt), (State::Ok, None));
    laptop.asked(3).await;
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].names(), ["alarm"]);
    assert_eq!(bench.ledger().await.pending, 5);

    laptop.set(MAINS);
    bench.until(|status| status.requests == 2).await;
    assert_eq!(bench.status.borrow().schedule, Schedule::Mains);
    assert_eq!(bench.ledger().await.pending, 0);
}

#[tokio::test]
async fn on_battery_the_next_ordinary_records_wait_for_hours_and_mains_ends_that() {
    let laptop = Laptop::new(BATTERY);
    let (mut bench, server) = bench(&laptop, ok).await;
    bench.events(1).await;
    bench.until(|status| status.requests == 1).await;
    bench.events(5).await;
    laptop.asked(5).await;
    let status = bench.until(|status| status.next_attempt.is_some()).await;
    let next = status.next_attempt.unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert!(next > Duration::from_mins(230) && next <= Duration::from_hours(4), "{next:?}");
    assert_eq!((server.seen().len(), bench.ledger().await.pending), (1, 5));

    laptop.set(MAINS);
    bench.until(|status| status.requests == 2).await;
    assert_eq!(bench.ledger().await.pending, 0);
}

#[tokio::test]
async fn a_flush_goes_over_a_metered_link_and_the_end_does_not() {
    let laptop = Laptop::new(METERED);
    let (mut bench, server) = bench(&laptop, ok).await;
    bench.events(2).await;
    bench.until(|status| status.schedule == Schedule::Metered).await;
    assert!(bench.flush().await.drained);
    assert_eq!(server.seen().len(), 1);
    bench.events(2).await;
    bench.keep(Kind::Log, Level::Security, &["bye".into()]).await;
    bench.stop.send_replace(Some(Duration::from_mins(1)));
    bench.stopped().await;
    assert_eq!(server.seen()[1].names(), ["bye"]);
    assert_eq!(bench.ledger().await.pending, 2);
}

#[tokio::test]
async fn a_trouble_is_not_over_because_nothing_may_be_tried() {
    let laptop = Laptop::new(MAINS);
    let (mut bench, _server) = bench(&laptop, || answer(404, "", b"nobody")).await;
    bench.events(1).await;
    bench.until(|status| status.state == State::Hold).await;
    laptop.set(METERED);
    bench.until(|status| status.schedule == Schedule::Metered).await;
    laptop.asked(3).await;
    assert_eq!(bench.status.borrow().state, State::Hold);
}

#[tokio::test]
async fn with_the_owners_interval_the_host_is_not_asked() {
    let laptop = Laptop::new(METERED);
    let (mut bench, _server) = bench(&laptop, ok).await;
    bench.until(|status| status.schedule == Schedule::Metered).await;
    bench.set(|settings| settings.is_sparing = false);
    bench.events(1).await;
    let status = bench.until(|status| status.requests == 1).await;
    assert_eq!(status.schedule, Schedule::Fixed);
}
