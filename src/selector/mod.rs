//! Label selectors, equality- and set-based, as kubectl and the API server read them.
//!
//! ```
//! use watchcache::LabelSelector;
//! use watchcache::selector::Operator;
//!
//! let selector: LabelSelector = "app in (web, api), !canary".parse()?;
//! assert!(selector.matches(|label| (label == "app").then_some("api")));
//! assert_eq!(selector.requirements()[1].operator(), Operator::DoesNotExist);
//! # Ok::<(), watchcache::selector::ParseSelectorError>(())
//! ```

mod parse;
mod requirement;

use std::fmt;
use std::str::FromStr;

pub use parse::ParseSelectorError;
pub use requirement::{Operator, Requirement, RequirementError};

/// Selects objects by their labels: those that meet every requirement.
///
/// The syntax is that of Kubernetes: `app=web`, `app==web`, `app!=web`, `app in (web, api)`,
/// `app notin (db)`, `app`, `!app`, `weight>3`, `weight<9`, separated by commas. Objects without the label
/// meet `!=` and `notin`, too. The empty text selects everything.
///
/// `Display` writes a canonical form: requirements sorted by label, values sorted, `=` for `==`, and a set of
/// one value as an equality. Equal selectors are written alike.
///
/// ```
/// use watchcache::LabelSelector;
///
/// let selector: LabelSelector = "tier notin (db, cache), app == web".parse()?;
/// assert_eq!(selector.to_string(), "app=web,tier notin (cache,db)");
///
/// let labels = [("app", "web"), ("tier", "front")];
/// let label = |name: &str| labels.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
/// assert!(selector.matches(label));
/// assert_eq!(selector.requirements()[0].label(), "app");
/// # Ok::<(), watchcache::selector::ParseSelectorError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// Sorted.
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Selects everything; the same as the empty text.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Returns whether it selects everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, sorted by label.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Returns whether the labels that `label` looks up meet every requirement.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.met_by(label(requirement.label())))
    }
}

impl FromIterator<Requirement> for LabelSelector {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        let mut requirements: Vec<_> = requirements.into_iter().collect();
        requirements.sort();
        requirements.dedup();
        Self { requirements }
    }
}

impl FromStr for LabelSelector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, ParseSelectorError> {
        parse::requirements(text).map(Self::from_iter)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}
