//! Protobuf as the API's clients speak it, put together from messages that are encoded already.

mod envelope;
mod wire;

pub(crate) use envelope::{
    END, message, object_len, with_type, write_event, write_event_start, write_frame, write_start,
};
pub(crate) use wire::{run_len, take_run, write_head, write_run, write_varint};
