//! etcd's answers to a watch as events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{EventType, WatchRequestSender, WatchResponse, WatchResponseStream, WatchStream};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::failure;
use super::object::{Decoder, EtcdObject, undecodable};
use crate::reflector::{SourceError, WatchEvent};
use crate::{ResourceVersion, Status};

/// How often a watch in which nothing happens is asked whether it is still there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// How long to wait for a revision that etcd does not know.
const TOO_LARGE: Duration = Duration::from_secs(1);

/// The watch id of answers that concern no watch in particular.
const NO_WATCH: i64 = -1;

type Event<V> = Result<WatchEvent<EtcdObject<V>>, SourceError>;

pub(super) fn events<V: Send + Sync + 'static>(
    watch: WatchStream,
    decoder: Arc<Decoder<V>>,
    received: Arc<AtomicU64>,
    after: i64,
    timeout: Duration,
) -> impl Stream<Item = Event<V>> + Send {
    let (requests, answers) = watch.split();
    let now = Instant::now();
    let reader = Reader {
        requests,
        answers,
        decoder,
        received,
        reached: after,
        next_sign: now + SIGN_OF_LIFE,
        end: now + timeout,
        queue: VecDeque::new(),
    };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
}

struct Reader<V> {
    requests: WatchRequestSender,
    answers: WatchResponseStream,
    decoder: Arc<Decoder<V>>,
    received: Arc<AtomicU64>,
    /// The last revision that was handed out.
    reached: i64,
    next_sign: Instant,
    end: Instant,
    queue: VecDeque<Event<V>>,
}

impl<V: Send + Sync + 'static> Reader<V> {
    async fn next(&mut self) -> Option<Event<V>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            tokio::select! {
                answer = self.answers.next() => match answer? {
                    Ok(answer) => self.read(&answer),
                    Err(error) => return Some(Err(failure(&error))),
                },
                () = sleep_until(self.next_sign) => {
                    self.next_sign = Instant::now() + SIGN_OF_LIFE;
                    // Should it fail, the answers end too, and say why.
                    let _ = self.requests.request_progress().await;
                }
                () = sleep_until(self.end) => return None,
            }
        }
    }

    fn read(&mut self, answer: &WatchResponse) {
        self.next_sign = Instant::now() + SIGN_OF_LIFE;
        let revision = answer.header().map_or(self.reached, |header| header.revision());
        if answer.canceled() {
            let message = answer.cancel_reason().to_owned();
            self.queue.push_back(Err(match answer.compact_revision() {
                0 => SourceError::Transport { message, source: None },
                compacted => SourceError::Expired {
                    message: format!("compacted up to {compacted}: {message}"),
                    continue_token: None,
                },
            }));
        } else if answer.created() {
            // Of a history that was set back: it would wait for its own future.
            if revision < self.reached {
                let status = Status::resource_version_too_large(self.reached, revision, TOO_LARGE);
                self.queue.push_back(Err(status.into()));
            }
        } else if answer.events().is_empty() {
            // An answer to a request for progress may overtake events, before etcd 3.4.25 and
            // 3.5.8 (etcd-io/etcd#15220): it says that somebody is there, and no more. Progress
            // that the watch itself notifies of comes in its order.
            if answer.watch_id() != NO_WATCH {
                self.reached = self.reached.max(revision);
            }
            self.queue.push_back(Ok(WatchEvent::Bookmark(version(self.reached))));
        }
        for event in answer.events() {
            let Some(kv) = event.kv() else { continue };
            // ORDERING: Relaxed, with `received_bytes`: a counter that publishes nothing else.
            self.received.fetch_add((kv.key().len() + kv.value().len()) as u64, Ordering::Relaxed);
            self.reached = self.reached.max(kv.mod_revision());
            self.queue.push_back(Ok(match event.event_type() {
                EventType::Delete => match self.decoder.key(kv) {
                    Ok(key) => WatchEvent::Gone { key, version: version(kv.mod_revision()) },
                    Err(error) => WatchEvent::Undecodable(*undecodable(None, error, kv)),
                },
                EventType::Put => match self.decoder.object(kv) {
                    Ok(object) if kv.create_revision() == kv.mod_revision() => {
                        WatchEvent::Added(object)
                    }
                    Ok(object) => WatchEvent::Modified(object),
                    Err(bad) => WatchEvent::Undecodable(*bad),
                },
            }));
        }
    }
}

fn version(revision: i64) -> ResourceVersion {
    revision.to_string().into()
}
