//! What Kubernetes puts around messages: around an object that stands by itself, and around an event.

use super::wire::{run_len, take_run, write_head, write_run};

/// How every object begins that stands by itself.
const MAGIC: &[u8] = b"k8s\0";

/// What stands behind the message of an object: no content encoding, and no content type.
pub(crate) const END: &[u8] = b"\x1a\0\x22\0";

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

/// Writes an event of a watch, whose object stands by itself.
pub(crate) fn write_event(kind: &str, object: &[u8], out: &mut Vec<u8>) {
    let raw = run_len(object.len());
    write_frame_head(run_len(kind.len()) + run_len(raw), out);
    write_run(1, kind.as_bytes(), out);
    write_head(2, raw, out);
    write_run(1, object, out);
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
