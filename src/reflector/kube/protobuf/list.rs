//! A list: its metadata, and its items as bytes.

use super::error::Result;
use super::wire::{Reader, Value, fields};

const METADATA: u32 = 1;
const ITEMS: u32 = 2;

/// What a list says, every list being the same but for what its items are.
#[derive(Debug)]
pub(in super::super) struct List<'a> {
    pub(in super::super) resource_version: &'a str,
    pub(in super::super) continue_token: &'a str,
    pub(in super::super) remaining: Option<i64>,
    pub(in super::super) items: Vec<&'a [u8]>,
}

impl<'a> List<'a> {
    pub(in super::super) fn read(message: &'a [u8]) -> Result<Self> {
        let mut metadata: &[u8] = &[];
        let mut items = Vec::new();
        let mut rest = Reader::new(message);
        while let Some((number, value)) = rest.next()? {
            match number {
                METADATA => metadata = value.bytes()?,
                ITEMS => items.push(value.bytes()?),
                _ => {}
            }
        }
        let [_self_link, version, token, remaining] = fields(metadata)?;
        let text = |value: Option<Value<'a>>| value.map_or(Ok(""), Value::text);
        Ok(Self {
            resource_version: text(version)?,
            continue_token: text(token)?,
            remaining: remaining.map(Value::integer).transpose()?,
            items,
        })
    }
}
