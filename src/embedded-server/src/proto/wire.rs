//! Protobuf's wire format, as far as messages are put together here from others: a run of bytes with its
//! number and length before it.

/// The wire type of what has a length.
const RUN: u64 = 2;

/// Writes what stands before a run of so many bytes.
pub(crate) fn write_head(number: u32, len: usize, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | RUN, out);
    write_varint(len as u64, out);
}

pub(crate) fn write_run(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_head(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// How long a run of so many bytes is with its number, of at most 15, and its length.
pub(crate) fn run_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

pub(crate) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_len(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Takes the next run off the front of fields that all are such: its number and its bytes.
pub(crate) fn take_run<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let tag = take_varint(rest)?;
    let len = usize::try_from(take_varint(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(len).filter(|_| tag & 7 == RUN)?;
    *rest = behind;
    Some((tag >> 3, bytes))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let len = rest.iter().take(10).position(|byte| *byte < 0x80)? + 1;
    let (bytes, behind) = rest.split_at(len);
    *rest = behind;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let bytes = vec![7; len];
            let mut out = Vec::new();
            write_run(15, &bytes, &mut out);
            assert_eq!(out.len(), run_len(len));
            out.extend_from_slice(b"rest");
            let mut rest = &*out;
            assert_eq!(take_run(&mut rest), Some((15, &*bytes)));
            assert_eq!(rest, b"rest");
        }
        for cut in [&b""[..], b"\x0a", b"\x0a\x02a", b"\x0a\x80", b"\x08\x01"] {
            assert_eq!(take_run(&mut &*cut), None, "{cut:?}");
        }
    }
}
