//! Turning etcd's watch answers into events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{
    EventType, GetOptions, KvClient, WatchRequestSender, WatchResponse, WatchResponseStream,
    WatchStream,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::failure;
use super::object::{Decoder, EtcdObject};
use crate::reflector::{Interest, SourceError, WatchEvent};
use crate::{ResourceVersion, Status};

/// How long a member may be behind the cluster before it counts as cut off, and how long the cluster may
/// take to report its revision.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often a member that is behind is asked for its revision.
const AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for a revision that etcd does not know.
const TOO_LARGE: Duration = Duration::from_secs(1);

/// The watch id of answers that concern no watch in particular.
const NO_WATCH: i64 = -1;

type Event<V> = Result<WatchEvent<EtcdObject<V>>, SourceError>;

/// The revision of the whole cluster, by a read that a majority of it has to agree on.
pub(super) async fn cluster_revision(mut kv: KvClient, key: Vec<u8>) -> Result<i64, SourceError> {
    let options = GetOptions::new().with_keys_only().with_limit(1);
    let cut_off = |why: String| SourceError::Transport {
        message: format!("this member of etcd does not reach its cluster: {why}"),
        error: None,
    };
    match tokio::time::timeout(PATIENCE, kv.get(key, Some(options))).await {
        Ok(Ok(answer)) => Ok(answer.header().map_or(0, |header| header.revision())),
        Ok(Err(error)) => Err(match failure(&error) {
            SourceError::Transport { message, .. } => cut_off(message),
            refused => refused,
        }),
        Err(_) => Err(cut_off(format!("no answer within {PATIENCE:?}"))),
    }
}

/// What a watch is read with.
pub(super) struct Opening<V> {
    pub(super) watch: WatchStream,
    pub(super) decoder: Arc<Decoder<V>>,
    pub(super) interest: Option<Interest<EtcdObject<V>>>,
    pub(super) received: Arc<AtomicU64>,
    pub(super) kv: KvClient,
    /// A key to ask for the cluster's revision by.
    pub(super) key: Vec<u8>,
    pub(super) after: i64,
    /// What the cluster had reached before the watch was opened.
    pub(super) cluster: i64,
    pub(super) sign_of_life: Duration,
    pub(super) timeout: Duration,
}

pub(super) fn events<V: Send + Sync + 'static>(
    opening: Opening<V>,
) -> impl Stream<Item = Event<V>> + Send {
    let Opening { watch, decoder, interest, received, kv, key, after, cluster, .. } = opening;
    let (requests, answers) = watch.split();
    let now = Instant::now();
    let reader = Reader {
        requests,
        answers,
        decoder,
        interest,
        received,
        read_cluster: Box::new(move || cluster_revision(kv.clone(), key.clone()).boxed()),
        reached: after,
        member: 0,
        sign: Sign::asked(cluster, now),
        sign_of_life: opening.sign_of_life,
        end: now + opening.timeout,
        queue: VecDeque::new(),
    };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
}

type ClusterRevision = BoxFuture<'static, Result<i64, SourceError>>;

/// Whether the member that serves the watch still belongs to its cluster. One that was cut off goes on
/// responding, and even notifies of progress, but receives nothing new: so the cluster is asked for its
/// revision, by a read that takes a majority, and the member has to reach it.
enum Sign {
    /// Confirmed; checked again then.
    Good { until: Instant },
    /// The cluster is being asked.
    Asking(ClusterRevision),
    /// The cluster has reached a revision, and the member is asked whether it has.
    Asked { revision: i64, next: Instant, deadline: Instant },
}

impl Sign {
    fn asked(revision: i64, now: Instant) -> Self {
        Self::Asked { revision, next: now + AGAIN, deadline: now + PATIENCE }
    }
}

struct Reader<V> {
    requests: WatchRequestSender,
    answers: WatchResponseStream,
    decoder: Arc<Decoder<V>>,
    interest: Option<Interest<EtcdObject<V>>>,
    received: Arc<AtomicU64>,
    read_cluster: Box<dyn Fn() -> ClusterRevision + Send>,
    /// The last revision that was handed out.
    reached: i64,
    /// The newest revision that the member has spoken of.
    member: i64,
    sign: Sign,
    sign_of_life: Duration,
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
                asked = self.sign.turn() => {
                    if let Err(error) = self.look(asked).await {
                        return Some(Err(error));
                    }
                }
                () = sleep_until(self.end) => return None,
            }
        }
    }

    /// Takes the next step in finding out whether the member belongs to its cluster.
    async fn look(&mut self, asked: Option<Result<i64, SourceError>>) -> Result<(), SourceError> {
        let now = Instant::now();
        match (&mut self.sign, asked) {
            (Sign::Good { .. }, _) => {
                self.sign = Sign::Asking((self.read_cluster)());
                return Ok(());
            }
            (Sign::Asking(_), asked) => {
                self.sign = Sign::asked(asked.unwrap_or(Ok(0))?, now);
            }
            (Sign::Asked { revision, deadline, .. }, _) if *deadline <= now => {
                let message = format!(
                    "this member of etcd is at revision {}, its cluster at {revision}: it was cut off",
                    self.member
                );
                return Err(SourceError::Transport { message, error: None });
            }
            (Sign::Asked { next, .. }, _) => *next = now + AGAIN,
        }
        // If it fails, the responses end too, with the reason.
        let _ = self.requests.request_progress().await;
        Ok(())
    }

    fn read(&mut self, answer: &WatchResponse) {
        let revision = answer.header().map_or(self.reached, |header| header.revision());
        let before = self.reached;
        self.member = self.member.max(revision);
        if answer.canceled() {
            let reason = match answer.cancel_reason() {
                "" => "etcd ended the watch without a reason",
                reason => reason,
            };
            self.queue.push_back(Err(match answer.compact_revision() {
                0 => SourceError::Transport { message: reason.to_owned(), error: None },
                compacted => SourceError::Expired {
                    message: format!("compacted up to {compacted}: {reason}"),
                    continue_token: None,
                },
            }));
        } else if answer.created() {
            // Of a history that was set back: it would wait for its own future.
            if revision < self.reached {
                let status = Status::resource_version_too_large(self.reached, revision, TOO_LARGE);
                self.queue.push_back(Err(status.into()));
            }
        } else if answer.events().is_empty() && answer.watch_id() != NO_WATCH {
            // A response to a request for progress may overtake events, before etcd 3.4.25 and 3.5.8
            // (etcd-io/etcd#15220): it only shows how far the member is. Progress that the watch itself
            // notifies of comes in order.
            self.reached = self.reached.max(revision);
        }
        for event in answer.events() {
            let Some(kv) = event.kv() else { continue };
            // ORDERING: Relaxed, with `received_bytes`: a counter that publishes nothing else.
            self.received.fetch_add((kv.key().len() + kv.value().len()) as u64, Ordering::Relaxed);
            self.reached = self.reached.max(kv.mod_revision());
            let deleted = event.event_type() == EventType::Delete;
            self.queue.extend(self.decoder.event(kv, deleted, self.interest.as_ref()).map(Ok));
        }
        // That the watch was created, with events since its beginning still to come, completes nothing.
        let has_backlog = answer.created() && revision > before;
        let lives = !has_backlog
            && matches!(self.sign, Sign::Asked { revision, .. } if revision <= self.member);
        if lives {
            self.sign = Sign::Good { until: Instant::now() + self.sign_of_life };
        }
        // After the events of a transaction, which carry one revision, this marks their end. A member
        // that only repeats itself gets no bookmark.
        if lives || self.reached > before {
            self.queue.push_back(Ok(WatchEvent::Bookmark(version(self.reached))));
        }
    }
}

impl Sign {
    /// Waits until there is something to do about it.
    async fn turn(&mut self) -> Option<Result<i64, SourceError>> {
        match self {
            Self::Good { until } => sleep_until(*until).await,
            Self::Asking(answer) => return Some(answer.await),
            Self::Asked { next, deadline, .. } => sleep_until((*next).min(*deadline)).await,
        }
        None
    }
}

pub(super) fn version(revision: i64) -> ResourceVersion {
    revision.to_string().into()
}
