//! Seeded names, uids, digests and addresses that look like Kubernetes made them.

use std::net::Ipv4Addr;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The alphabet of Kubernetes' own random suffixes: no vowels, so no accidental words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

const SUBJECTS: &[&str] = &[
    "checkout",
    "billing",
    "catalog",
    "search",
    "identity",
    "inventory",
    "ledger",
    "media",
    "notify",
    "orders",
    "payments",
    "pricing",
    "profile",
    "recommend",
    "reports",
    "shipping",
];
const ROLES: &[&str] = &[
    "api",
    "web",
    "worker",
    "gateway",
    "cache",
    "indexer",
    "scheduler",
    "proxy",
    "consumer",
    "frontend",
];
const STAGES: &[&str] = &["prod", "staging", "dev", "qa"];

/// One of `choices`, which must not be empty.
pub(super) fn pick<'a, T: ?Sized>(rng: &mut ChaCha8Rng, choices: &[&'a T]) -> &'a T {
    choices[rng.random_range(0..choices.len())]
}

/// A random suffix of `length` characters, as in the `x2x9k` of `web-7d4b9c6f5d-x2x9k`.
pub(super) fn suffix(rng: &mut ChaCha8Rng, length: usize) -> String {
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// A name for a namespace; two calls may agree.
pub(super) fn namespace(rng: &mut ChaCha8Rng) -> String {
    format!("{}-{}", pick(rng, SUBJECTS), pick(rng, STAGES))
}

/// A name for a workload; two calls may agree.
pub(super) fn workload(rng: &mut ChaCha8Rng) -> String {
    format!("{}-{}", pick(rng, SUBJECTS), pick(rng, ROLES))
}

/// Calls `name` until it gives one that `taken` denies; a number parts those that keep clashing.
pub(super) fn unique(
    mut name: impl FnMut() -> String,
    mut taken: impl FnMut(&str) -> bool,
) -> String {
    let first = name();
    if !taken(&first) {
        return first;
    }
    let mut number = 2_u64;
    loop {
        let numbered = format!("{}-{number}", name());
        if !taken(&numbered) {
            return numbered;
        }
        number += 1;
    }
}

/// Writes 128 bits as a version 4 UUID.
pub(crate) fn uid(bits: u128) -> String {
    let version_4 = (bits & !(0xf << 76)) | (0x4 << 76);
    let value = (version_4 & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{value:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A well-mixed function of a seed and a number (splitmix64): detail that can be recomputed
/// at will instead of being kept.
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The 64 hexadecimal digits of a SHA-256, of nothing but `seed` and `number`.
pub(super) fn digest(seed: u64, number: u64) -> String {
    let word = |index| mix(mix(seed, number), index);
    format!("{:016x}{:016x}{:016x}{:016x}", word(0), word(1), word(2), word(3))
}

/// The `index`th address of a block.
pub(super) fn address(block: Ipv4Addr, index: usize) -> String {
    // Only a cluster of billions would wrap, and it would have other troubles first.
    let offset = u32::try_from(index).unwrap_or(u32::MAX);
    Ipv4Addr::from(u32::from(block).wrapping_add(offset)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_look_like_version_4() {
        assert_eq!(uid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uid(0), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn clashing_names_are_numbered() {
        let name = unique(|| "a-b".to_owned(), |name| name == "a-b" || name == "a-b-2");
        assert_eq!(name, "a-b-3");
    }
}
