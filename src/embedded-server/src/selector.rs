//! Label and field selectors.

use crate::entry::Entry;
use crate::simulation::Resource;
use crate::status::Failure;

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    test: LabelTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelTest {
    Exists,
    Absent,
    In(Vec<String>),
    /// Met by an object without the label too.
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    NodeName,
    Phase,
}

impl Selector {
    /// Reads both selectors as they stand in a query.
    pub(crate) fn parse(
        resource: Resource,
        labels: &str,
        fields: &str,
    ) -> Result<Selector, Failure> {
        let labels = parse_labels(labels)
            .map_err(|why| Failure::bad_request(format!("unable to parse requirement: {why}")))?;
        let fields = parse_fields(resource, fields).map_err(Failure::bad_request)?;
        Ok(Selector { labels, fields })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        self.labels.iter().all(|requirement| requirement.met_by(entry))
            && self.fields.iter().all(|requirement| requirement.met_by(entry))
    }
}

impl LabelRequirement {
    fn met_by(&self, entry: &Entry) -> bool {
        let value =
            entry.labels.iter().find(|(key, _)| **key == *self.key).map(|(_, value)| &**value);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
            LabelTest::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            LabelTest::NotIn(values) => {
                !value.is_some_and(|value| values.iter().any(|v| v == value))
            }
            LabelTest::Above(bound) => number().is_some_and(|number| number > *bound),
            LabelTest::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl FieldRequirement {
    fn met_by(&self, entry: &Entry) -> bool {
        let value = match self.field {
            Field::Name => &*entry.name,
            Field::Namespace => entry.namespace.as_deref().unwrap_or_default(),
            Field::NodeName => &*entry.node_name,
            Field::Phase => &*entry.phase,
        };
        (value == self.value) == self.equal
    }
}

fn parse_fields(resource: Resource, text: &str) -> Result<Vec<FieldRequirement>, String> {
    let mut requirements = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (label, value, equal) = if let Some((label, value)) = part.split_once("!=") {
            (label, value, false)
        } else if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('='))
        {
            (label, value, true)
        } else {
            return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
        };
        let field = match (label, resource) {
            ("metadata.name", _) => Field::Name,
            ("metadata.namespace", _) => Field::Namespace,
            ("spec.nodeName", Resource::Pods) => Field::NodeName,
            ("status.phase", Resource::Pods | Resource::Namespaces) => Field::Phase,
            _ => return Err(format!("field label not supported: {label}")),
        };
        requirements.push(FieldRequirement { field, value: value.to_owned(), equal });
    }
    Ok(requirements)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(word) => f.write_str(word),
            Token::Symbol(symbol) => f.write_str(symbol),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    // The longer symbols first, so that "==" is not read as two of "=".
    const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let special = |c: char| c.is_whitespace() || "=!,()><".contains(c);
            let end = rest.find(special).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, String> {
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens };
    let mut requirements = Vec::new();
    while !parser.tokens.is_empty() {
        requirements.push(parser.requirement()?);
        match parser.next() {
            None => break,
            Some(Token::Symbol(",")) if !parser.tokens.is_empty() => {}
            Some(Token::Symbol(",")) => {
                return Err("found '', expected: identifier after ','".into());
            }
            Some(other) => {
                return Err(format!("found '{other}', expected: ',' or 'end of string'"));
            }
        }
    }
    Ok(requirements)
}

struct Parser<'a> {
    tokens: &'a [Token],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let absent = self.tokens.first() == Some(&Token::Symbol("!"));
        if absent {
            self.next();
        }
        let key = match self.next() {
            Some(Token::Word(word)) => valid_key(word)?,
            other => return Err(format!("found '{}', expected: identifier", shown(other))),
        };
        let test = match self.tokens.first() {
            None | Some(Token::Symbol(",")) if absent => LabelTest::Absent,
            None | Some(Token::Symbol(",")) => LabelTest::Exists,
            Some(other) if absent => {
                return Err(format!("found '{other}', expected: ',' or 'end of string'"));
            }
            Some(_) => self.test()?,
        };
        Ok(LabelRequirement { key, test })
    }

    fn test(&mut self) -> Result<LabelTest, String> {
        match self.next() {
            Some(Token::Symbol("=" | "==")) => Ok(LabelTest::In(vec![self.value()?])),
            Some(Token::Symbol("!=")) => Ok(LabelTest::NotIn(vec![self.value()?])),
            Some(Token::Symbol(">")) => Ok(LabelTest::Above(self.number()?)),
            Some(Token::Symbol("<")) => Ok(LabelTest::Below(self.number()?)),
            Some(Token::Word(word)) if word == "in" => Ok(LabelTest::In(self.values()?)),
            Some(Token::Word(word)) if word == "notin" => Ok(LabelTest::NotIn(self.values()?)),
            other => {
                Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", shown(other)))
            }
        }
    }

    /// One value; none at all is the empty value.
    fn value(&mut self) -> Result<String, String> {
        match self.tokens.first() {
            Some(Token::Word(word)) => {
                self.next();
                valid_value(word)
            }
            None | Some(Token::Symbol("," | ")")) => Ok(String::new()),
            other => Err(format!("found '{}', expected: identifier", shown(other))),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            format!("'{value}': for 'Gt', 'Lt' operators, the value must be an integer")
        })
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.next() != Some(&Token::Symbol("(")) {
            return Err("expected: '('".into());
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next() {
                Some(Token::Symbol(")")) => return Ok(values),
                Some(Token::Symbol(",")) => {}
                other => return Err(format!("found '{}', expected: ',' or ')'", shown(other))),
            }
        }
    }
}

fn shown(token: Option<&Token>) -> String {
    token.map(ToString::to_string).unwrap_or_default()
}

fn valid_key(key: &str) -> Result<String, String> {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if well_formed(name) && !name.is_empty() && name.len() <= 63 {
        Ok(key.to_owned())
    } else {
        Err(format!(
            "key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

fn valid_value(value: &str) -> Result<String, String> {
    if well_formed(value) && value.len() <= 63 {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "values: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

fn well_formed(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"labels": {"app": "web", "tier": "1", "example.com/team": "a"}},
            "spec": {"nodeName": "n1"}, "status": {"phase": "Running"},
        });
        let entry = Entry::new(Some("ns".into()), "pod".into(), &pod, 1);
        Selector::parse(Resource::Pods, labels, fields).expect("valid").matches(&entry)
    }

    #[test]
    fn labels() {
        for met in [
            "",
            "app",
            "!absent",
            "app=web",
            "app==web",
            "app!=api",
            "absent!=x",
            "app in (api,web)",
            "app notin (api)",
            "absent notin (a, b)",
            "app=web,tier=1",
            "tier>0",
            "tier<2",
            "example.com/team = a",
            " app in ( web ) , !absent ",
        ] {
            assert!(matches(met, ""), "{met}");
        }
        for unmet in [
            "absent",
            "!app",
            "app=api",
            "app!=web",
            "app notin (web)",
            "app=web,tier=2",
            "tier>1",
            "absent=",
            "absent in (a)",
        ] {
            assert!(!matches(unmet, ""), "{unmet}");
        }
    }

    #[test]
    fn fields() {
        assert!(matches("", "metadata.name=pod,metadata.namespace==ns,spec.nodeName=n1"));
        assert!(matches("", "status.phase!=Pending"));
        assert!(!matches("", "status.phase=Pending"));
    }

    #[test]
    fn refusals() {
        for labels in ["app=", "app in ()"] {
            assert!(Selector::parse(Resource::Pods, labels, "").is_ok(), "{labels}");
        }
        for labels in [
            "=a",
            "app in",
            "app in (a",
            "app,",
            "a b",
            "app=-x",
            "!app=x",
            "app=a=b",
            "(",
            "tier>x",
        ] {
            assert!(Selector::parse(Resource::Pods, labels, "").is_err(), "{labels}");
        }
        for fields in ["spec.x=1", "metadata.name"] {
            assert!(Selector::parse(Resource::Pods, "", fields).is_err(), "{fields}");
        }
        assert!(Selector::parse(Resource::Nodes, "", "spec.nodeName=x").is_err());
    }
}
