//! One requirement of a selector.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

/// How a label is compared.
///
/// From a `matchExpressions` of Kubernetes:
///
/// ```
/// use watchcache::selector::{Operator, Requirement, RequirementError};
///
/// fn operator(name: &str) -> Option<Operator> {
///     Some(match name {
///         "In" => Operator::In,
///         "NotIn" => Operator::NotIn,
///         "Exists" => Operator::Exists,
///         "DoesNotExist" => Operator::DoesNotExist,
///         _ => return None,
///     })
/// }
/// let operator = operator("NotIn").expect("one of the four");
/// assert_eq!(Requirement::new("tier", operator, ["db"])?.to_string(), "tier!=db");
/// # Ok::<(), RequirementError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operator {
    /// `in`, and `=` for one value.
    In,
    /// `notin`, and `!=` for one value. Met by objects without the label.
    NotIn,
    /// The label exists: its name alone.
    Exists,
    /// The label does not exist: `!` before its name.
    DoesNotExist,
    /// `>`, as 64-bit integers.
    GreaterThan,
    /// `<`, as 64-bit integers.
    LessThan,
}

/// What one label must be, or must not be.
///
/// ```
/// use watchcache::LabelSelector;
/// use watchcache::selector::{Operator, Requirement, RequirementError};
///
/// let web = Requirement::new("app", Operator::In, ["web"])?;
/// let heavy = Requirement::new("weight", Operator::GreaterThan, ["3"])?;
/// assert!(heavy.met_by(Some("10")) && !heavy.met_by(Some("3")));
/// assert_eq!((heavy.label(), heavy.values()), ("weight", &["3".to_owned()][..]));
/// let both: LabelSelector = [web, heavy].into_iter().collect();
/// assert_eq!(both.to_string(), "app=web,weight>3");
/// # Ok::<(), RequirementError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    label: String,
    operator: Operator,
    /// Sorted and distinct.
    values: Vec<String>,
}

/// Why a requirement is invalid.
///
/// ```
/// use watchcache::selector::{Operator, Requirement, RequirementError};
///
/// let of = |label, operator, value| Requirement::new(label, operator, [value]).err();
/// let odd = of("app name", Operator::In, "web");
/// assert!(matches!(odd, Some(RequirementError::Label { label, .. }) if label == "app name"));
/// let odd = of("app", Operator::In, "web server");
/// assert!(matches!(odd, Some(RequirementError::Value { value, .. }) if value == "web server"));
/// let odd = of("weight", Operator::LessThan, "three");
/// assert_eq!(odd, Some(RequirementError::NotAnInteger { value: "three".into() }));
/// let odd = of("app", Operator::Exists, "web");
/// assert!(matches!(odd, Some(RequirementError::Count { count: 1, expected: "none", .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequirementError {
    /// The label's name breaks Kubernetes' rules for qualified names.
    #[error("label name {label:?}: {rule}")]
    Label {
        /// The name.
        label: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The value breaks Kubernetes' rules for label values.
    #[error("label value {value:?}: {rule}")]
    Value {
        /// The value.
        value: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// `>` and `<` compare with a 64-bit integer, and the value is not one.
    #[error("{value:?} is no 64-bit integer, which '>' and '<' compare with")]
    NotAnInteger {
        /// The value.
        value: String,
    },
    /// Too many values for the operator, or too few.
    #[error("{count} values, where {operator:?} takes {expected}")]
    Count {
        /// The operator.
        operator: Operator,
        /// The number of distinct values.
        count: usize,
        /// What the operator takes.
        expected: &'static str,
    },
}

impl Requirement {
    /// A requirement, by the rules of Kubernetes' `labels.NewRequirement`.
    ///
    /// ```
    /// use watchcache::selector::{Operator, Requirement, RequirementError};
    ///
    /// let web = Requirement::new("app", Operator::In, ["web", "api"])?;
    /// assert_eq!(web.to_string(), "app in (api,web)");
    /// assert!(web.met_by(Some("api")) && !web.met_by(None));
    /// # Ok::<(), RequirementError>(())
    /// ```
    ///
    /// # Errors
    /// If the name, a value or the number of values breaks those rules.
    pub fn new(
        label: impl Into<String>,
        operator: Operator,
        values: impl IntoIterator<Item: Into<String>>,
    ) -> Result<Self, RequirementError> {
        let label = label.into();
        if let Err(rule) = check_label(&label) {
            return Err(RequirementError::Label { label, rule });
        }
        let values: BTreeSet<String> = values.into_iter().map(Into::into).collect();
        let (fits, expected) = match operator {
            Operator::In | Operator::NotIn => (!values.is_empty(), "at least one"),
            Operator::Exists | Operator::DoesNotExist => (values.is_empty(), "none"),
            Operator::GreaterThan | Operator::LessThan => (values.len() == 1, "one"),
        };
        if !fits {
            return Err(RequirementError::Count { operator, count: values.len(), expected });
        }
        for value in &values {
            let value = || value.clone();
            if matches!(operator, Operator::GreaterThan | Operator::LessThan)
                && value().parse::<i64>().is_err()
            {
                return Err(RequirementError::NotAnInteger { value: value() });
            }
            if let Err(rule) = check_value(&value()) {
                return Err(RequirementError::Value { value: value(), rule });
            }
        }
        Ok(Self { label, operator, values: values.into_iter().collect() })
    }

    /// The label's name.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How it is compared.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The values to compare with, sorted.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Returns whether a label's value, or its absence, meets the requirement.
    #[must_use]
    pub fn met_by(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|one| one == value);
        let compared = |wanted| {
            let integer = |text: &str| text.parse::<i64>().ok();
            let bound = self.values.first().and_then(|bound| integer(bound));
            value
                .and_then(integer)
                .zip(bound)
                .is_some_and(|(value, bound)| value.cmp(&bound) == wanted)
        };
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => compared(std::cmp::Ordering::Greater),
            Operator::LessThan => compared(std::cmp::Ordering::Less),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, operator, values } = self;
        match (operator, &**values) {
            (Operator::Exists, _) => f.write_str(label),
            (Operator::DoesNotExist, _) => write!(f, "!{label}"),
            (Operator::In, [one]) => write!(f, "{label}={one}"),
            (Operator::NotIn, [one]) => write!(f, "{label}!={one}"),
            (Operator::In, many) => write!(f, "{label} in ({})", many.join(",")),
            (Operator::NotIn, many) => write!(f, "{label} notin ({})", many.join(",")),
            (Operator::GreaterThan, values) => write!(f, "{label}>{}", values.concat()),
            (Operator::LessThan, values) => write!(f, "{label}<{}", values.concat()),
        }
    }
}

/// Checks a qualified name: a name, and before it an optional DNS subdomain and a slash. The rules are those
/// of apimachinery's `validation.IsQualifiedName`.
fn check_label(label: &str) -> Result<(), &'static str> {
    let name = match label.split_once('/') {
        None => label,
        Some((_, name)) if name.contains('/') => return Err("it has more than one slash"),
        Some(("", _)) => return Err("the part before the slash is empty"),
        Some((prefix, _)) if prefix.len() > 253 => {
            return Err("the part before the slash is longer than 253 bytes");
        }
        Some((prefix, _)) if !prefix.split('.').all(is_dns_label) => {
            return Err("the part before the slash is no lower-case DNS name");
        }
        Some((_, name)) => name,
    };
    if name.is_empty() { Err("it is empty") } else { check_value(name) }
}

fn check_value(value: &str) -> Result<(), &'static str> {
    if value.len() > 63 {
        return Err("it is longer than 63 bytes");
    }
    if is_enclosed(value, |byte| byte.is_ascii_alphanumeric(), b"-_.") {
        Ok(())
    } else {
        Err(
            "it must be of letters, digits, '-', '_' and '.', and begin and end with a letter or digit",
        )
    }
}

fn is_dns_label(text: &str) -> bool {
    !text.is_empty()
        && is_enclosed(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
}

/// Returns whether the text is of `outer` bytes and `others`, and neither begins nor ends with one of the
/// others.
fn is_enclosed(text: &str, outer: impl Fn(u8) -> bool, others: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_none_or(|&byte| outer(byte))
        && bytes.last().is_none_or(|&byte| outer(byte))
        && bytes.iter().all(|&byte| outer(byte) || others.contains(&byte))
}
