//! A line a second for each kind, for logs and pipes.

use super::live::{state, trouble};
use crate::report::{KindSample, Sample};
use crate::view::PLAIN;
use crate::view::text::{self, cut, fit, quantiles, quantity, rate};

pub(super) fn lines(sample: &Sample) -> Vec<String> {
    let names = sample.kinds.iter().map(|kind| text::width_of(&kind.name));
    let alone = sample.kinds.len() == 1;
    let longest = names.chain((!alone).then_some(ALL.len())).max().unwrap_or(0);
    let line = |name: &str, figures: Vec<String>| {
        let start = [format!("{:>5}s", sample.running.as_secs()), text::pad(name, longest)];
        fit(start.into_iter().chain(figures), PLAIN)
    };
    let measured = !sample.elapsed.is_zero();
    let mut lines = Vec::with_capacity(sample.kinds.len() + 1);
    for kind in &sample.kinds {
        let mut parts = figures(kind, measured);
        parts.extend((alone && measured).then(|| reads(sample)));
        if let Some(trouble) = trouble(kind) {
            // A part of it says more than the figures after it.
            let before = line(&kind.name, vec![objects(kind.objects())]);
            let room = PLAIN.saturating_sub(text::width_of(&before) + 2);
            parts.insert(1, cut(&trouble, room));
        }
        lines.push(line(&kind.name, parts));
    }
    if !alone && measured {
        let objects = objects(sample.sum(KindSample::objects));
        lines.push(line(ALL, vec![objects, changes(sample.rates().changes), reads(sample)]));
    }
    lines
}

const ALL: &str = "all kinds";

/// The most important ones first.
fn figures(kind: &KindSample, measured: bool) -> Vec<String> {
    let mut parts = vec![objects(kind.objects())];
    if !matches!(&*state(kind), "watching" | "retrying") {
        parts.push(state(kind));
    }
    if measured {
        parts.push(changes(kind.rates.changes));
        if let last @ Some(_) = kind.stale.last.micros() {
            let [_, p99, ..] = quantiles(last, 1e3);
            parts.push(format!("staleness p99 {p99:>6}"));
        }
        parts.push(format!("{:>6} items/s", rate(kind.rates.items)));
        parts.push(format!("{:>5} waiting", quantity(kind.fifo.depth)));
        if kind.progress.relists > 0 {
            parts.push(text::count(kind.progress.relists, "relist"));
        }
    }
    parts
}

fn objects(count: u64) -> String {
    format!("{:>9} objects", quantity(count))
}

fn changes(per_second: f64) -> String {
    format!("{:>6} changes/s", rate(per_second))
}

fn reads(sample: &Sample) -> String {
    match sample.readers {
        0 => String::new(),
        _ => format!("{:>7} reads/s", rate(sample.reads_per_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn lines_are_aligned_and_not_too_long() {
        assert_eq!(
            lines(&samples::quiet()),
            [
                "   13s  pods     10,000 objects   1,998 changes/s  staleness p99 1.0 ms   1,790 items/s      0 waiting   2.14 M reads/s"
            ]
        );
        let all = lines(&samples::troubled());
        assert!(all.iter().all(|line| text::width_of(line) <= PLAIN), "{all:#?}");
        assert!(all[1].contains("trying again: "), "{all:#?}");
        assert!(all[3].starts_with("   13s  all kinds "), "{all:#?}");
        let at = |line: &String| line.find(" objects");
        assert!(all.iter().all(|line| at(line) == at(&all[0])), "{all:#?}");
    }
}
