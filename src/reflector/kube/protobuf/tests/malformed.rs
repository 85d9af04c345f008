//! Bytes that nobody should send.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use proptest::prelude::*;
use serde_json::Value;

use super::super::{Error, Fault, from_slice};
use super::{all, field, object, of};

fn fault(bytes: &[u8]) -> Fault {
    from_slice::<Value>(bytes).expect_err("malformed").fault().clone()
}

#[test]
fn what_is_no_object_of_a_known_kind_is_named() {
    for bytes in [&b""[..], b"k8s", b"{}", b"\0k8s"] {
        assert_eq!(fault(bytes), Fault::Magic, "{bytes:?}");
    }
    assert!(matches!(fault(b"k8s\0"), Fault::UnknownKind { kind, .. } if kind.is_empty()));
    let gadget = object("example.com/v1", "Gadget", b"");
    assert!(matches!(fault(&gadget), Fault::UnknownKind { kind, .. } if kind == "Gadget"));
    for (number, said) in [(3, "gzip"), (4, "application/json")] {
        let other = [object("v1", "Pod", b""), field(number, said.as_bytes())].concat();
        assert_eq!(fault(&other), Fault::Content(said.to_owned()));
    }
    let plain = [object("v1", "Pod", b""), field(4, super::super::MEDIA_TYPE.as_bytes())].concat();
    assert!(from_slice::<Value>(&plain).is_ok());
}

#[test]
fn an_object_that_is_cut_anywhere_is_an_error_or_whole_fields() {
    for vector in of("v1", "Pod") {
        let whole: Value = from_slice(&vector.wire).expect("a Pod");
        for cut in 0..vector.wire.len() {
            // The envelope's fields are what may be whole.
            if let Ok(found) = from_slice::<Value>(&vector.wire[..cut]) {
                assert!(found == whole || found["spec"].is_null(), "cut at {cut}");
            }
            let _ = from_slice::<Pod>(&vector.wire[..cut]);
        }
    }
}

#[test]
fn a_field_of_another_wire_type_or_that_is_there_twice_is_an_error() {
    let metadata = |bytes: &[u8]| object("v1", "Pod", &field(1, bytes));
    let number_for_text = metadata(&[0x08, 1]);
    let zero_for_text = metadata(&[0x08, 0]);
    let no_text_for_number = metadata(&field(7, b""));
    let text_for_number = metadata(&field(7, b"x"));
    let double_for_text = metadata(&[&[0x09][..], &[1; 8]].concat());
    let zeros = [zero_for_text, no_text_for_number];
    for bytes in [number_for_text, text_for_number, double_for_text].into_iter().chain(zeros) {
        assert_eq!(fault(&bytes), Fault::WireType, "{bytes:?}");
    }
    let names = [("a", "a"), ("", "a"), ("a", "")];
    let name_twice = names.map(|(first, second)| {
        metadata(&[first, second].map(|name| field(1, name.as_bytes())).concat())
    });
    let finalizer = field(14, b"x");
    let list_in_pieces = metadata(&[&finalizer[..], &field(1, b"a"), &finalizer].concat());
    let twice = name_twice.map(|bytes| (bytes, "metadata.name"));
    for (bytes, path) in twice.into_iter().chain([(list_in_pieces, "metadata.finalizers")]) {
        let error = from_slice::<Value>(&bytes).expect_err("twice");
        assert_eq!((error.fault(), error.path()), (&Fault::Twice, path));
    }
}

#[test]
fn fields_that_no_schema_knows_are_passed_over() {
    let unknown = [&[0xf8, 0x07, 1][..], &[0x79], &[0; 8], &[0x7d, 0, 0, 0, 0]].concat();
    let metadata = [&unknown[..], &field(1, b"a"), &unknown].concat();
    let bytes = object("v1", "Pod", &[&unknown[..], &field(1, &metadata)].concat());
    let pod: Pod = from_slice(&bytes).expect("a Pod");
    assert_eq!(pod.metadata.name.as_deref(), Some("a"));
}

/// A definition whose schema is nested so deep, by what is not a schema.
fn nested(levels: usize) -> Vec<u8> {
    let mut schema = Vec::new();
    for _ in 0..levels {
        // `not`, of number 28.
        let inner = field(1, &schema)[1..].to_vec();
        schema = [&[0xe2, 0x01][..], &inner].concat();
    }
    let validation = field(4, &field(1, &schema));
    let version = [field(1, b"v1"), validation].concat();
    object("apiextensions.k8s.io/v1", "CustomResourceDefinition", &field(2, &field(7, &version)))
}

#[test]
fn what_is_nested_too_deep_is_an_error_and_no_end_of_the_process() {
    // Around the innermost schema are the object, its spec, the list of versions, one of them, and its
    // validation.
    for (levels, deep) in [(1, false), (121, false), (122, true), (10_000, true)] {
        let bytes = nested(levels);
        let value = from_slice::<Value>(&bytes);
        assert_eq!(
            value.as_ref().err().map(Error::fault),
            deep.then_some(&Fault::TooDeep),
            "{levels}"
        );
        let typed = from_slice::<CustomResourceDefinition>(&bytes);
        assert_eq!(typed.err().map(|error| error.fault().clone()), deep.then_some(Fault::TooDeep));
        #[derive(serde::Deserialize)]
        struct Blind {}
        assert!(from_slice::<Blind>(&bytes).is_ok(), "nobody looks at it");
    }
}

proptest! {
    /// Whatever comes is decoded or refused; what is decoded can be written as JSON.
    #[test]
    fn no_bytes_do_any_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for bytes in [bytes.clone(), object("v1", "Pod", &bytes), object("v1", "Pod", &field(2, &bytes))] {
            let _ = from_slice::<Pod>(&bytes);
            if let Ok(value) = from_slice::<Value>(&bytes) {
                prop_assert!(value.is_object());
            }
        }
    }

    /// Of an object of which some bytes are others a type makes what it makes of its JSON.
    #[test]
    fn no_change_of_an_object_does_any_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let kinds = [of("v1", "Pod"), all().collect()];
        let kind = &kinds[which.index(2)];
        let mut bytes = kind[which.index(kind.len())].wire.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let typed = from_slice::<Pod>(&bytes);
        if let Ok(value) = from_slice::<Value>(&bytes) {
            prop_assert_eq!(typed.ok(), serde_json::from_value::<Pod>(value).ok());
        }
    }
}
