#![doc = include_str!("../README.md")]
//!
//! # What it serves
//!
//! It serves Pods, Nodes, Services, ConfigMaps, Namespaces, EndpointSlices, Events (of the core group and
//! of `events.k8s.io`), Leases, Deployments, ReplicaSets and CustomResourceDefinitions, whose resources
//! are served at once.
//!
//! - **Reads**: lists with pages, selectors and every resourceVersion semantic; watches with
//!   bookmarks, initial events and expiry; tables for `kubectl get`; OpenAPI for `kubectl explain`.
//! - **Writes**: create, replace, patch (JSON, merge, strategic merge, server-side apply), delete
//!   with finalizers, preconditions and propagation, the subresources `status`, `scale` and
//!   `binding`, dry runs, validation that names fields, optimistic concurrency; a webhook may have a
//!   say in them ([`Admission`]).
//! - **Controllers**: the Pods of clients are scheduled (unless [`Scheduler::External`]) and run,
//!   Deployments roll out through ReplicaSets, what is owned goes with its owner, Namespaces and
//!   CustomResourceDefinitions with their content.
//!
//! # Protobuf
//!
//! Built-in kinds are served in JSON and in protobuf, whichever the `Accept` header wants most: lists,
//! single objects, watches, `scale`, and the `Status` of what fails. Either is read, too: objects, a
//! `Binding`, a `Scale`, the options of a deletion. So client-go's typed clients work as they are by default.
//!
//! What has no schema stays JSON, as on the real server. Of custom resources that is everything but
//! metadata alone: a request for nothing but protobuf is answered with 406 (Not Acceptable), a body in
//! protobuf with 415 (Unsupported Media Type). Tables, patches, discovery and OpenAPI are always JSON, and
//! so is the answer to a path that names no resource.
//!
//! An object in protobuf that says no type is of the one that the request is about.
//!
//! An object is encoded once, when it is first asked for in protobuf, and kept beside its JSON, packed as
//! that is; a server that nobody asks for protobuf keeps none. What a client writes must be such that it can
//! be encoded, whichever encoding it comes in: values that Go refuses are refused with 400 (Bad Request), as
//! are objects that are nested deeper than 120 levels, managed fields included. Events are kept as the core group has
//! them, and made anew for whoever asks by `events.k8s.io`, in either encoding.
//!
//! # Content
//!
//! The simulated content comes from the seed alone: as long as clients only read, the same seed
//! gives the same changes in the same order, however fast they are made. What clients change of it
//! stays changed; the simulation then writes only what a kubelet or a controller would report.
//!
//! Memory is about the serialised size of the content, each object once in each encoding that it was
//! asked for in, plus the replaced states
//! within the kept history, whose size is bounded in changes and in bytes ([`HistoryLimit`]).

mod admission;
mod api;
mod churn;
mod config;
mod connections;
mod continue_token;
mod control;
mod encoding;
mod fault;
mod object;
mod patch;
mod proto;
mod resource;
mod selector;
mod server;
mod simulation;
mod status;
mod storage;
mod time;
mod validation;
mod write;

pub use admission::{Admission, AdmissionError, FailurePolicy};
pub use config::{Config, StartError};
pub use fault::{Fault, Request};
pub use server::EmbeddedServer;
pub use simulation::Scheduler;
pub use storage::HistoryLimit;
