//! client-go's informer against the embedded server: what it asks for it has to get.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::Resource;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use watchcache_embedded_server::{Config, EmbeddedServer, Fault, Request};

/// How long an informer may take to catch up with a server that rests.
const PATIENCE: Duration = Duration::from_secs(60);

/// By key, the resourceVersion.
type Versions = BTreeMap<String, String>;

/// What the Go program in `informer/` says of its informer.
#[derive(Debug, Deserialize)]
struct State {
    synced: bool,
    /// The resourceVersion reached.
    version: String,
    objects: Versions,
    /// What the calls of the event handler left.
    seen: Versions,
    added: usize,
    updated: usize,
    deleted: usize,
    requests: Vec<Answered>,
    /// What client-go did not understand.
    complaints: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answered {
    query: String,
    code: u16,
    content: String,
}

impl Answered {
    fn has(&self, parameter: &str) -> bool {
        self.query.split('&').any(|pair| pair == parameter)
    }

    fn is_watch(&self) -> bool {
        self.has("watch=true")
    }

    fn is_further_page(&self) -> bool {
        self.query.contains("continue=")
    }
}

/// How often an informer asked for what.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// First pages, or lists whole.
    lists: usize,
    further_pages: usize,
    /// Watches that begin with all objects.
    streaming_lists: usize,
    /// Watches from a version on.
    watches: usize,
}

impl State {
    fn asked(&self) -> Asked {
        let count = |which: &dyn Fn(&Answered) -> bool| {
            self.requests.iter().filter(|request| which(request)).count()
        };
        let streams = |request: &Answered| request.has("sendInitialEvents=true");
        Asked {
            lists: count(&|request| !request.is_watch() && !request.is_further_page()),
            further_pages: count(&Answered::is_further_page),
            streaming_lists: count(&streams),
            watches: count(&|request| request.is_watch() && !streams(request)),
        }
    }

    /// How many requests were answered with this code.
    fn answered(&self, code: u16) -> usize {
        self.requests.iter().filter(|request| request.code == code).count()
    }
}

/// What an informer mirrors, and by which of client-go's clients.
struct Mirrored {
    resource: ApiResource,
    client: &'static str,
    /// client-go's own default; without it, it lists and then watches.
    streaming: bool,
    namespace: Option<String>,
    selection: ListParams,
}

impl Mirrored {
    fn all<K: Resource<DynamicType = ()>>() -> Self {
        Self {
            resource: ApiResource::erase::<K>(&()),
            client: "typed",
            streaming: true,
            namespace: None,
            selection: ListParams::default(),
        }
    }

    fn arguments(&self) -> [String; 5] {
        let ApiResource { plural, version, group, .. } = &self.resource;
        let selector = |selector: &Option<String>| selector.clone().unwrap_or_default();
        [
            format!("--client={}", self.client),
            format!("--resource={plural}.{version}.{group}"),
            format!("--namespace={}", selector(&self.namespace)),
            format!("--labels={}", selector(&self.selection.label_selector)),
            format!("--fields={}", selector(&self.selection.field_selector)),
        ]
    }

    /// What the server has of it.
    async fn list(&self, server: &EmbeddedServer) -> Vec<DynamicObject> {
        let client = Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap();
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource),
            None => Api::all_with(client, &self.resource),
        };
        api.list(&self.selection).await.unwrap().items
    }

    async fn versions(&self, server: &EmbeddedServer) -> Versions {
        let entry = |object: DynamicObject| {
            let name = object.metadata.name.unwrap();
            let key = match object.metadata.namespace {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            };
            (key, object.metadata.resource_version.unwrap())
        };
        self.list(server).await.into_iter().map(entry).collect()
    }
}

/// The running program. It ends with its input, however this process ends.
struct Informer {
    mirrored: Mirrored,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Informer {
    async fn start(server: &EmbeddedServer, mirrored: Mirrored) -> Self {
        let mut process = Command::new(program().await)
            .arg(format!("--server={}", server.url()))
            .args(mirrored.arguments())
            .env("KUBE_FEATURE_WatchListClient", mirrored.streaming.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program was just built");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { mirrored, input, output, _process: process }
    }

    async fn state(&mut self) -> State {
        self.input.write_all(b"\n").await.unwrap();
        let line = self.output.next_line().await.unwrap().expect("the program ended");
        serde_json::from_str(&line).unwrap()
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&State) -> bool) -> State {
        let started = Instant::now();
        loop {
            let state = self.state().await;
            if holds(&state) {
                return state;
            }
            let (version, asked) = (&state.version, state.asked());
            assert!(started.elapsed() < PATIENCE, "never {what}: at {version}, {asked:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the informer, and what its handler saw, have what the server has, which rests.
    async fn until_equal(&mut self, server: &EmbeddedServer) -> State {
        let expected = self.mirrored.versions(server).await;
        assert!(!expected.is_empty(), "or nothing is compared");
        // What it says of itself was read before what it holds.
        let equal =
            |state: &State| state.synced && state.objects == expected && state.seen == expected;
        let state = self.until("equal to the server", equal).await;
        assert_eq!(state.complaints, [""; 0], "client-go understands what it is sent");
        state
    }
}

/// Builds the Go program, once.
async fn program() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("informer");
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("informer");
        let mut command = Command::new("go");
        command.args(["build", "-buildvcs=false", "-o"]).arg(&binary).arg(".");
        let built = command.current_dir(source).status().await.unwrap();
        assert!(built.success(), "the Go program does not build");
        binary
    };
    BUILT.get_or_init(build).await
}

/// A server that changes only when it is told to.
async fn server(pods: usize) -> EmbeddedServer {
    let config = Config { pods, rate: 0, seed: 11, ..Config::default() };
    EmbeddedServer::start(config).await.unwrap()
}

/// Changes enough for creations, updates and deletions, then waits for them to arrive.
async fn follows(informer: &mut Informer, server: &EmbeddedServer) -> State {
    let before = informer.state().await;
    server.advance(600);
    let after = informer.until_equal(server).await;
    assert!(after.added > before.added && after.updated > before.updated, "{after:?}");
    assert!(after.deleted > before.deleted, "{after:?}");
    after
}

/// Cuts the watch, and forgets what the informer has not seen before it can ask for it.
async fn compacts(informer: &mut Informer, server: &EmbeddedServer) {
    // It answers each of these with a pause, which doubles; the second keeps a slow machine's test
    // from losing the race.
    let refusal = Fault::Answer { code: 429, retry_after: None };
    server.inject(Request::Watch, refusal.clone());
    server.inject(Request::Watch, refusal);
    server.disconnect_watches();
    let refused = |state: &State| state.answered(429) > 0;
    informer.until("refused", refused).await;
    server.advance(30);
    server.compact(server.resource_version());
    assert!(server.faults_left() > 0, "the informer asked again before the history was gone");
}

pub(crate) async fn lists_in_pages_and_watches() {
    let server = server(1_200).await;
    let mut informer =
        Informer::start(&server, Mirrored { streaming: false, ..Mirrored::all::<Pod>() }).await;
    let state = informer.until_equal(&server).await;
    let pages = |state: &State| state.objects.len().div_ceil(500) - 1;
    let further_pages = pages(&state);
    assert!(further_pages > 0, "{} objects", state.objects.len());
    let first = Asked { lists: 1, further_pages, ..Asked::default() };
    let asked = follows(&mut informer, &server).await.asked();
    assert_eq!(asked, Asked { watches: 1, ..first });

    server.disconnect_watches();
    let asked = follows(&mut informer, &server).await.asked();
    assert_eq!(asked, Asked { lists: 1, further_pages, watches: 2, ..Asked::default() });

    // Whoever was sent pages asks for pages at the version that it has, which is gone by now; then
    // for those of the newest.
    compacts(&mut informer, &server).await;
    let state = informer.until_equal(&server).await;
    let asked = state.asked();
    assert_eq!((asked.lists, asked.further_pages), (3, further_pages + pages(&state)));
    assert_eq!(state.answered(410), 1, "{:?}", state.requests);
    follows(&mut informer, &server).await;
    server.stop().await;
}

pub(crate) async fn streams_its_list() {
    let server = server(300).await;
    let mut informer = Informer::start(&server, Mirrored::all::<Pod>()).await;
    informer.until_equal(&server).await;
    // The stream that brought the objects brings the changes, too.
    let asked = follows(&mut informer, &server).await.asked();
    assert_eq!(asked, Asked { streaming_lists: 1, ..Asked::default() });

    server.disconnect_watches();
    let asked = follows(&mut informer, &server).await.asked();
    assert_eq!(asked, Asked { streaming_lists: 1, watches: 1, ..Asked::default() });

    compacts(&mut informer, &server).await;
    let asked = informer.until_equal(&server).await.asked();
    assert_eq!((asked.streaming_lists, asked.lists), (2, 0), "{asked:?}");
    follows(&mut informer, &server).await;
    server.stop().await;
}

pub(crate) async fn is_moved_on_by_bookmarks() {
    let server = server(100).await;
    let mut informer = Informer::start(&server, Mirrored::all::<Node>()).await;
    informer.until_equal(&server).await;
    // Nearly all changes are of Pods.
    let nodes = loop {
        server.advance(10);
        let nodes = informer.mirrored.versions(&server).await;
        if nodes.values().all(|version| *version != server.resource_version().to_string()) {
            break nodes;
        }
    };
    let newest = server.resource_version().to_string();
    let state = informer.until("moved on", |state| state.version == newest).await;
    assert_eq!(state.objects, nodes);
    server.stop().await;
}

pub(crate) async fn by_every_client_of_every_resource() {
    let server = server(200).await;
    let resources = [
        Mirrored::all::<Pod>,
        Mirrored::all::<Node>,
        Mirrored::all::<Service>,
        Mirrored::all::<ConfigMap>,
        Mirrored::all::<Namespace>,
        Mirrored::all::<EndpointSlice>,
    ];
    let mut informers = Vec::new();
    for mirrored in resources {
        for client in ["typed", "dynamic", "metadata"] {
            for streaming in [true, false] {
                let mirrored = Mirrored { client, streaming, ..mirrored() };
                informers.push(Informer::start(&server, mirrored).await);
            }
        }
    }
    for informer in &mut informers {
        informer.until_equal(&server).await;
    }
    server.advance(2_000);
    for informer in &mut informers {
        let state = informer.until_equal(&server).await;
        for answered in state.requests {
            // The dynamic client knows no schema.
            let expected = match (informer.mirrored.client, answered.is_watch()) {
                ("dynamic", _) => "application/json",
                (_, false) => "application/vnd.kubernetes.protobuf",
                (_, true) => "application/vnd.kubernetes.protobuf;stream=watch",
            };
            assert_eq!(answered.content, expected, "{}", informer.mirrored.client);
        }
        let expected = if informer.mirrored.streaming {
            Asked { streaming_lists: 1, ..Asked::default() }
        } else {
            Asked { lists: 1, watches: 1, ..Asked::default() }
        };
        // Of a resource that did not change the watch may still be under way.
        informer.until("asked once", |state| state.asked() == expected).await;
    }
    server.stop().await;
}

pub(crate) async fn of_a_selection() {
    const LABEL: &str = "app.kubernetes.io/name";
    let server = server(300).await;
    server.advance(300);
    let all = Mirrored::all::<Pod>();
    let first = all.list(&server).await.swap_remove(0).metadata;
    let others = format!("{LABEL},{LABEL}!={}", first.labels.unwrap()[LABEL]);
    // Pods enter and leave these without being created or deleted.
    let selection = ListParams::default().fields("status.phase=Running");
    let namespaced = Mirrored {
        namespace: first.namespace,
        selection: selection.clone(),
        ..Mirrored::all::<Pod>()
    };
    let selection = selection.labels(&others);
    let labelled = Mirrored { streaming: false, selection, ..Mirrored::all::<Pod>() };
    for mirrored in [namespaced, labelled] {
        let mut informer = Informer::start(&server, mirrored).await;
        let selected = informer.until_equal(&server).await.objects.len();
        let whole = all.list(&server).await.len();
        assert!(selected < whole, "{selected} of {whole}");
        follows(&mut informer, &server).await;
    }
    server.stop().await;
}

pub(crate) async fn through_faults() {
    let server = server(300).await;
    let mut informer =
        Informer::start(&server, Mirrored { streaming: false, ..Mirrored::all::<Pod>() }).await;
    let mut lists = informer.until_equal(&server).await.asked().lists;
    // The lists that each costs. A watch that is broken off before it has brought anything costs one,
    // unless it lasted for a second. Each list is followed by a longer pause, so they are few.
    let faults = [
        (Fault::Answer { code: 429, retry_after: Some(1) }, 0..=0),
        (Fault::Reset, 0..=1),
        (Fault::Garbage, 1..=1),
        (Fault::Page { code: 502 }, 1..=1),
        (Fault::Answer { code: 410, retry_after: None }, 1..=1),
    ];
    for (fault, cost) in faults {
        // A watch under way that has brought something is resumed when it is cut.
        server.advance(100);
        informer.until_equal(&server).await;
        server.inject(Request::Watch, fault.clone());
        server.disconnect_watches();
        informer.until(&format!("hit by {fault:?}"), |_| server.faults_left() == 0).await;
        server.advance(100);
        let asked = informer.until_equal(&server).await.asked();
        assert!(cost.contains(&(asked.lists - lists)), "{fault:?}: {asked:?} after {lists} lists");
        lists = asked.lists;
    }
    server.stop().await;
}

pub(crate) async fn of_a_server_that_begins_anew() {
    let first = server(100).await;
    first.advance(1_000);
    let mut informer = Informer::start(&first, Mirrored::all::<Pod>()).await;
    informer.until_equal(&first).await;
    let (port, reached) = (first.address().port(), first.resource_version());
    first.stop().await;
    let config = Config { pods: 100, rate: 0, seed: 12, port, ..Config::default() };
    let second = EmbeddedServer::start(config).await.unwrap();
    assert!(second.resource_version() < reached, "it knows nothing of the informer's version");
    informer.until_equal(&second).await;
    follows(&mut informer, &second).await;
    second.stop().await;
}
