//! A real Prometheus, which scrapes what a test runs, and its tool that looks at what others show.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::{Process, free_port, wait_until_listening};

/// A running Prometheus, with data of its own. Ends when dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts a server that scrapes `target` every 200 ms, as the job `outport`, with these rules.
    ///
    /// # Panics
    ///
    /// If `prometheus` is not installed, or does not listen.
    pub fn start(target: SocketAddr, rules: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
             rule_files: [{:?}]\n\
             scrape_configs: [{{ job_name: outport, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n",
            rules.display().to_string()
        );
        fs::write(&config, text).expect("a file in a folder of our own");
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM).expect("prometheus is installed");
        wait_until_listening("prometheus", port);
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// The samples that `expression` evaluates to, each with its labels.
    ///
    /// # Panics
    ///
    /// If it is none that Prometheus understands.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encoded(expression)));
        if answer.is_null() {
            return Vec::new();
        }
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().expect("a vector");
        result
            .iter()
            .map(|sample| {
                let number = sample["value"][1].as_str().and_then(|number| number.parse().ok());
                (sample["metric"].clone(), number.expect("a number"))
            })
            .collect()
    }

    /// The one number that `expression` evaluates to; none if there is no sample.
    ///
    /// # Panics
    ///
    /// If there are several.
    pub fn number(&self, expression: &str) -> Option<f64> {
        let samples = self.query(expression);
        assert!(samples.len() < 2, "{expression}: {samples:?}");
        samples.first().map(|(_, number)| *number)
    }

    /// The last error of scraping, if there was one.
    pub fn scrape_error(&self) -> String {
        let answer = self.ask("/api/v1/targets");
        answer["data"]["activeTargets"][0]["lastError"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Null while it is not ready.
    fn ask(&self, path: &str) -> Value {
        let server = SocketAddr::from(([127, 0, 0, 1], self.port));
        match http::get(server, path) {
            Ok(response) => serde_json::from_str(&response.body).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        }
    }
}

/// Runs `promtool` with `input`, and answers whether it was content, and what it said.
///
/// # Panics
///
/// If it is not installed.
pub fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end before it has read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Every byte that a query of a URL might take for something else, as `%XX`.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
