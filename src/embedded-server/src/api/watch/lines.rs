//! Events in JSON, each a line.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::format::{Format, write_metadata};
use crate::api::params::IncludeObject;
use crate::api::table;
use crate::resource::Definition;
use crate::status::Failure;
use crate::storage::Entry;

/// Writes lines in the form the client asked for.
pub(super) struct Lines {
    definition: Arc<Definition>,
    format: Format,
    include: IncludeObject,
    /// A table has its columns in the first event only.
    columns_sent: bool,
}

impl Lines {
    pub(super) fn new(
        definition: Arc<Definition>,
        format: Format,
        include: IncludeObject,
    ) -> Lines {
        Lines { definition, format, include, columns_sent: false }
    }

    pub(super) fn event(&mut self, kind: &str, entry: &Entry, version: u64, out: &mut Vec<u8>) {
        start_line(kind, out);
        if self.format == Format::Object {
            entry.write_at(version, &self.definition, out);
        } else {
            let mut json = Vec::with_capacity(entry.json_len());
            entry.write_at(version, &self.definition, &mut json);
            self.converted(&json, version, out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn converted(&mut self, json: &[u8], version: u64, out: &mut Vec<u8>) {
        match self.format {
            Format::Object => out.extend_from_slice(json),
            Format::Metadata => write_metadata(json, out),
            Format::Table => {
                let metadata = json!({"resourceVersion": version.to_string()});
                self.table_start(&metadata, out);
                table::write_row(&self.definition, json, self.include, out);
                table::write_end(out);
            }
        }
    }

    pub(super) fn bookmark(&mut self, metadata: &Value, out: &mut Vec<u8>) {
        start_line("BOOKMARK", out);
        match self.format {
            Format::Table => {
                self.table_start(metadata, out);
                table::write_end(out);
            }
            Format::Object => {
                write_bookmark(&self.definition.kind, &self.definition.api_version(), metadata, out)
            }
            Format::Metadata => {
                write_bookmark("PartialObjectMetadata", "meta.k8s.io/v1", metadata, out);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn error(&self, failure: &Failure, out: &mut Vec<u8>) {
        let line = json!({"type": "ERROR", "object": failure.status()});
        out.extend_from_slice(format!("{line}\n").as_bytes());
    }

    fn table_start(&mut self, metadata: &Value, out: &mut Vec<u8>) {
        let columns = !std::mem::replace(&mut self.columns_sent, true);
        table::write_start(&self.definition, metadata, columns, out);
    }
}

fn start_line(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

fn write_bookmark(kind: &str, api_version: &str, metadata: &Value, out: &mut Vec<u8>) {
    let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
    out.extend_from_slice(object.to_string().as_bytes());
}
