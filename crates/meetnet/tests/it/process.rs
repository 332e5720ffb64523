//! Starting the program, reading what it prints, and stopping it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a step may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program without the caller's settings.
pub(crate) fn meetnet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetnet"));
    without_settings(&mut command);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a line as a person types it, which must succeed; returns what it printed.
pub(crate) fn shell(line: &str) -> String {
    let mut command = Command::new("sh");
    without_settings(&mut command);
    command.args(["-c", line]).stdin(Stdio::null());
    let output = command.output().expect("there is a shell");
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("MEETNET_") || name == "RUST_LOG" {
            command.env_remove(name.as_ref());
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    meetnet(arguments).output().expect("the program starts")
}

/// Runs a command that must succeed; returns what it printed.
pub(crate) fn answer(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that must fail with `code`; returns its message.
pub(crate) fn refusal(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    message
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running program; killed if a test forgets it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = meetnet(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for stream in [stdout, stderr] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the lines that have been waited for, and those before them.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits for a line that contains `wanted`; returns what follows it in the line.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> String {
        let found = |line: &String| line.split_once(wanted).map(|(_, rest)| rest.to_owned());
        if let Some(rest) = self.seen.iter().find_map(found) {
            return rest;
        }
        self.wait_for_next(wanted)
    }

    /// The same among the lines that nobody has waited for yet.
    pub(crate) fn wait_for_next(&mut self, wanted: &str) -> String {
        let found = |line: &String| line.split_once(wanted).map(|(_, rest)| rest.to_owned());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let rest = found(&line);
                    self.seen.push(line);
                    if let Some(rest) = rest {
                        return rest;
                    }
                }
                Err(error) => panic!("no `{wanted}` ({error}) in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Returns the address behind `label` in what the demo prints, `http://…` without the slash at its end.
    pub(crate) fn address(&mut self, label: &str) -> String {
        self.wait_for(label).trim().trim_end_matches('/').to_owned()
    }

    /// Returns the address behind `label` in what a daemon logs, `http://…`.
    pub(crate) fn listener(&mut self, label: &str) -> String {
        let rest = self.wait_for(label);
        format!("http://{}", rest.split_whitespace().next().unwrap_or(""))
    }

    /// Stops it as Ctrl-C does; it must end well.
    pub(crate) fn stop(self) {
        let (status, said) = self.interrupt();
        assert_eq!(status.code(), Some(0), "{said}");
    }

    /// Sends a signal: `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .expect("kill is there");
        assert!(sent.success());
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end.
    pub(crate) fn interrupt(mut self) -> (ExitStatus, String) {
        self.signal("INT");
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "does not stop:\n{}",
                self.seen.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        self.seen.extend(self.lines.iter());
        (status, std::mem::take(&mut self.seen).join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends one HTTP request; returns status and body.
pub(crate) fn http(method: &str, url: &str, body: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).expect("the listener is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = body.len();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    (status.expect("a status line"), body.unwrap_or_default())
}

/// Waits until `/readyz` answers 200.
pub(crate) fn wait_until_ready(http_address: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = http("GET", &format!("{http_address}/readyz"), "");
        if status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "not ready: {body}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
