//! What client-go writes, what it never would, and whatever bytes come.

mod encode;
mod malformed;
mod types;
mod vectors;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// An object as client-go writes it, in protobuf and in JSON.
pub(crate) struct Vector {
    pub(crate) wire: Vec<u8>,
    pub(crate) json: &'static str,
}

/// Every kind, with every field set and with none, written by `schema/generate`.
pub(crate) fn all() -> impl Iterator<Item = Vector> {
    include_str!("vectors.txt").lines().map(|line| {
        let (wire, json) = line.split_once(' ').expect("two columns");
        Vector { wire: STANDARD.decode(wire).expect("base64"), json }
    })
}

/// Those of one kind.
fn of(api_version: &str, kind: &str) -> Vec<Vector> {
    let is_of = |vector: &Vector| {
        let object: Value = serde_json::from_str(vector.json).expect("JSON");
        object["apiVersion"] == api_version && object["kind"] == kind
    };
    all().filter(is_of).collect()
}

/// A field of bytes.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    for mut part in [usize::from(number) << 3 | 2, bytes.len()] {
        while part >= 0x80 {
            field.push(part as u8 | 0x80);
            part >>= 7;
        }
        field.push(part as u8);
    }
    field.extend_from_slice(bytes);
    field
}

/// An object of a type, with this message.
pub(crate) fn object(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let of = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &of), field(2, message)].concat()
}
