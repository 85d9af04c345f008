//! Percentiles as a picture.

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

const COLOURS: [&str; 4] = ["#0b6e4f", "#c8553d", "#3d5a80", "#8d6a9f"];

/// An SVG of both axes in powers of ten: every further nine of the percentile, and time.
pub fn svg(title: &str, lines: &[(&str, Histogram<u64>)]) -> String {
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<text x="{LEFT}" y="25" font-size="14">{title}</text>
"##
    );
    for power in POWERS {
        let nanoseconds = 10_f64.powi(power as i32);
        let (y, label) = (y(nanoseconds), time(nanoseconds));
        let (end, text, below) = (WIDTH - RIGHT, LEFT - 8.0, y + 4.0);
        let _ = writeln!(
            out,
            r##"<path d="M{LEFT} {y:.1}H{end}" stroke="#ddd"/><text x="{text}" y="{below:.1}" text-anchor="end">{label}</text>"##
        );
    }
    for (nines, label) in ["0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"].iter().enumerate()
    {
        let (x, y) = (x(nines as f64), HEIGHT - BOTTOM + 20.0);
        let _ = writeln!(out, r##"<text x="{x:.1}" y="{y}" text-anchor="middle">{label}</text>"##);
    }
    for ((name, histogram), colour) in lines.iter().zip(COLOURS) {
        let points: Vec<(f64, f64)> = (0..=100)
            .map(|step| {
                let nines = NINES * f64::from(step) / 100.0;
                let quantile = 1.0 - 10_f64.powf(-nines);
                (x(nines), y(histogram.value_at_quantile(quantile) as f64))
            })
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (end, at) = points.last().copied().unwrap_or_default();
        let (end, at) = (end + 6.0, at + 4.0);
        let _ = writeln!(
            out,
            r##"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/><text x="{end:.1}" y="{at:.1}" fill="{colour}">{name}</text>"##,
            path.join(" ")
        );
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
