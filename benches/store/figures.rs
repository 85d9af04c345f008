//! What was measured, as `store_report.json` in the target folder.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::{Map, Value};

pub struct Figures {
    /// Whether it is only to be seen that this runs.
    pub test: bool,
    all: Map<String, Value>,
}

impl Figures {
    pub fn new(test: bool) -> Self {
        Self { test, all: Map::new() }
    }

    /// Writes at once, so that a reader of the file need not wait for what comes later.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.all.insert(name.to_owned(), value.into());
        if self.test {
            return;
        }
        let path = target().join("store_report.json");
        if let Err(error) = fs::write(&path, format!("{:#}\n", Value::from(self.all.clone()))) {
            println!("\n{}: {error}", path.display());
        }
    }
}

/// The target folder of the build that this program is part of.
fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    // TARGET/release/deps/PROGRAM
    program.ancestors().nth(3).map(PathBuf::from).unwrap_or_default()
}

/// Of an odd number of figures, the one in the middle.
pub fn median<T: Ord + Copy>(mut figures: Vec<T>) -> T {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
