//! A small API server that answers as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct Fake {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

pub(crate) struct Request {
    pub(crate) path: String,
    query: String,
    pub(crate) authorization: String,
}

impl Request {
    pub(crate) fn is_list(&self, path: &str) -> bool {
        self.path == path && !self.is_watch(path)
    }

    pub(crate) fn is_watch(&self, path: &str) -> bool {
        self.path == path && self.query.contains("watch=true")
    }

    /// What a query asks for by name, as it stands there.
    pub(crate) fn asks(&self, name: &str) -> &str {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find_map(|(held, value)| (held == name).then_some(value)).unwrap_or("")
    }
}

pub(crate) enum Answer {
    Json(u16, Vec<u8>),
    /// Pieces of a watch, and then nothing for as long as the test may take.
    Watch(Vec<Vec<u8>>),
    /// Pieces of a watch, and its end.
    Ended(Vec<Vec<u8>>),
    /// The connection stays open, and nothing comes.
    Nothing,
    /// What every API server says of itself: its version, Pods, no groups.
    Default,
}

/// A 200 with this JSON.
pub(crate) fn json(body: impl Into<Vec<u8>>) -> Answer {
    Answer::Json(200, body.into())
}

impl Fake {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests were made whose target contains this.
    pub(crate) fn asked(&self, part: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|target| target.contains(part)).count()
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Request) -> Answer + ?Sized),
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut authorization = String::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_lowercase().strip_prefix("authorization: ") {
            authorization = value.to_owned();
        }
    }
    log.lock().expect("no panic").push(target.clone());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let request = Request { path: path.to_owned(), query: query.to_owned(), authorization };
    let (pieces, ends) = match answer(&request) {
        Answer::Json(code, body) => return whole(&mut stream, code, &body),
        Answer::Default => {
            let (code, body) = default(path);
            return whole(&mut stream, code, body.as_bytes());
        }
        Answer::Watch(pieces) => (pieces, false),
        Answer::Ended(pieces) => (pieces, true),
        Answer::Nothing => {
            std::thread::sleep(Duration::from_secs(600));
            return None;
        }
    };
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    for piece in pieces {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).ok()?;
        stream.write_all(&piece).ok()?;
        stream.write_all(b"\r\n").ok()?;
    }
    if ends {
        return stream.write_all(b"0\r\n\r\n").ok();
    }
    std::thread::sleep(Duration::from_secs(600));
    None
}

fn whole(stream: &mut TcpStream, code: u16, body: &[u8]) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {code} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

fn default(path: &str) -> (u16, &'static str) {
    match path {
        "/version" => (
            200,
            r#"{"major":"1","minor":"37","gitVersion":"v1.37.0","gitCommit":"x","gitTreeState":"clean","buildDate":"2026-08-13T07:28:49Z","goVersion":"go1.26","compiler":"gc","platform":"linux/amd64"}"#,
        ),
        "/api/v1" => (
            200,
            r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list","watch"],"shortNames":["po"]}]}"#,
        ),
        "/apis" => (200, r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#),
        _ => (
            404,
            r#"{"kind":"Status","status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","code":404}"#,
        ),
    }
}
