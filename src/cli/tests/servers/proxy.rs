//! Proxies that lead to one server, whatever they are asked for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Proxy {
    pub(crate) address: String,
    used: Arc<AtomicUsize>,
}

impl Proxy {
    /// One of HTTP.
    pub(crate) fn http(target: &str) -> Self {
        Self::start(target, |client| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(byte(client)?);
            }
            head.starts_with(b"CONNECT ").then_some(())?;
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()
        })
    }

    /// One of SOCKS, version 5 (RFC 1928).
    pub(crate) fn socks5(target: &str) -> Self {
        Self::start(target, |client| {
            let [5, methods] = bytes(client)? else { return None };
            skip(client, methods.into())?;
            client.write_all(&[5, 0]).ok()?;
            let [5, 1, 0, kind] = bytes(client)? else { return None };
            let address = match kind {
                1 => 4,
                3 => usize::from(byte(client)?),
                4 => 16,
                _ => return None,
            };
            skip(client, address + 2)?;
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()
        })
    }

    fn start(target: &str, shake: fn(&mut TcpStream) -> Option<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let used = Arc::<AtomicUsize>::default();
        let (count, target) = (Arc::clone(&used), target.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                let (count, target) = (Arc::clone(&count), target.clone());
                std::thread::spawn(move || {
                    shake(&mut client)?;
                    count.fetch_add(1, Ordering::Relaxed);
                    let server = TcpStream::connect(target).ok()?;
                    let (mut up, mut down) = (client.try_clone().ok()?, server.try_clone().ok()?);
                    std::thread::spawn(move || std::io::copy(&mut up, &mut down));
                    let (mut server, mut client) = (server, client);
                    std::io::copy(&mut server, &mut client).ok()
                });
            }
        });
        Self { address, used }
    }

    /// How many connections it has led on.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

fn byte(from: &mut TcpStream) -> Option<u8> {
    bytes(from).map(|[byte]| byte)
}

fn bytes<const N: usize>(from: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn skip(from: &mut TcpStream, count: usize) -> Option<()> {
    from.read_exact(&mut vec![0; count]).ok()
}
