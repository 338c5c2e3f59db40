//! Who notices a pod's first answer: a process in the node's network, since that of the tests' node is its own. It is there
//! before the pod is, so that its own start is in no number.
//!
//! ```text
//! measuring process ── address ─▶ stdin   connects until it is 200   stdout ── "answered" ─▶ measuring process
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::node::Node;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_micros(500);

/// The other process, which ends with this value.
pub(super) struct Answers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Answers {
    pub(super) fn watched_from(node: &Node) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = node
            .inside(&[&program.to_string_lossy(), "first-answers"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().expect("a piped input");
        let from = BufReader::new(child.stdout.take().expect("a piped output"));
        Ok(Self { child, to, from })
    }

    /// Begins to look at port 80 of an address.
    pub(super) fn watch(&mut self, address: &str) -> io::Result<()> {
        writeln!(self.to, "{address}:80")
    }

    /// Waits until it has answered.
    pub(super) fn came(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        if line == "answered\n" {
            Ok(())
        } else {
            Err(io::Error::other(format!("no answer: {line}")))
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What that process does: for each address that it reads it says when a request there was answered.
pub(crate) fn answer_each() -> io::Result<()> {
    for line in io::stdin().lines() {
        let address = line?.parse().map_err(io::Error::other)?;
        let said = match first_answer(address) {
            Ok(()) => "answered\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        let mut output = io::stdout();
        output.write_all(said.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

fn first_answer(address: SocketAddr) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match ask(address) {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn ask(address: SocketAddr) -> io::Result<()> {
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    connection.read_exact(&mut head)?;
    if &head == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&head)))
    }
}
