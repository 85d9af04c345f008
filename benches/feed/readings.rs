//! Figures beside their bars: printed as they come, and written down at the end.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::{Value, json};

pub struct Readings {
    /// Whether it is only to be seen that this runs.
    pub test: bool,
    all: Vec<Value>,
}

impl Readings {
    pub fn new(test: bool) -> Self {
        Self { test, all: Vec::new() }
    }

    /// Begins a table.
    pub fn table(&self, title: &str) {
        println!("\n{title}:\n");
        println!("| figure | measured | bar | |");
        println!("|---|---:|---:|---|");
    }

    /// A figure that is not to exceed its bar.
    pub fn add(&mut self, figure: &str, unit: &str, value: f64, at_most: impl Into<Option<f64>>) {
        let bar = at_most.into();
        let met = bar.map(|bar| value <= bar);
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let bar_shown = bar.map(|bar| shown(bar, unit)).unwrap_or_default();
        println!("| {figure} | {} | {bar_shown} | {verdict} |", shown(value, unit));
        self.all.push(json!({
            "figure": figure, "unit": unit, "value": value, "at_most": bar, "met": met,
        }));
    }

    /// Something that is told in words.
    pub fn note(&self, text: &str) {
        println!("\n{text}");
    }

    pub fn write(self) {
        if self.test {
            return;
        }
        let path = target().join("feed_report.json");
        match fs::write(&path, format!("{:#}\n", Value::from(self.all))) {
            Ok(()) => println!("\nwritten: {}", path.display()),
            Err(error) => println!("\n{}: {error}", path.display()),
        }
    }
}

fn shown(value: f64, unit: &str) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0} {unit}"),
        10.0.. => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// The target folder of the build that this program is part of.
fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    // TARGET/release/deps/PROGRAM
    program.ancestors().nth(3).map(PathBuf::from).unwrap_or_default()
}

/// Of an odd number of figures, the one in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(figures, 0.5)
}

/// As upstream's bench has it: a figure that was measured, not one between two.
pub fn percentile(figures: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get((last as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}
