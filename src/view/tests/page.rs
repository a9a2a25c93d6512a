//! The page's server with real connections and a source that knows a few answers: who is let in, what is
//! refused, and how it ends.
//!
//! # Invariants
//! - No time is waited for but the one that a test asks the viewer to be patient for.
//!
//! On failure: panics, it is a test.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use candor_view::{Answer, End, Question, Refused, Settings, Source, Viewer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const PATIENT: Settings = Settings { gone_after: Duration::from_mins(10) };

/// Answers with the question's own words, and remembers it.
#[derive(Clone, Default)]
struct Echo {
    asked: Rc<RefCell<Vec<Question>>>,
}

impl Source for Echo {
    async fn ask(&self, question: Question) -> Result<Answer, Refused> {
        self.asked.borrow_mut().push(question.clone());
        match question {
            Question::Event(404) => Err(Refused::new(404, "not_found", "there is no event 404")),
            Question::Stats => Err(Refused {
                is_final: true,
                ..Refused::new(403, "refused_by_policy", "DisableDiagnosticDataViewer = 1")
            }),
            Question::Body(_) => Ok(Answer {
                content_type: "application/octet-stream".into(),
                bytes: vec![0, 255, 60],
            }),
            question => Ok(Answer::json(format!("{{\"question\":\"{question:?}\"}}"))),
        }
    }
}

/// What a browser would know.
struct Browser {
    address: SocketAddr,
    key: String,
    cookie: String,
    source: Echo,
}

impl Browser {
    async fn raw(&self, request: String) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // It may be closed on us before everything was read.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn send(&self, line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        let fixed = format!("Connection: close\r\nContent-Length: {length}\r\n");
        self.raw(format!("{line} HTTP/1.1\r\n{fixed}{headers}\r\n{body}")).await
    }

    /// A request as the page itself makes it.
    async fn get(&self, path: &str) -> String {
        let (address, cookie) = (self.address, &self.cookie);
        self.send(&format!("GET {path}"), &format!("Host: {address}\r\n{cookie}"), "").await
    }

    /// The form of the file.
    async fn post_key(&self, key: &str) -> String {
        let headers = format!("Host: {}\r\nOrigin: null\r\n", self.address);
        self.send("POST /open", &headers, &format!("key={key}")).await
    }
}

/// The key that stands in the file.
fn key(viewer: &Viewer) -> String {
    let form = fs::read_to_string(viewer.file()).unwrap();
    form.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Serves while `test` runs; how it ended.
async fn with_viewer(settings: Settings, test: impl AsyncFnOnce(&mut Browser)) -> End {
    let viewer = Viewer::open().await.unwrap();
    let key = key(&viewer);
    let source = Echo::default();
    let address = viewer.address();
    let mut browser = Browser { address, key, cookie: String::new(), source: source.clone() };
    let (file, stop) = (viewer.file().to_owned(), Notify::new());
    let tested = async {
        test(&mut browser).await;
        stop.notify_one();
    };
    let (end, ()) = tokio::join!(viewer.serve(source, settings, stop.notified()), tested);
    assert!(!file.exists(), "the file is left behind");
    end
}

async fn open(browser: &mut Browser) {
    let opened = browser.post_key(&browser.key).await;
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    let cookie = opened.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    browser.cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn the_key_opens_once_and_without_it_nothing_is_said() {
    let end = with_viewer(PATIENT, async |browser| {
        for path in ["/", "/index.html", "/app.js", "/api/status", "/api/events/1"] {
            assert_eq!(status(&browser.get(path).await), "403", "{path}");
        }
        assert_eq!(status(&browser.post_key("0").await), "403");
        open(browser).await;
        assert!(browser.get("/api/status").await.contains("Status"));
        assert_eq!(status(&browser.get("/").await), "200");
        let again = browser.post_key(&browser.key).await;
        assert_eq!(status(&again), "403", "a second use");
        assert!(!again.contains("set-cookie"));
        assert_eq!(*browser.source.asked.borrow(), [Question::Status]);
    })
    .await;
    assert_eq!(end, End::Stopped);
}

#[tokio::test]
async fn a_foreign_host_and_a_foreign_origin_are_refused_whatever_they_bring() {
    with_viewer(PATIENT, async |browser| {
        open(browser).await;
        let own = format!("Host: {}\r\n", browser.address);
        for foreign in [
            "Host: rebound.example\r\n".to_owned(),
            format!("{own}Origin: http://evil.example\r\n"),
            format!("{own}Origin: null\r\n"),
            format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        ] {
            let headers = format!("{foreign}{}", browser.cookie);
            let answer = browser.send("GET /api/status", &headers, "").await;
            assert_eq!(status(&answer), "403", "{foreign}");
            assert!(!answer.contains("question"), "{answer}");
        }
        assert!(browser.source.asked.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn nothing_but_reading_is_possible_and_every_answer_is_strict() {
    with_viewer(PATIENT, async |browser| {
        open(browser).await;
        let headers = format!("Host: {}\r\n{}", browser.address, browser.cookie);
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            for path in ["/api/level", "/api/status", "/v1/disable", "/"] {
                let answer = browser.send(&format!("{method} {path}"), &headers, "{}").await;
                assert_eq!(status(&answer), "405", "{method} {path}");
            }
        }
        for path in ["/", "/api/status", "/api/nowhere", "/api/events/404", "/style.css"] {
            let answer = browser.get(path).await;
            for header in [
                "content-security-policy: default-src 'none'; script-src 'self';",
                "frame-ancestors 'none'",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "cache-control: no-store",
            ] {
                assert!(answer.contains(header), "{path} lacks {header}: {answer}");
            }
        }
        assert!(browser.get("/api/events/404").await.contains("there is no event 404"));
        assert!(browser.get("/api/journal/1/body").await.contains("application/octet-stream"));
        let asked = browser.source.asked.borrow();
        let expected =
            [Question::Status, Question::Event(404), Question::Event(404), Question::Body(1)];
        assert_eq!(*asked, expected);
    })
    .await;
}

#[tokio::test]
async fn it_ends_when_nobody_looks_and_when_policy_closes_it() {
    let impatient = Settings { gone_after: Duration::from_millis(10) };
    let viewer = Viewer::open().await.unwrap();
    let end = viewer.serve(Echo::default(), impatient, std::future::pending()).await;
    assert_eq!(end, End::Gone);

    let viewer = Viewer::open().await.unwrap();
    let key = key(&viewer);
    let source = Echo::default();
    let (address, cookie) = (viewer.address(), String::new());
    let mut browser = Browser { address, key, cookie, source: source.clone() };
    let look = async {
        open(&mut browser).await;
        let answer = browser.get("/api/stats").await;
        assert!(answer.contains("DisableDiagnosticDataViewer"), "the page is told: {answer}");
    };
    let (end, ()) = tokio::join!(viewer.serve(source, PATIENT, std::future::pending()), look);
    assert_eq!(end, End::Refused("DisableDiagnosticDataViewer = 1".into()));
}

#[tokio::test]
async fn a_hostile_form_is_refused_and_costs_nothing() {
    with_viewer(PATIENT, async |browser| {
        let headers = format!("Host: {}\r\n", browser.address);
        for body in ["", "key", "a=b", &"key=x".repeat(1000), "key=\u{e9}"] {
            let answer = browser.send("POST /open", &headers, body).await;
            // It may close before the long one is read, and its answer be lost with it.
            assert!(["400", "403", ""].contains(&status(&answer)), "{answer}");
        }
        assert_eq!(status(&browser.raw("nonsense\r\n\r\n".into()).await), "400");
        open(browser).await;
    })
    .await;
}
