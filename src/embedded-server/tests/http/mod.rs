//! A small HTTP client: what is tested is the protocol, so nothing may smooth it over.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use watchcache_embedded_server::EmbeddedServer;

/// An answer being read.
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// In small letters.
    pub(crate) headers: Vec<String>,
    reader: BufReader<TcpStream>,
    chunked: bool,
    buffer: Vec<u8>,
}

impl Reply {
    pub(crate) async fn request(
        server: &EmbeddedServer,
        method: &str,
        path: &str,
        accept: &str,
    ) -> Reply {
        Reply::with_body(server, method, path, accept, "application/json", "").await
    }

    pub(crate) async fn with_body(
        server: &EmbeddedServer,
        method: &str,
        path: &str,
        accept: &str,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Reply {
        let mut stream = TcpStream::connect(server.address()).await.expect("connect");
        let path = path.replace(' ', "%20");
        let body = body.as_ref();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\nUser-Agent: tests/1\r\n\
             Content-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.expect("write");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("status line");
        let code = line.split(' ').nth(1).expect("code").parse().expect("number");
        let (mut chunked, mut headers) = (false, Vec::new());
        loop {
            line.clear();
            reader.read_line(&mut line).await.expect("header");
            if line.trim().is_empty() {
                break;
            }
            let header = line.trim().to_ascii_lowercase();
            chunked |= header.starts_with("transfer-encoding: chunked");
            headers.push(header);
        }
        Reply { code, headers, reader, chunked, buffer: Vec::new() }
    }

    /// Reads some more of the body; `false` at its end, proper or not.
    async fn read_more(&mut self) -> bool {
        if !self.chunked {
            return self.reader.read_to_end(&mut self.buffer).await.is_ok_and(|read| read > 0);
        }
        let mut line = String::new();
        if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let size = usize::from_str_radix(line.trim(), 16).expect("chunk size");
        let start = self.buffer.len();
        self.buffer.resize(start + size, 0);
        let read = self.reader.read_exact(&mut self.buffer[start..]).await.is_ok();
        self.reader.read_line(&mut line).await.is_ok() && read && size > 0
    }

    /// The whole body.
    pub(crate) async fn body(mut self) -> Vec<u8> {
        while self.read_more().await {}
        self.buffer
    }

    /// The next event of a watch; `None` when it ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line of JSON"));
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// The next frame of a watch in protobuf; `None` when it ended.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((length, rest)) = self.buffer.split_first_chunk::<4>()
                && let Some(frame) = rest.get(..u32::from_be_bytes(*length) as usize)
            {
                let frame = frame.to_vec();
                self.buffer.drain(..4 + frame.len());
                return Some(frame);
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// The type that the answer says it is of.
    pub(crate) fn content_type(&self) -> &str {
        let header = self.headers.iter().find_map(|header| header.strip_prefix("content-type: "));
        header.unwrap_or_default()
    }
}

/// The code and the JSON that a GET is answered with.
pub(crate) async fn get(server: &EmbeddedServer, path: &str) -> (u16, Value) {
    get_as(server, path, "application/json").await
}

pub(crate) async fn get_as(server: &EmbeddedServer, path: &str, accept: &str) -> (u16, Value) {
    let reply = Reply::request(server, "GET", path, accept).await;
    let code = reply.code;
    (code, serde_json::from_slice(&reply.body().await).expect("JSON"))
}

/// A watch that was accepted.
pub(crate) async fn watch(server: &EmbeddedServer, path: &str) -> Reply {
    let reply = Reply::request(server, "GET", path, "application/json").await;
    assert_eq!(reply.code, 200, "{path}");
    reply
}
