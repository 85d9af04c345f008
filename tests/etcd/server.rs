//! A real etcd, each member in a folder of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use etcd_client::Client;

pub(crate) struct Etcd {
    process: Child,
    folder: PathBuf,
    pub(crate) address: String,
}

impl Etcd {
    /// Starts one of its own and waits until it answers.
    ///
    /// # Panics
    /// If there is none: a test that did not run has not passed.
    pub(crate) async fn start() -> Self {
        let [etcd] = Self::cluster().await;
        etcd
    }

    /// Starts the members of a cluster and waits until each answers.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) async fn cluster<const N: usize>() -> [Self; N] {
        let peers: [String; N] = std::array::from_fn(|_| format!("http://{}", free_address()));
        let names = peers.iter().enumerate().map(|(number, peer)| format!("m{number}={peer}"));
        let cluster = names.collect::<Vec<_>>().join(",");
        let mut members: [Self; N] =
            std::array::from_fn(|number| Self::member(number, &peers[number], &cluster));
        for member in &mut members {
            member.wait_until_it_answers().await;
        }
        members
    }

    fn member(number: usize, peer_url: &str, cluster: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("watchcache-etcd-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let address = free_address();
        let url = format!("http://{address}");
        let program = std::env::var("ETCD").unwrap_or_else(|_| "etcd".to_owned());
        let process = Command::new(&program)
            .args(["--name", &format!("m{number}")])
            .args(["--data-dir", folder.to_str().unwrap(), "--log-level", "error"])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url])
            .args(["--initial-cluster", cluster])
            .arg("--unsafe-no-fsync")
            .arg("--experimental-watch-progress-notify-interval=1s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "\n\n*** NOT TESTED against etcd: {program:?} does not start: {error}. \
                     `.ci/etcd` installs one; the variable ETCD names another. ***\n\n"
                )
            });
        Self { process, folder, address }
    }

    async fn wait_until_it_answers(&mut self) {
        for _ in 0..300 {
            if let Ok(mut client) = Client::connect([&self.address], None).await
                && client.put("started", "", None).await.is_ok()
            {
                return;
            }
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("etcd ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("etcd does not answer at {}", self.address);
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect([&self.address], None).await.unwrap()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Nothing more is wanted of it, and the folder is deleted.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
