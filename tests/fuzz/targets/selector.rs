//! Label selectors: what is read can be written and read again, and means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchcache::LabelSelector;

fuzz_target!(|text: &str| {
    let Ok(selector) = text.parse::<LabelSelector>() else { return };
    let again: LabelSelector = selector.to_string().parse().expect("what was written");
    assert_eq!(again, selector);
    for labels in [&[][..], &[("app", "web")], &[("app", "db"), ("tier", "back")]] {
        let label = |name: &str| labels.iter().find(|(held, _)| *held == name).map(|found| found.1);
        assert_eq!(selector.matches(label), again.matches(label));
    }
});
