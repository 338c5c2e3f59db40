//! A browser, Chromium, driven from the tests by its DevTools protocol over a pipe: JSON messages with a NUL behind each, on
//! its descriptors 3 and 4. No port is opened for it, and its profile is a folder that goes with it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::until::{PATIENCE, until};

/// A browser with one tab.
pub struct Browser {
    process: Process,
    _profile: TempDir,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    next: u64,
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts it. `None` where it is not installed, which under `CI` fails.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start() -> Option<Self> {
        let is_there = Command::new("chromium").arg("--version").output();
        if !is_there.is_ok_and(|said| said.status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "chromium is not installed (package chromium)"
            );
            eprintln!("skipped: there is no chromium");
            return None;
        }
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut command = Command::new("sh");
        // The descriptors that it speaks by are 3 and 4; what it prints is noise.
        command
            .args([
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "chromium",
            ])
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command, Signal::KILL).expect("sh is there");
        let commands = process.child().stdin.take().expect("a piped input");
        let output = process.child().stdout.take().expect("a piped output");
        let mut browser = Self {
            process,
            _profile: profile,
            commands,
            messages: read(output),
            session: None,
            next: 0,
            events: VecDeque::new(),
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = json!({"targetId": tab["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attached);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Asks for something, and answers what came of it.
    ///
    /// # Panics
    ///
    /// If the browser refuses, or says nothing.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.commands.write_all(&text).expect("the browser listens");
        loop {
            let said = self.messages.recv_timeout(PATIENCE).expect("the browser answers");
            if said["id"] != json!(self.next) {
                self.events.push_back(said);
                continue;
            }
            assert!(said.get("error").is_none(), "{method}: {said}");
            return said["result"].clone();
        }
    }

    /// Goes to a page, and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    ///
    /// If it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let said = self.call("Runtime.evaluate", asked);
        assert!(said.get("exceptionDetails").is_none(), "{expression}: {said}");
        said["result"]["value"].clone()
    }

    /// Waits until an expression in the page holds.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        until(format_args!("in the page: {expression}"), || {
            self.evaluate(expression) == Value::Bool(true)
        });
    }

    /// The text that an element shows, which a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let selector = Value::from(selector);
        let text = self.evaluate(&format!("document.querySelector({selector})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Makes the window so large, in light or dark colours.
    pub fn look(&mut self, (width, height): (u32, u32), colours: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": colours}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Presses a key that writes nothing, such as `Tab`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => 32,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A picture of the page from its top, so high, as a PNG.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn screenshot(&mut self, path: &Path, (width, height): (u32, u32)) {
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let said = self.call("Page.captureScreenshot", asked);
        let data = said["data"].as_str().expect("a picture");
        let picture = BASE64_STANDARD.decode(data).expect("a picture");
        std::fs::write(path, picture).expect("the picture is written");
    }

    /// What the page complained of since it was asked last: what it may not load or run, errors of its scripts, and what they
    /// said.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever was on its way is there behind an answer.
        self.evaluate("0");
        let is_one = |event: &Value| {
            let methods = [
                "Log.entryAdded",
                "Runtime.exceptionThrown",
                "Runtime.consoleAPICalled",
            ];
            methods.contains(&event["method"].as_str().unwrap_or_default())
        };
        let events = self.events.drain(..);
        events.filter(is_one).map(|event| event.to_string()).collect()
    }
}

/// Closed, so that what it has started ends with it.
impl Drop for Browser {
    fn drop(&mut self) {
        let message = "{\"id\":0,\"method\":\"Browser.close\"}\0";
        if self.commands.write_all(message.as_bytes()).is_ok() {
            let _ = self.process.wait(Duration::from_secs(5));
        }
    }
}

fn read(output: ChildStdout) -> Receiver<Value> {
    let (told, messages) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut message = Vec::new();
        while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
            message.pop();
            if let Ok(said) = serde_json::from_slice(&message)
                && told.send(said).is_err()
            {
                return;
            }
            message.clear();
        }
    });
    messages
}
