//! The models, over copies of the library's sources that `build.rs` makes.

pub mod run;
pub mod sync;

include!(concat!(env!("OUT_DIR"), "/models.rs"));
