//! A TCP proxy whose connections a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections until it is told to cut them. Dropping it cuts them for good.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accept: JoinHandle<()>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// Connections of an earlier epoch are cut.
    epoch: u64,
    refuse: bool,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State::default()));
        let accept = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&state)));
        Self { address, state, accept }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts what is connected; whoever comes next is served.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.epoch += 1);
    }

    /// Cuts what is connected and serves nobody until [`admit`](Self::admit).
    pub(crate) fn refuse(&self) {
        self.state.send_modify(|state| {
            state.epoch += 1;
            state.refuse = true;
        });
    }

    pub(crate) fn admit(&self) {
        self.state.send_modify(|state| state.refuse = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.refuse();
    }
}

async fn accept(listener: TcpListener, target: String, state: Arc<watch::Sender<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut changes = state.subscribe();
        let State { epoch, refuse } = *changes.borrow_and_update();
        if refuse {
            continue;
        }
        let target = target.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = forward(client, target) => {}
                _ = changes.wait_for(|now| now.epoch != epoch) => {}
            }
        });
    }
}

async fn forward(mut client: TcpStream, target: String) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
