//! Configuration from a directory: a source of one's own, mirrored for readers that never wait.
//!
//! ```sh
//! cargo run --release --example config --features kube -- --duration 5s
//! cargo run --release --example config --features etcd -- --etcd localhost:2379
//! ```
//!
//! It writes a `Source` of its own, and no function for a `Poll`, because it waits for what it has written: the version
//! of a change is known as soon as it looks, and another look costs less than an interval.
//!
//! With `--etcd` it mirrors the keys of etcd below `/watchcache-example/`.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use support::{Arguments, Error, Says, check};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Monitor, Reflector, Source, SourceError, WatchEvent, WatchRequest,
    WatchStart,
};
use watchcache::{KeyRef, Object, ResourceVersion, Status, Store};

const OWN: &str = "example-counter";
const FLAG: &str = "example-flag";

/// A file, in the version that the last change of it brought.
struct Setting {
    name: String,
    text: String,
    version: String,
}

impl Object for Setting {
    fn key(&self) -> KeyRef<'_> {
        KeyRef::from(&self.name)
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

/// The files of a directory, but for those that are hidden or no text. It numbers the changes that it
/// finds and keeps them, so that a watch may begin after any.
#[derive(Clone)]
struct Directory {
    path: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

/// Its files by name, and each change: a file that was put, or the name of one that is gone.
type Seen = (BTreeMap<String, Arc<Setting>>, Vec<Result<Arc<Setting>, String>>);

impl Directory {
    /// Takes in what has changed. The version is that of the directory as it is now.
    fn look(&self) -> std::io::Result<(ResourceVersion, Vec<Arc<Setting>>)> {
        let (files, changes) = &mut *self.seen.lock().expect("no holder panics");
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(entry.path()).ok();
            found.extend(text.filter(|_| !name.starts_with('.')).map(|text| (name, text)));
        }
        files.retain(|name, _| {
            changes.extend((!found.contains_key(name)).then(|| Err(name.clone())));
            found.contains_key(name)
        });
        for (name, text) in found {
            if files.get(&name).is_none_or(|file| file.text != text) {
                let version = (changes.len() + 1).to_string();
                let file = Arc::new(Setting { name: name.clone(), text, version });
                files.insert(name, Arc::clone(&file));
                changes.push(Ok(file));
            }
        }
        Ok((changes.len().to_string().into(), files.values().cloned().collect()))
    }

    fn event(&self, number: usize) -> Option<WatchEvent<Setting>> {
        let version = || (number + 1).to_string().into();
        Some(match self.seen.lock().expect("no holder panics").1.get(number)? {
            Ok(file) => WatchEvent::Modified(Arc::clone(file)),
            Err(name) => WatchEvent::Gone { key: name.parse().ok()?, version: version() },
        })
    }
}

impl Source for Directory {
    type Object = Setting;
    type Watch = BoxStream<'static, Result<WatchEvent<Setting>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Setting>, SourceError> {
        let (version, files) = self.look().map_err(unreadable)?;
        Ok(ListPage::new(files.into_iter().map(Item::Object).collect(), version))
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let WatchStart::After(version) = &request.start else {
            return Err(Status::bad_request("it has to be listed").into());
        };
        let after = version.as_str().parse().unwrap_or(0);
        let changes = stream::unfold((self.clone(), after), |(directory, number)| async move {
            loop {
                if let Some(event) = directory.event(number) {
                    return Some((Ok(event), (directory, number + 1)));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                if let Err(error) = directory.look() {
                    return Some((Err(unreadable(error)), (directory, number)));
                }
            }
        });
        // A watch that is asked to end does; another one goes on where it was.
        Ok(changes.take_until(tokio::time::sleep(request.timeout)).boxed())
    }
}

fn unreadable(error: std::io::Error) -> SourceError {
    SourceError::transport(format!("the directory cannot be read: {error}"))
}

fn main() -> ExitCode {
    support::run(if cfg!(feature = "etcd") { &["--etcd ADDRESS"] } else { &[] }, config)
}

async fn config(arguments: Arguments) -> Result<(), Error> {
    #[cfg(feature = "etcd")]
    if let Some(address) = &arguments.etcd {
        return of_etcd(&arguments, address).await;
    }
    let path = std::env::temp_dir().join(format!("watchcache-config-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    println!("in {}: change a file there, and see; {OWN} and {FLAG} are its own", path.display());
    let result = of_directory(&arguments, &path).await;
    std::fs::remove_dir_all(&path).map_err(Error::from).and(result)
}

async fn of_directory(arguments: &Arguments, path: &Path) -> Result<(), Error> {
    let directory = Directory { path: path.to_owned(), seen: Arc::default() };
    let write = async |text: &str| {
        std::fs::write(path.join(".new"), text)?;
        std::fs::rename(path.join(".new"), path.join(OWN))?;
        let removed = std::fs::remove_file(path.join(FLAG));
        removed.or_else(|_| std::fs::write(path.join(FLAG), "on"))?;
        Ok(directory.look()?.0)
    };
    let (store, monitor) = follow(arguments, directory.clone(), |file| &file.text, write).await?;
    let (version, files) = directory.look()?;
    monitor.wait_for(&version).await?;
    check(store.len() == files.len(), format!("the store has the {} files", files.len()))
}

/// The same from keys of etcd.
#[cfg(feature = "etcd")]
async fn of_etcd(arguments: &Arguments, address: &str) -> Result<(), Error> {
    let client = etcd_client::Client::connect([address], None).await?;
    let text = |value: &[u8]| String::from_utf8(value.to_vec());
    let source = watchcache::reflector::EtcdSource::new(&client, "/watchcache-example/", text);
    let write = async |text: &str| {
        let key = format!("/watchcache-example/{OWN}");
        let put = client.kv_client().put(key, text, None).await?;
        let revision = put.header().map_or(0, |header| header.revision());
        Ok(revision.to_string().into())
    };
    follow(arguments, source, |setting| setting.value(), write).await.map(drop)
}

/// Writes again and again, waits for the mirror each time, and reads what was written.
async fn follow<S: Source>(
    arguments: &Arguments,
    source: S,
    text: fn(&S::Object) -> &str,
    write: impl AsyncFn(&str) -> Result<ResourceVersion, Error>,
) -> Result<(Arc<Store<S::Object>>, Monitor), Error> {
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(Arc::clone(&store)).sink(Says { text }).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    monitor.synced().await?;
    let (mut until, mut changes, reader) = (arguments.begin(), 0, Arc::clone(&store));
    let read = move || reader.get(OWN).map(|setting| text(&setting).to_owned());
    let reported = read.clone();
    support::report(until.clone(), move || format!("{OWN} is {:?}", reported()));
    while until.pause(Duration::from_millis(50)).await {
        changes += 1;
        let wanted = Some(changes.to_string());
        monitor.wait_for(&write(wanted.as_deref().unwrap_or_default()).await?).await?;
        if read() != wanted {
            return Err(format!("wrote {wanted:?}, and read {:?}", read()).into());
        }
    }
    check(changes > 0, format!("each of {changes} changes was there when it was waited for"))?;
    Ok((store, monitor))
}
