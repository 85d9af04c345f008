//! The wire format: fields with a number, each a number of its own or a run of bytes.

use super::error::{Fault, Result};

/// A varint of 64 bits has no more bytes.
const LONGEST_VARINT: usize = 10;

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The bytes that are left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// How far it has come in a message that it has read from the beginning.
    pub(super) fn offset_in(self, message: &[u8]) -> usize {
        message.len() - self.0.len()
    }

    /// The next field, if the message does not end here.
    // Always in place: as a call, a field comes back through memory.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        // Most are bytes, fewer than 128, with a number below 16.
        match self.0 {
            [] => Ok(None),
            [tag @ 8..0x80, length @ ..0x80, rest @ ..]
                if tag & 7 == 2 && usize::from(*length) <= rest.len() =>
            {
                let (bytes, rest) = rest.split_at(usize::from(*length));
                self.0 = rest;
                Ok(Some((u32::from(*tag >> 3), Value::Bytes(bytes))))
            }
            _ => self.any().map(Some),
        }
    }

    /// The next field, whatever it is.
    #[inline(never)]
    fn any(&mut self) -> Result<(u32, Value<'a>)> {
        let tag = self.varint()?;
        let Ok(number @ 1..) = u32::try_from(tag >> 3) else { return Err(Fault::Tag.into()) };
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                // What is longer than all memory is cut, too.
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire_type => return Err(Fault::UnknownWireType(wire_type as u8).into()),
        };
        Ok((number, value))
    }

    /// The next number of several that are packed.
    pub(super) fn number(&mut self) -> Result<Value<'a>> {
        Ok(Value::Varint(self.varint()?))
    }

    /// The fields from here on that have the same number as one another, as the elements of a list
    /// have, and how many they are; `first` is where the first of them begins.
    pub(super) fn run(&mut self, first: Self, number: u32) -> Result<(Self, usize)> {
        let mut count = 1;
        loop {
            let mut ahead = *self;
            match ahead.next()? {
                Some((next, _)) if next == number => count += 1,
                _ => break,
            }
            *self = ahead;
        }
        let (run, _) = first.0.split_at(first.0.len() - self.0.len());
        Ok((Self(run), count))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        // Most are of one byte, and most others of two.
        let (number, rest) = match self.0 {
            [one @ ..0x80, rest @ ..] => (u64::from(*one), rest),
            [low, high @ ..0x80, rest @ ..] => {
                (u64::from(low & 0x7f) | u64::from(*high) << 7, rest)
            }
            _ => return self.long_varint(),
        };
        self.0 = rest;
        Ok(number)
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(LONGEST_VARINT).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                // Of the last byte there is room for one bit.
                if at + 1 == LONGEST_VARINT && *byte > 1 {
                    return Err(Fault::LongVarint.into());
                }
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        let whole = self.0.len() >= LONGEST_VARINT;
        Err(if whole { Fault::LongVarint } else { Fault::Cut }.into())
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.0.split_at_checked(length) else {
            return Err(Fault::Cut.into());
        };
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(Fault::Cut.into());
        };
        self.0 = rest;
        Ok(*bytes)
    }
}

impl<'a> Value<'a> {
    /// Whether it is what a field has that was not set.
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number == 0,
            Self::Fixed32(number) => number == 0,
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    #[inline]
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Fault::WireType.into()),
        }
    }

    #[inline]
    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::Utf8.into())
    }

    /// A signed number; a negative one has all 64 bits on the wire.
    #[inline]
    pub(super) fn integer(self) -> Result<i64> {
        match self {
            Self::Varint(number) => Ok(number.cast_signed()),
            _ => Err(Fault::WireType.into()),
        }
    }

    /// A signed number of 32 bits; those above them count for nothing, as for Go, so that it does not
    /// matter whether a negative one was written with all 64.
    #[inline]
    pub(super) fn int32(self) -> Result<i64> {
        Ok(i64::from(self.integer()? as i32))
    }

    pub(super) fn double(self) -> Result<f64> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Fault::WireType.into()),
        }
    }
}

/// Texts that lie close to each other, checked together: what stands between them is text, too, where each is
/// shorter than 128 bytes, as most are.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    bytes: &'a [u8],
    /// All of it, if it is that.
    whole: &'a str,
}

impl<'a> Texts<'a> {
    pub(super) fn within(bytes: &'a [u8]) -> Self {
        Self { bytes, whole: std::str::from_utf8(bytes).unwrap_or_default() }
    }

    /// A text, wherever it lies.
    #[inline]
    pub(super) fn text(self, text: &'a [u8]) -> Result<&'a str> {
        let start = (text.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        match self.whole.get(start..start.wrapping_add(text.len())) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Value::Bytes(text).text(),
        }
    }
}

/// The first `N` fields of a small message, by number; of one that is there twice the last counts.
#[inline]
pub(super) fn fields<const N: usize>(message: &[u8]) -> Result<[Option<Value<'_>>; N]> {
    let mut fields = [None; N];
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        if let Some(field) = fields.get_mut(number as usize - 1) {
            *field = Some(value);
        }
    }
    Ok(fields)
}

/// Writes what comes before a run of bytes: the field's number, and how many they are.
pub(super) fn write_head(number: u32, length: usize, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | 2, out);
    write_varint(length as u64, out);
}

/// How many bytes that are.
pub(super) fn head_len(number: u32, length: usize) -> usize {
    varint_len(u64::from(number) << 3 | 2) + varint_len(length as u64)
}

fn varint_len(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

pub(super) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>> {
        let mut reader = Reader::new(bytes);
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    fn fault(bytes: &[u8]) -> Fault {
        all(bytes).expect_err("malformed").fault().clone()
    }

    #[test]
    fn each_wire_type() {
        let bytes =
            [&[0x08, 0x96, 0x01, 0x11][..], &[0; 8], &[0x1a, 2, b'h', b'i', 0x25], &[1, 0, 0, 0]];
        let expected = [
            (1, Value::Varint(150)),
            (2, Value::Fixed64(0)),
            (3, Value::Bytes(b"hi")),
            (4, Value::Fixed32(1)),
        ];
        assert_eq!(all(&bytes.concat()).expect("well formed"), expected);
    }

    #[test]
    fn what_is_malformed_is_named() {
        for cut in [&[0x08][..], &[0x08, 0x80], &[0x0a, 2, 1], &[0x11, 0], &[0x25, 0], &[0x80]] {
            assert_eq!(fault(cut), Fault::Cut, "{cut:?}");
        }
        let endless = [&[0x0a][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(fault(&endless), Fault::Cut, "a length of all memory");
        let long = |last| [&[0x08][..], &[0xff; 9], &[last]].concat();
        assert_eq!(fault(&long(2)), Fault::LongVarint);
        assert_eq!(fault(&long(0x80)), Fault::LongVarint);
        assert_eq!(all(&long(1)).expect("-1"), [(1, Value::Varint(u64::MAX))]);
        for (tag, wire_type) in [(0x0b, 3), (0x0c, 4), (0x0e, 6), (0x0f, 7)] {
            assert_eq!(fault(&[tag, 0]), Fault::UnknownWireType(wire_type));
        }
        assert_eq!(fault(&[0x02, 0]), Fault::Tag, "a field of number 0");
        assert_eq!(fault(&long(1)[1..]), Fault::Tag, "a field of a number beyond all");
    }

    proptest! {
        /// A part that is checked with others is what it is by itself.
        #[test]
        fn texts_are_the_same_checked_together(
            bytes in prop::collection::vec(prop::sample::select(b"ab\x0a\xc3\xa4\xe2\x82\xac".to_vec()), 0..12),
            places in prop::collection::vec((0usize..12, 0usize..12), 1..8),
        ) {
            let texts = Texts::within(&bytes);
            for (start, end) in places {
                let part = bytes.get(start..end).unwrap_or(b"\xc3\xa4");
                prop_assert_eq!(texts.text(part), Value::Bytes(part).text());
            }
        }
    }
}
