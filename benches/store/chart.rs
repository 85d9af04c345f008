//! Percentiles as a picture, readable on light and on dark pages.

use std::fmt::Write;

use hdrhistogram::Histogram;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;
/// The axes: nines of the percentile, and the time's powers of ten in nanoseconds.
const NINES: f64 = 5.0;
const POWERS: std::ops::Range<u32> = 2..8;

/// Between the names at the lines' ends, which may end at one place.
const NAME: f64 = 15.0;

/// Each line has a colour of its own on either ground.
const STYLE: &str = "
text { fill: #24292f; font: 12px sans-serif }
.title { font-size: 14px; font-weight: bold }
.end { text-anchor: end } .middle { text-anchor: middle }
.ground { fill: #fff } .grid { stroke: #d8dee4 }
.line { fill: none; stroke-width: 2 }
.line.a { stroke: #0b6e4f } .line.b { stroke: #c8553d } .line.c { stroke: #3d5a80 } .line.d { stroke: #8d6a9f }
text.a { fill: #0b6e4f } text.b { fill: #c8553d } text.c { fill: #3d5a80 } text.d { fill: #8d6a9f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ground { fill: #0d1117 } .grid { stroke: #30363d }
  .line.a { stroke: #46b892 } .line.b { stroke: #ee8a73 } .line.c { stroke: #79a8e0 } .line.d { stroke: #c9a2dc }
  text.a { fill: #46b892 } text.b { fill: #ee8a73 } text.c { fill: #79a8e0 } text.d { fill: #c9a2dc }
}
";
const CLASSES: [&str; 4] = ["a", "b", "c", "d"];

/// An SVG of both axes in powers of ten: every further nine of the percentile, and time.
pub fn svg(title: &str, lines: &[(&str, Histogram<u64>)]) -> String {
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>
<text x="{LEFT}" y="25" class="title">{title}</text>
"##
    );
    for power in POWERS {
        let nanoseconds = 10_f64.powi(power as i32);
        let (y, label) = (y(nanoseconds), time(nanoseconds));
        let (end, text, below) = (WIDTH - RIGHT, LEFT - 8.0, y + 4.0);
        let _ = writeln!(
            out,
            r##"<path d="M{LEFT} {y:.1}H{end}" class="grid"/><text x="{text}" y="{below:.1}" class="end">{label}</text>"##
        );
    }
    for (nines, label) in ["0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"].iter().enumerate()
    {
        let (x, y) = (x(nines as f64), HEIGHT - BOTTOM + 20.0);
        let _ = writeln!(out, r##"<text x="{x:.1}" y="{y}" class="middle">{label}</text>"##);
    }
    let mut ends = Vec::new();
    for ((name, histogram), class) in lines.iter().zip(CLASSES) {
        let points: Vec<(f64, f64)> = (0..=100)
            .map(|step| {
                let nines = NINES * f64::from(step) / 100.0;
                let quantile = 1.0 - 10_f64.powf(-nines);
                (x(nines), y(histogram.value_at_quantile(quantile) as f64))
            })
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(out, r##"<polyline points="{}" class="line {class}"/>"##, path.join(" "));
        ends.push((points.last().map_or(0.0, |(_, y)| y + 4.0), *name, class));
    }
    // From the lowest on, each name above the one before.
    ends.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let mut above = HEIGHT;
    for (end, name, class) in ends {
        above = (above - NAME).min(end);
        let right = WIDTH - RIGHT + 6.0;
        let _ =
            writeln!(out, r##"<text x="{right}" y="{above:.1}" class="{class}">{name}</text>"##);
    }
    out.push_str("</svg>\n");
    out
}

fn x(nines: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * nines / NINES
}

fn y(nanoseconds: f64) -> f64 {
    let (low, high) = (f64::from(POWERS.start), f64::from(POWERS.end - 1));
    let part = (nanoseconds.max(1.0).log10().clamp(low, high) - low) / (high - low);
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns} ns"),
        ns if ns < 1e6 => format!("{} µs", ns / 1e3),
        ns => format!("{} ms", ns / 1e6),
    }
}
