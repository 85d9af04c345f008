//! The grammar of apimachinery's `labels.Parse` (version 0.37), corner cases included.

use thiserror::Error;

use super::requirement::{Operator, Requirement, RequirementError};

/// Why a text is not a selector, and where. Positions are byte offsets.
///
/// Pointing at what is wrong:
///
/// ```
/// use watchcache::LabelSelector;
/// use watchcache::selector::ParseSelectorError;
///
/// let text = "app=web,tier is db";
/// let error = text.parse::<LabelSelector>().expect_err("there is no such operator");
/// let at = match &error {
///     ParseSelectorError::Unexpected { at, .. } | ParseSelectorError::Requirement { at, .. } => *at,
///     _ => 0,
/// };
/// assert_eq!(&text[at..], "is db");
/// assert!(error.to_string().starts_with("found 'is' at 13, expected: in, notin, "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseSelectorError {
    /// An unexpected token.
    #[error("found '{found}' at {at}, expected: {expected}")]
    Unexpected {
        /// Its position.
        at: usize,
        /// The token; empty at the end of the text.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A requirement that parses, but is invalid.
    #[error("requirement at {at}: {source}")]
    Requirement {
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        source: RequirementError,
    },
}

pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, ParseSelectorError> {
    let mut parser = Parser { text, at: 0 };
    let mut requirements = Vec::new();
    if parser.peek() == "" {
        return Ok(requirements);
    }
    loop {
        requirements.push(parser.requirement()?);
        match parser.next() {
            (_, "") => return Ok(requirements),
            (_, ",") if parser.peek() == "!" || is_word(parser.peek()) => {}
            (_, ",") => {
                let next = parser.next();
                return unexpected(next, "identifier after ','");
            }
            other => return unexpected(other, "',' or 'end of string'"),
        }
    }
}

/// A token and its position; the end of the text is the empty token.
type Token<'a> = (usize, &'a str);

fn unexpected<T>((at, found): Token<'_>, expected: &'static str) -> Result<T, ParseSelectorError> {
    Err(ParseSelectorError::Unexpected { at, found: found.to_owned(), expected })
}

// Longer ones first, so that "==" is not read as two "=".
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

fn is_word(token: &str) -> bool {
    !token.is_empty() && !SYMBOLS.contains(&token)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.token().1
    }

    fn next(&mut self) -> Token<'a> {
        let (at, token) = self.token();
        self.at = at + token.len();
        (at, token)
    }

    fn token(&self) -> Token<'a> {
        let rest = self.text[self.at..].trim_start_matches(SPACES);
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let len = symbol.map(|symbol| symbol.len()).unwrap_or_else(|| {
            let ends = |c: char| SPACES.contains(&c) || "=!,()><".contains(c);
            rest.find(ends).unwrap_or(rest.len())
        });
        (self.text.len() - rest.len(), &rest[..len])
    }

    fn requirement(&mut self) -> Result<Requirement, ParseSelectorError> {
        let mut first = self.next();
        let at = first.0;
        let absent = first.1 == "!";
        if absent {
            first = self.next();
        }
        if !is_word(first.1) {
            return unexpected(first, "!, identifier, or 'end of string'");
        }
        let (operator, values) = if absent {
            (Operator::DoesNotExist, Vec::new())
        } else if matches!(self.peek(), "" | ",") {
            (Operator::Exists, Vec::new())
        } else {
            let (place, token) = self.next();
            match token {
                "=" | "==" => (Operator::In, vec![self.value()?]),
                "!=" => (Operator::NotIn, vec![self.value()?]),
                ">" => (Operator::GreaterThan, vec![self.value()?]),
                "<" => (Operator::LessThan, vec![self.value()?]),
                "in" => (Operator::In, self.values()?),
                "notin" => (Operator::NotIn, self.values()?),
                _ => return unexpected((place, token), "in, notin, =, ==, !=, >, <"),
            }
        };
        Requirement::new(first.1, operator, values)
            .map_err(|source| ParseSelectorError::Requirement { at, source })
    }

    /// One value; if there is none, the empty value.
    fn value(&mut self) -> Result<&'a str, ParseSelectorError> {
        if matches!(self.peek(), "" | ",") {
            return Ok("");
        }
        let next = self.next();
        if is_word(next.1) { Ok(next.1) } else { unexpected(next, "identifier") }
    }

    /// Values in parentheses. Nothing between two commas, at either end, or at all is the empty value.
    fn values(&mut self) -> Result<Vec<&'a str>, ParseSelectorError> {
        let open = self.next();
        if open.1 != "(" {
            return unexpected(open, "'('");
        }
        if self.peek() == ")" {
            self.next();
            return Ok(vec![""]);
        }
        let mut values = Vec::new();
        loop {
            let (at, token) = self.next();
            match token {
                "," => {
                    if values.is_empty() {
                        values.push("");
                    }
                    match self.peek() {
                        ")" => {
                            values.push("");
                            break;
                        }
                        "," => values.push(""),
                        _ => {}
                    }
                }
                word if is_word(word) => {
                    values.push(word);
                    match self.peek() {
                        "," => {}
                        ")" => break,
                        _ => {
                            let next = self.next();
                            return unexpected(next, "',' or ')'");
                        }
                    }
                }
                _ => return unexpected((at, token), "',', ')' or identifier"),
            }
        }
        self.next();
        Ok(values)
    }
}
