//! `kubectl` against the server, as a person would type it.
#![allow(clippy::unwrap_used)]

mod custom;
mod events;
mod reads;
mod writes;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use watchcache_embedded_server::EmbeddedServer;

struct Kubectl {
    server: String,
    home: PathBuf,
}

impl Kubectl {
    /// `None`, with a line that says so, when it is not installed.
    fn new(server: &EmbeddedServer) -> Option<Kubectl> {
        let installed = Command::new("kubectl").args(["version", "--client"]).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            println!("skipped: kubectl is not installed");
            return None;
        }
        let home = std::env::temp_dir().join(format!(
            "kubectl-{}-{}",
            std::process::id(),
            server.address().port()
        ));
        std::fs::create_dir_all(&home).unwrap();
        Some(Kubectl { server: server.url(), home })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg(format!("--server={}", self.server))
            .arg("--kubeconfig=/dev/null")
            .arg(format!("--cache-dir={}", self.home.join("cache").display()))
            .args(arguments)
            .env("HOME", &self.home)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it with a manifest as its input.
    fn feed(&self, arguments: &[&str], manifest: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs it with a manifest, which it must take; what it says.
    fn with(&self, arguments: &[&str], manifest: &str) -> String {
        let output = self.feed(arguments, manifest);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What it says.
    fn says(&self, arguments: &[&str]) -> String {
        self.lines(arguments).join("\n")
    }

    /// Runs it until it says what is wanted.
    fn until(&self, arguments: &[&str], is_wanted: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        for _ in 0..60 {
            said = self.says(arguments);
            if is_wanted(&said) {
                return said;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{arguments:?}: {said}");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
