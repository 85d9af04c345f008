//! Latencies, recorded in histograms and reported as quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Durations in nanoseconds, up to a minute.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

/// The quantiles of a [`Latency`], in the unit that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// With three digits, in 220 KB.
    pub(crate) fn new() -> Self {
        Self::with_digits(3)
    }

    /// With two digits, in 30 KB.
    pub(crate) fn coarse() -> Self {
        Self::with_digits(2)
    }

    fn with_digits(digits: u8) -> Self {
        Self(Histogram::new_with_max(60_000_000_000, digits).expect("the bounds are valid"))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Cannot fail: all have the same upper bound.
        let _ = self.0.add(&other.0);
    }

    /// All of them together.
    pub(crate) fn of_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut whole = Self::new();
        all.into_iter().for_each(|part| whole.merge(part));
        whole
    }

    /// `None` if nothing was recorded.
    pub(crate) fn nanos(&self) -> Option<Quantiles> {
        self.quantiles(1)
    }

    /// `None` if nothing was recorded.
    pub(crate) fn micros(&self) -> Option<Quantiles> {
        self.quantiles(1_000)
    }

    fn quantiles(&self, unit: u32) -> Option<Quantiles> {
        let at = |nanos: u64| {
            // Anything finer than a tenth of a microsecond is noise.
            let tenths = nanos as f64 * 10.0 / f64::from(unit);
            tenths.round() / 10.0
        };
        (!self.0.is_empty()).then(|| Quantiles {
            p50: at(self.0.value_at_quantile(0.5)),
            p99: at(self.0.value_at_quantile(0.99)),
            p999: at(self.0.value_at_quantile(0.999)),
            max: at(self.0.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_values() {
        let mut latency = Latency::new();
        assert_eq!(latency.nanos(), None);
        for micros in 1..=100 {
            latency.record(Duration::from_micros(micros));
        }
        let quantiles = latency.micros().expect("values were recorded");
        assert_eq!((quantiles.p50.round(), quantiles.p99.round()), (50.0, 99.0));
        assert_eq!(quantiles.max.round(), 100.0);
    }

    #[test]
    fn what_takes_longer_than_a_minute_counts_as_a_minute() {
        let mut latency = Latency::coarse();
        latency.record(Duration::from_secs(600));
        let max = latency.micros().expect("a value was recorded").max;
        assert!((60e6..61e6).contains(&max), "{max}");
    }
}
