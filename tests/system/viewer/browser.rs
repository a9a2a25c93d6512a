//! A real Chromium without a screen, told what to do over its `DevTools` protocol: JSON with a zero byte behind it,
//! over two pipes.
//!
//! # Invariants
//! - Its profile is a temporary directory; it knows nothing of another browser on this host.
//! - It has ended when this is dropped.
//!
//! On failure: panics, it is a test.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use candor_tests::LIMIT;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The programs by which distributions call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Where it is installed.
pub(super) fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path);
    places.flat_map(|dir| NAMES.map(|name| dir.join(name))).find(|file| file.is_file())
}

/// A browser with one page.
pub(super) struct Browser {
    process: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    session: Value,
    next: u64,
    complaints: Vec<String>,
    profile: TempDir,
}

impl Browser {
    pub(super) fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("log")).unwrap();
        let mut command = Command::new("sh");
        // The protocol wants descriptors 3 and 4.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"]);
        command.arg(program).args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--no-first-run",
            "--no-default-browser-check",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            "--window-size=1280,900",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|length| length > 0) {
                let message = serde_json::from_slice(
                    bytes.trim_ascii_end().strip_suffix(b"\0").unwrap_or(&bytes),
                );
                bytes.clear();
                // Nobody listens any more once the test is over.
                if message.is_ok_and(|message| sender.send(message).is_err()) {
                    return;
                }
            }
        });
        let session = Value::Null;
        let mut browser =
            Self { process, input, messages, session, next: 0, complaints: Vec::new(), profile };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", &json!({}));
        let targets = targets["targetInfos"].as_array().unwrap().clone();
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        let wanted = json!({ "targetId": page["targetId"], "flatten": true });
        self.session = self.call("Target.attachToTarget", &wanted)["sessionId"].clone();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            self.call(domain, &json!({}));
        }
    }

    /// One command and its answer; what the page says meanwhile is kept. A question that a page met
    /// while it went to the next one is asked again there.
    pub(super) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        loop {
            let answer = self.ask(method, parameters);
            let Some(error) = answer.get("error") else { return answer["result"].clone() };
            let is_on_its_way = method == "Runtime.evaluate"
                && error["message"].as_str().is_some_and(|why| why.contains("navigated"));
            assert!(is_on_its_way, "{method}: {answer}");
        }
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let written = self.input.as_mut().unwrap().write_all(&bytes);
        assert!(written.is_ok(), "{written:?}: {}", self.log());
        loop {
            let answer = self.messages.recv_timeout(LIMIT);
            let Ok(answer) = answer else { unreachable!("{method}: {answer:?}: {}", self.log()) };
            if answer["id"] == self.next {
                return answer;
            }
            self.notice(&answer);
        }
    }

    fn notice(&mut self, event: &Value) {
        let parameters = &event["params"];
        let is_complaint = match event["method"].as_str() {
            Some("Log.entryAdded") => {
                ["error", "warning"].iter().any(|level| parameters["entry"]["level"] == *level)
            }
            Some("Runtime.consoleAPICalled") => {
                ["error", "warning", "assert"].iter().any(|kind| parameters["type"] == *kind)
            }
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
            _ => false,
        };
        if is_complaint {
            self.complaints.push(parameters.to_string());
        }
    }

    /// What the console complained of since the last time.
    pub(super) fn complaints(&mut self) -> Vec<String> {
        // What was said before this answer has come with it.
        self.eval("1");
        std::mem::take(&mut self.complaints)
    }

    pub(super) fn visit(&mut self, address: &str) {
        self.call("Page.navigate", &json!({ "url": address }));
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(super) fn eval(&mut self, expression: &str) -> Value {
        let wanted =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &wanted);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true; on the way to another page it cannot be asked.
    pub(super) fn until(&mut self, expression: &str) {
        let guarded =
            format!("(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()");
        let wanted = json!({ "expression": guarded, "returnByValue": true });
        let mut last = String::new();
        let end = Instant::now() + LIMIT;
        loop {
            let answer = self.call("Runtime.evaluate", &wanted);
            if answer["result"]["value"] == true {
                return;
            }
            if Instant::now() > end {
                let shown = json!({ "expression": "location.href + ' ' + document.body?.innerText", "returnByValue": true });
                last.push_str(&self.call("Runtime.evaluate", &shown).to_string());
                unreachable!("waited in vain for {expression}: {last} {:?}", self.complaints);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key by its name in the DOM, such as `Tab`.
    pub(super) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            other => unreachable!("no key {other}"),
        };
        let name = if key == " " { "Space" } else { key };
        let down = json!({ "type": "keyDown", "key": key, "code": name, "windowsVirtualKeyCode": code, "text": text });
        self.call("Input.dispatchKeyEvent", &down);
        let up =
            json!({ "type": "keyUp", "key": key, "code": name, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", &up);
    }

    /// Types text into what has the focus.
    pub(super) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Presses Tab until what has the focus fulfils a condition on `it`.
    pub(super) fn tab_to(&mut self, condition: &str) {
        let expression = format!("((it) => !!({condition}))(document.activeElement)");
        for _ in 0..300 {
            if self.eval(&expression) == true {
                return;
            }
            self.press("Tab");
        }
        let here = self.eval("document.activeElement.outerHTML");
        unreachable!("the keyboard does not come to {condition}; it is at {here}");
    }

    /// Colours and size of the screen.
    pub(super) fn screen(&mut self, scheme: &str, width: u32) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": feature }));
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The whole page as a picture.
    pub(super) fn screenshot(&mut self, file: &Path) {
        use base64::Engine as _;
        // What sticks to the top belongs there.
        self.eval("scrollTo(0, 0)");
        let wanted = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", &wanted);
        let picture = base64::engine::general_purpose::STANDARD;
        let picture = picture.decode(answer["data"].as_str().unwrap()).unwrap();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, picture).unwrap();
    }

    /// The cookies that it holds, as a request would bring them.
    pub(super) fn cookies(&mut self) -> String {
        let answer = self.call("Network.getCookies", &json!({}));
        let cookies = answer["cookies"].as_array().unwrap().iter();
        let pair = |cookie: &Value| {
            format!("{}={}", cookie["name"].as_str().unwrap(), cookie["value"].as_str().unwrap())
        };
        cookies.map(pair).collect::<Vec<_>>().join("; ")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.profile.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its processes end when the pipe closes; all of them are gone before its profile goes.
        drop(self.input.take());
        let end = Instant::now() + LIMIT;
        while Instant::now() < end && self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
