//! Status: what is read can be written and read again, and every question has an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchcache::Status;
use watchcache::reflector::SourceError;

fuzz_target!(|json: &[u8]| {
    let Ok(status) = Status::from_json(json) else { return };
    let written = serde_json::to_vec(&status).expect("a status can be written");
    assert_eq!(Status::from_json(&written).expect("what was written"), status);
    let _ = (status.to_string(), status.retry_after(), status.continue_token());
    let expired = status.is_expired();
    let error = SourceError::from(status);
    assert_eq!(error.is_expired(), expired);
    let _ = (error.to_string(), error.retry_after(), error.is_permanent(), error.is_unsupported());
});
