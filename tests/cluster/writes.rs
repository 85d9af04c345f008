//! What client-go's clients write to the embedded server: the Go tests in `writes/`, each at a server of
//! its own, in the encoding that the clients choose and in JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::OnceCell;
use watchcache_embedded_server::{Config, EmbeddedServer, Scheduler};

/// The names of all of them, from their sources.
pub(crate) fn tests() -> Vec<String> {
    let sources = folder().read_dir().unwrap().map(|file| file.unwrap().path());
    let mut tests: Vec<String> = sources
        .flat_map(|source| {
            let text = std::fs::read_to_string(source).unwrap();
            let tests = text.lines().filter_map(|line| {
                let (name, _) = line.strip_prefix("func ")?.split_once("(t *testing.T) {")?;
                name.starts_with("Test").then(|| name.to_owned())
            });
            tests.collect::<Vec<_>>()
        })
        .collect();
    tests.sort();
    tests
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("writes")
}

/// What typed clients speak.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// What they choose: protobuf.
    OfClients,
    Json,
}

/// Runs one of them.
pub(crate) async fn run(test: String, content: Content) {
    let content = match content {
        Content::OfClients => "-content=",
        Content::Json => "-content=application/json",
    };
    let config = Config { pods: 10, rate: 0, scheduler: Scheduler::External, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let output = Command::new(program().await)
        .args([
            "-test.v",
            &format!("-test.run=^{test}$"),
            &format!("-server={}", server.url()),
            content,
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program was just built");
    let said = String::from_utf8_lossy(&output.stdout);
    // To Go, no test at all is a success, too.
    assert!(output.status.success() && said.contains(&format!("--- PASS: {test} ")), "{said}");
    server.stop().await;
}

/// Builds the Go tests, once.
async fn program() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("writes.test");
        let mut command = Command::new("go");
        command.args(["test", "-c", "-o"]).arg(&binary).arg(".");
        let built = command.current_dir(folder()).status().await.unwrap();
        assert!(built.success(), "the Go tests do not build");
        binary
    };
    BUILT.get_or_init(build).await
}
