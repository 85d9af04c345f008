//! What Kubernetes puts around messages: around an object that stands by itself, and around an event.

use std::borrow::Cow;

use super::wire::{run_len, take_run, write_head, write_run};

/// How every object begins that stands by itself.
const MAGIC: &[u8] = b"k8s\0";

/// What stands behind the message of an object: no content encoding, and no content type.
pub(crate) const END: &[u8] = b"\x1a\0\x22\0";

/// How long an object is that stands by itself and has a message of so many bytes.
pub(crate) fn object_len(api_version: &str, kind: &str, len: usize) -> usize {
    let of = run_len(api_version.len()) + run_len(kind.len());
    MAGIC.len() + run_len(of) + run_len(len) + END.len()
}

/// Writes what stands before the message of an object, which has so many bytes. [`END`] follows it.
pub(crate) fn write_start(api_version: &str, kind: &str, len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    write_head(1, run_len(api_version.len()) + run_len(kind.len()), out);
    write_run(1, api_version.as_bytes(), out);
    write_run(2, kind.as_bytes(), out);
    write_head(2, len, out);
}

/// The message of an object that stands by itself.
pub(crate) fn message(object: &[u8]) -> Option<&[u8]> {
    let mut unknown = object.strip_prefix(MAGIC)?;
    take_run(&mut unknown)?;
    take_run(&mut unknown).map(|(_, message)| message)
}

/// An object that stands by itself, and is of this type where it says none: as Go takes what is sent to it.
pub(crate) fn with_type<'a>(object: &'a [u8], (api_version, kind): (&str, &str)) -> Cow<'a, [u8]> {
    retyped(object, api_version, kind).map_or(object.into(), Into::into)
}

/// `None` if it says its type, or is no such object: that is told by who decodes it.
fn retyped(object: &[u8], api_version: &str, kind: &str) -> Option<Vec<u8>> {
    let mut unknown = object.strip_prefix(MAGIC)?;
    let (mut of, mut message, mut others) = (&b""[..], &b""[..], Vec::new());
    while !unknown.is_empty() {
        match take_run(&mut unknown)? {
            (1, bytes) => of = bytes,
            (2, bytes) => message = bytes,
            (number, bytes) => write_run(u32::try_from(number).ok()?, bytes, &mut others),
        }
    }
    let mut said = ["", ""];
    while !of.is_empty() {
        let (number, bytes) = take_run(&mut of)?;
        if let Some(part) = said.get_mut(usize::try_from(number).ok()?.checked_sub(1)?) {
            *part = std::str::from_utf8(bytes).ok()?;
        }
    }
    if said.iter().all(|part| !part.is_empty()) {
        return None;
    }
    let mut out = Vec::with_capacity(object.len() + 64);
    let [api_version, kind] = [(said[0], api_version), (said[1], kind)]
        .map(|(said, otherwise)| if said.is_empty() { otherwise } else { said });
    write_start(api_version, kind, message.len(), &mut out);
    out.extend_from_slice(message);
    out.extend_from_slice(&others);
    Some(out)
}

/// Writes an event of a watch, whose object stands by itself.
pub(crate) fn write_event(kind: &str, object: &[u8], out: &mut Vec<u8>) {
    write_event_start(kind, object.len(), out);
    out.extend_from_slice(object);
}

/// Writes what stands before the object in an event, which has so many bytes and follows.
pub(crate) fn write_event_start(kind: &str, object: usize, out: &mut Vec<u8>) {
    let raw = run_len(object);
    write_frame_head(run_len(kind.len()) + run_len(raw), out);
    write_run(1, kind.as_bytes(), out);
    write_head(2, raw, out);
    write_head(1, object, out);
}

/// Writes what should be an event.
pub(crate) fn write_frame(frame: &[u8], out: &mut Vec<u8>) {
    write_frame_head(frame.len(), out);
    out.extend_from_slice(frame);
}

fn write_frame_head(len: usize, out: &mut Vec<u8>) {
    // No object is that long: requests are bounded far below.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}
