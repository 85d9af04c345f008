//! A list and an event, taken apart.

use super::*;

/// The fields of a message, each a number and either bytes or a number.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let number = varint(&mut rest);
        let field = match tag & 7 {
            0 => Field::Number(number),
            2 => {
                let (bytes, behind) = rest.split_at(number as usize);
                rest = behind;
                Field::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, behind) = rest.split_first().unwrap();
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return number;
        }
    }
}

fn bytes<'a>(fields: &[(u64, Field<'a>)], wanted: u64) -> Option<&'a [u8]> {
    fields.iter().find_map(|(number, field)| match field {
        Field::Bytes(bytes) if *number == wanted => Some(*bytes),
        _ => None,
    })
}

fn text(fields: &[(u64, Field<'_>)], wanted: u64) -> String {
    String::from_utf8(bytes(fields, wanted).unwrap_or_default().to_vec()).unwrap()
}

/// A list: what it says it is, its metadata as JSON, and the messages of its items.
pub(crate) struct List {
    pub(crate) kind: String,
    pub(crate) metadata: Value,
    pub(crate) items: Vec<Vec<u8>>,
}

impl List {
    pub(crate) fn read(body: &[u8]) -> List {
        let unknown = fields(body.strip_prefix(b"k8s\0").unwrap());
        let of = fields(bytes(&unknown, 1).unwrap());
        let list = fields(bytes(&unknown, 2).unwrap());
        let own = fields(bytes(&list, 1).unwrap());
        let mut metadata = json!({"resourceVersion": text(&own, 2)});
        if !text(&own, 3).is_empty() {
            metadata["continue"] = text(&own, 3).into();
        }
        for (number, field) in &own {
            if let (4, Field::Number(remaining)) = (number, field) {
                metadata["remainingItemCount"] = (*remaining).into();
            }
        }
        let items = list.iter().filter_map(|(number, field)| match field {
            Field::Bytes(item) if *number == 2 => Some(item.to_vec()),
            _ => None,
        });
        let kind = format!("{} {}", text(&of, 1), text(&of, 2));
        List { kind, metadata, items: items.collect() }
    }
}

/// The message of an object that stands by itself.
pub(crate) fn message(object: &[u8]) -> Vec<u8> {
    let unknown = fields(object.strip_prefix(b"k8s\0").unwrap());
    bytes(&unknown, 2).unwrap().to_vec()
}

/// An event's type, and its object as it stands by itself.
pub(crate) fn event(frame: &[u8]) -> (String, Vec<u8>) {
    let event = fields(frame);
    let raw = fields(bytes(&event, 2).unwrap());
    (text(&event, 1), bytes(&raw, 1).unwrap().to_vec())
}
