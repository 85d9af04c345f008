//! Builds and drives the Go program in `server/`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// What the program says when its servers are ready: where its kubeconfigs are.
#[derive(Debug, Deserialize)]
pub(crate) struct Ready {
    /// The administrator's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// Trusts another authority than the server's.
    pub(crate) distrusting: PathBuf,
    /// Has a client certificate of another authority.
    pub(crate) distrusted: PathBuf,
    /// Has a client certificate that is no longer valid.
    pub(crate) expired: PathBuf,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
}

/// The running program. It ends with this process, however that ends, since its input closes.
pub(crate) struct Server {
    pub(crate) ready: Ready,
    program: Mutex<Program>,
}

struct Program {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

/// Why the program cannot be built here, if so.
pub(crate) fn missing() -> Option<String> {
    match std::process::Command::new("go").arg("version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("`go version` failed: {}", output.status)),
        Err(error) => Some(format!("Go is not installed (`go version`: {error})")),
    }
}

impl Server {
    /// Builds the program, starts it and waits until its servers are ready.
    pub(crate) async fn start() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("server");
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster-server");
        eprintln!("building kube-apiserver and etcd (minutes, the first time)");
        let built = Command::new(source.join("build.sh")).arg(&binary).status().await.unwrap();
        assert!(built.success(), "the Go program does not build");

        let mut process = Command::new(&binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was just built");
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().expect("piped")).lines();
        let ready = output.next_line().await.unwrap().expect("the servers do not start");
        Self {
            ready: serde_json::from_str(&ready).unwrap(),
            program: Mutex::new(Program { process, input, output }),
        }
    }

    /// Gives the program a command and waits until it is done.
    pub(crate) async fn obey(&self, command: &str) {
        let program = &mut *self.program.lock().await;
        let input = program.input.as_mut().expect("it runs");
        input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = program.output.next_line().await.unwrap().expect("the program ended");
        let answer: Answer = serde_json::from_str(&line).unwrap();
        assert!(answer.ok, "{command}: {}", answer.error);
    }

    /// Ends the program and waits until it has cleared up.
    pub(crate) async fn stop(&self) {
        let program = &mut *self.program.lock().await;
        drop(program.input.take());
        let ended = program.process.wait().await.unwrap();
        assert!(ended.success(), "the program ended badly: {ended}");
    }
}
