//! The table of how long things take.

use crate::latency::Quantiles;
use crate::view::table::{Column, Table};
use crate::view::text::quantiles;

/// Staleness over the last seconds and over the whole run, gets and lists; a pair that is not measured is
/// left out.
pub(super) fn table(
    staleness_us: Option<[Option<Quantiles>; 2]>,
    get_ns_and_list_us: Option<[Option<Quantiles>; 2]>,
) -> Table {
    let mut table = Table::new(vec![
        Column::words("LATENCY", 0),
        Column::figures("P50", 0, 7),
        Column::figures("P99", 0, 7),
        Column::figures("P99.9", 3, 7),
        Column::figures("MAX", 2, 7),
        Column::words("OVER", 1),
    ]);
    let mut row = |what: &str, times, unit, over: &str| {
        let [p50, p99, p999, max] = quantiles(times, unit);
        table.row(vec![what.to_owned(), p50, p99, p999, max, over.to_owned()]);
    };
    if let Some([last, whole]) = staleness_us {
        row("staleness", last, 1e3, "last 10 s");
        row("staleness", whole, 1e3, "whole run");
    }
    if let Some([get, list]) = get_ns_and_list_us {
        row("get", get, 1.0, "whole run");
        row("list", list, 1e3, "whole run");
    }
    table
}
