//! The viewer in a real Chromium: opened by its file, used by keyboard alone, looked at in the light and in the dark,
//! and with an event in the store that would like to be a script. Pictures of every view come into
//! `target/screenshots`.

use std::fs;
use std::path::{Path, PathBuf};

use candor_tests::{Agent, Collector, Settings, Viewer, eventually, need};
use serde_json::Value;
use tempfile::TempDir;

mod browser;

use browser::{Browser, chromium};

/// What the planted machine calls itself.
const MAKER: &str = "Zebrafink <script>document.title='script ran'</script>";
const MODEL: &str = "\"><img src=x onerror=\"document.title='markup ran'\">";
const VIEWS: [(&str, &str); 6] = [
    ("overview", "document.querySelector('.probes table')"),
    ("events", "document.querySelector('.results tbody tr')"),
    (
        "sent",
        "document.querySelector('.requests tbody button') && document.querySelector('.chart svg')",
    ),
    ("losses", "document.querySelectorAll('.losses tbody tr').length === 8"),
    ("levels", "document.querySelectorAll('.levels-list .records details').length > 5"),
    ("history", "document.querySelector('.history tbody tr')"),
];

/// A host that names itself as badly as it can.
fn planted() -> TempDir {
    let host = tempfile::tempdir().unwrap();
    let dmi = host.path().join("sys/class/dmi/id");
    fs::create_dir_all(&dmi).unwrap();
    fs::write(dmi.join("sys_vendor"), MAKER).unwrap();
    fs::write(dmi.join("product_name"), MODEL).unwrap();
    host
}

/// An agent on that host which has sent what it knows.
fn stage() -> (TempDir, Collector, Agent) {
    let (host, collector) = (planted(), Collector::start());
    let mut agent = Agent::prepare(&Settings::to(&collector, 2)).on_host(host.path());
    agent.run();
    let raise = agent.ctl(&["set-level", "3", "--for", "1h", "--reason", "to see \"it\" <all>"]);
    assert_eq!(raise.code, Some(0), "{raise:?}");
    eventually("the planted event was sent", || {
        collector
            .records()
            .iter()
            .any(|record| record["name"] == "candor.device.machine")
            .then_some(())
    });
    (host, collector, agent)
}

fn open(program: &Path, viewer: &Viewer) -> Browser {
    let mut browser = Browser::start(program);
    browser.screen("light", 1280);
    browser.visit(&format!("file://{}", viewer.file.display()));
    browser.until("location.pathname === '/' && document.querySelector('.lead .big')");
    browser
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let text = browser.eval(&format!("document.querySelector({selector:?}).innerText"));
    text.as_str().unwrap().to_owned()
}

#[test]
fn a_planted_event_is_found_by_keyboard_and_read_field_by_field_and_byte_by_byte() {
    let program = chromium();
    if !need("Chromium (.ci/packages installs it)", program.is_some()) {
        return;
    }
    let (_host, _collector, agent) = stage();
    let viewer = Viewer::start(&agent, &[]);
    let copy = tempfile::Builder::new().suffix(".html").tempfile().unwrap();
    fs::copy(&viewer.file, copy.path()).unwrap();
    let mut browser = open(&program.unwrap(), &viewer);

    browser.tab_to("it.hash === '#/events'");
    browser.press("Enter");
    browser.until("document.querySelector('h1').innerText === 'Events'");
    assert_eq!(
        browser.eval("document.activeElement.tagName"),
        "H1",
        "the focus goes with the view"
    );
    browser.tab_to("it.id === 'text'");
    browser.type_text("zebrafink");
    browser.press("Enter");
    let found =
        "location.hash.includes('zebrafink') && document.querySelector('tbody a[data-seq]')";
    browser.until(found);
    browser.tab_to("it.dataset && it.dataset.seq");
    assert_eq!(browser.eval("document.activeElement.innerText"), "candor.device.machine");
    browser.press("Enter");
    browser.until("document.querySelector('.event .dump')");
    read(&mut browser);
    let held = || {
        let trail = fs::read(agent.path("var/lib/candor/audit.log")).unwrap();
        (agent.status()["level"].clone(), trail)
    };
    let before = held();
    refuses(&mut browser, &viewer, copy.path());
    assert_eq!(held(), before, "the page changed something");
}

/// What the page shows of the planted event is what it says, and no more than text.
fn read(browser: &mut Browser) {
    let fields = text(browser, ".event table");
    for planted in [MAKER, MODEL, "Level", "manufacturer"] {
        assert!(fields.contains(planted), "{planted} is not in {fields}");
    }
    let planted = "document.querySelectorAll('main script, main img').length";
    assert_eq!(browser.eval(planted), 0, "an event made an element");
    let title = browser.eval("document.title");
    assert!(!title.as_str().unwrap().contains("ran"), "an event ran: {title}");
    // The bytes on the page are those of the record.
    let shown = "document.querySelector('.event .dump pre').innerText.split('\\n').map((line) => line.slice(8, 56)).join(' ').trim().split(/\\s+/).join('')";
    let kept = "fetch('/api/events/' + location.hash.split('/')[2]).then((answer) => answer.json()).then((event) => \
        Array.from(atob(event.bytes), (letter) => letter.charCodeAt(0).toString(16).padStart(2, '0')).join(''))";
    let (shown, kept) = (browser.eval(shown), browser.eval(kept));
    assert_eq!(shown, kept);
    let hex =
        shown.as_str().unwrap().as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = hex.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    assert!(String::from_utf8_lossy(&bytes).contains(MAKER), "the maker is not in the bytes");
    assert_eq!(browser.complaints(), [] as [String; 0]);
}

/// What it must not do, asked from inside the browser.
fn refuses(browser: &mut Browser, viewer: &Viewer, copy: &Path) {
    for question in ["level", "enable", "disable", "delete", "flush", "status"] {
        let change = format!(
            "fetch('/api/{question}', {{ method: 'POST', body: '{{\"level\":0}}' }}).then((answer) => answer.status)"
        );
        assert_eq!(browser.eval(&change), 405, "{question}");
    }
    let cookie = browser.cookies();
    assert_eq!(viewer.ask("/api/status", &cookie).0, 200);
    let rebound = format!("Host: rebound.example\r\nCookie: {cookie}\r\n");
    assert!(viewer.send("GET /api/status", &rebound, "").starts_with("HTTP/1.1 403"));
    let foreign =
        format!("Host: {}\r\nOrigin: http://evil.example\r\nCookie: {cookie}\r\n", viewer.address);
    assert!(viewer.send("GET /api/status", &foreign, "").starts_with("HTTP/1.1 403"));
    assert!(viewer.open(&viewer.key).is_none(), "a second use of the key");
    browser.visit(&format!("file://{}", copy.display()));
    browser.until("document.querySelector('h1')?.innerText === 'This page opens with a key'");
    browser.visit("data:text/html,<h1>Another page</h1>");
    browser.until("document.querySelector('h1')?.innerText === 'Another page'");
    let steal = format!(
        "fetch('http://{}/api/status', {{ credentials: 'include' }}).then(() => 'read', () => 'refused')",
        viewer.address
    );
    assert_eq!(browser.eval(&steal), "refused");
}

#[test]
fn the_page_follows_the_agent_by_itself_and_closes_where_policy_says_so() {
    let program = chromium();
    if !need("Chromium (.ci/packages installs it)", program.is_some()) {
        return;
    }
    let (_host, _collector, mut agent) = stage();
    let viewer = Viewer::start(&agent, &[]);
    let mut browser = open(&program.unwrap(), &viewer);
    let level =
        |level: u8| format!("document.querySelector('.lead .big b').innerText === '{level}'");
    let lower = |agent: &Agent, level: &str| {
        let lowered = agent.ctl(&["set-level", level]);
        assert_eq!(lowered.code, Some(0), "{lowered:?}");
    };
    browser.until(&level(3));
    lower(&agent, "2");
    browser.until(&level(2));
    // Paused, it stays as it is until somebody wants it to go on.
    browser.eval("document.getElementById('pause').click()");
    browser.until("document.getElementById('pulse').innerText === 'paused'");
    lower(&agent, "1");
    browser.eval("document.getElementById('pause').click()");
    browser.until(&level(1));

    // What comes appears at the top of the list, and the focus stays where it was.
    browser.eval("location.hash = '#/events'");
    browser.until("document.querySelector('tbody a[data-seq]')");
    browser.eval("document.querySelector('tbody a[data-seq]').focus()");
    let seq = "Number(document.querySelector('tbody a[data-seq]').dataset.seq)";
    let newest = browser.eval(seq);
    browser.until(&format!("{seq} > {newest}"));

    agent.stop();
    browser.until("document.getElementById('alarm').innerText.includes('To do: start the agent')");
    agent.run();
    browser.until("document.getElementById('alarm').innerText === ''");
    agent.write("etc/candor/policy.d/1.toml", "DisableDiagnosticDataViewer = 1\n");
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    let closed =
        "document.getElementById('alarm').innerText.includes('DisableDiagnosticDataViewer')";
    browser.until(closed);
    let end = viewer.end();
    assert_eq!(end.code, Some(3), "{end:?}");
}

/// The rules of accessibility that a program can check.
fn axe() -> Option<PathBuf> {
    let venv = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv/lib");
    let pythons = fs::read_dir(venv).ok()?.filter_map(Result::ok);
    let file =
        |python: fs::DirEntry| python.path().join("site-packages/axe_core_python/axe.min.js");
    pythons.map(file).find(|file| file.is_file())
}

#[test]
fn every_view_is_quiet_and_accessible_in_the_light_and_in_the_dark() {
    let (program, axe) = (chromium(), axe());
    let is_met = program.is_some() && axe.is_some();
    if !need("Chromium and axe-core (.ci/packages installs them)", is_met) {
        return;
    }
    let rules = fs::read_to_string(axe.unwrap()).unwrap();
    let (_host, _collector, agent) = stage();
    agent.settle();
    let viewer = Viewer::start(&agent, &[]);
    let mut browser = open(&program.unwrap(), &viewer);
    for (view, is_there) in VIEWS {
        browser.eval(&format!("location.hash = '#/{view}'"));
        browser.until(is_there);
        look(&mut browser, view, &rules);
    }
    browser.eval("location.hash = '#/events?text=zebrafink'");
    browser.until("document.querySelector('tbody a[data-seq]')");
    browser.eval("document.querySelector('tbody a[data-seq]').click()");
    browser.until("document.querySelector('.event .dump')");
    look(&mut browser, "event", &rules);
    browser.eval("location.hash = '#/sent'");
    browser.until("document.querySelector('.requests tbody button')");
    browser.eval("document.querySelector('.requests tbody button').click()");
    browser.until("document.querySelector('.body .dump pre')");
    look(&mut browser, "request", &rules);
}

fn look(browser: &mut Browser, view: &str, rules: &str) {
    let pictures = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots"));
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 400)] {
        browser.screen(scheme, width);
        let file = pictures.join(format!("{view}-{scheme}-{width}.png"));
        browser.screenshot(&file);
        let too_wide = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(browser.eval(too_wide), false, "{view} is wider than {width}");
        browser.eval(&format!("{rules}; 0"));
        let judged = "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map((one) => \
            one.id + ': ' + one.nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary).join(' | ')))";
        assert_eq!(browser.eval(judged), Value::Array(Vec::new()), "{view}, {scheme}, {width}");
    }
    browser.screen("light", 1280);
    assert_eq!(browser.complaints(), [] as [String; 0], "{view}");
}
