//! Label selectors: what they mean, how they are shown, and what is refused where.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchcache::selector::{Operator, ParseSelectorError, Requirement, RequirementError};
use watchcache::{KeyRef, LabelSelector, Object, Store};

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Pod {
    name: String,
    labels: Labels,
}

impl Object for Pod {
    fn key(&self) -> KeyRef<'_> {
        ("default", &*self.name).into()
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str) -> LabelSelector {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(text: &str, labels: &Labels) -> bool {
    parse(text).matches(|name| labels.get(name).map(String::as_str))
}

#[test]
fn meaning() {
    let held = labels(&[("app", "web"), ("tier", "1"), ("example.com/team", "a"), ("none", "")]);
    for met in [
        "",
        "  ",
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
        "none=",
        "none in ()",
        "none in (a,)",
        "none in (,a)",
        "none in (a,,b)",
        "none in (a,,)",
        "none in (,,,a)",
        "app\tin\r\n(web)",
        "none==",
    ] {
        assert!(matches(met, &held), "{met}");
    }
    for unmet in [
        "absent",
        "!app",
        "app=api",
        "app!=web",
        "app notin (web)",
        "app=web,tier=2",
        "tier>1",
        "tier<1",
        "app>1",
        "absent<1",
        "absent=",
        "absent in (a)",
        "app=",
        "absent in ()",
    ] {
        assert!(!matches(unmet, &held), "{unmet}");
    }
}

#[test]
fn operators_are_names_where_no_operator_belongs() {
    assert_eq!(parse("a in (x,notin,in)").to_string(), "a in (in,notin,x)");
    assert_eq!(parse("in in (in)").to_string(), "in=in");
    assert_eq!(parse("notin").to_string(), "notin");
}

#[test]
fn one_canonical_form() {
    for (text, shown) in [
        ("", ""),
        ("b, a", "a,b"),
        ("a == x", "a=x"),
        ("a in (x)", "a=x"),
        ("a notin (y,x,y)", "a notin (x,y)"),
        ("a notin (x)", "a!=x"),
        ("!z,y>1,x<2", "x<2,y>1,!z"),
        ("a in ()", "a="),
        ("a=x,a=x", "a=x"),
        ("a in (b,,c)", "a in (,b,c)"),
        ("a in (x,,)", "a in (,x)"),
        ("a in (x,,,)", "a in (,x)"),
        ("a in (,,)", "a="),
    ] {
        assert_eq!(parse(text).to_string(), shown, "{text}");
        assert_eq!(parse(shown), parse(text), "{text}");
    }
}

#[test]
fn what_the_api_server_refuses() {
    for text in [
        "=a",
        "app in",
        "app in (a",
        "app,",
        ",app",
        "a,,b",
        "a b",
        "app=-x",
        "!app=x",
        "!",
        "!!a",
        "app=a=b",
        "app==a==b",
        "x=a||y=b",
        "(",
        "a (",
        "a notin(",
        "a in (x y)",
        "a in (x,",
        "a in (x,,",
        "tier>x",
        "tier>",
        "x nott in (y)",
        "a in (x),",
        "a in (x)b notin ()",
        "app=(a)",
        "app=é",
        "/a=b",
        "a/=b",
        "a/b/c=d",
        "A.com/x=y",
        "a..b/x=y",
        "app\u{a0}=web",
        "tier>9223372036854775808",
    ] {
        assert!(text.parse::<LabelSelector>().is_err(), "{text}");
    }
    let longest = "a".repeat(63);
    assert!(format!("{longest}={longest}").parse::<LabelSelector>().is_ok());
    assert!(format!("{longest}a=x").parse::<LabelSelector>().is_err());
    assert!(format!("x={longest}a").parse::<LabelSelector>().is_err());
}

#[test]
fn errors_name_the_place() {
    let error = "app=web,tier x".parse::<LabelSelector>();
    assert_eq!(
        error,
        Err(ParseSelectorError::Unexpected {
            at: 13,
            found: "x".into(),
            expected: "in, notin, =, ==, !=, >, <",
        })
    );
    let error = "app=web, tier>high".parse::<LabelSelector>();
    assert_eq!(
        error,
        Err(ParseSelectorError::Requirement {
            at: 9,
            source: RequirementError::NotAnInteger { value: "high".into() },
        })
    );
}

#[test]
fn requirements_are_checked() {
    let none: [&str; 0] = [];
    for (operator, values) in [
        (Operator::In, &none[..]),
        (Operator::NotIn, &none),
        (Operator::Exists, &["a"]),
        (Operator::DoesNotExist, &["a"]),
        (Operator::GreaterThan, &["1", "2"]),
        (Operator::LessThan, &none),
    ] {
        let error = Requirement::new("app", operator, values.iter().copied());
        assert!(matches!(error, Err(RequirementError::Count { .. })), "{operator:?} {values:?}");
    }
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let label = prop::sample::select(vec!["app", "tier", "example.com/team"]);
    let value = prop::sample::select(vec!["", "a", "b", "in", "7", "12"]);
    let number = (-9_i64..20).prop_map(|number| number.unsigned_abs().to_string());
    let values = prop::collection::btree_set(value, 1..4);
    (label, 0..6, values, number).prop_map(|(label, operator, values, number)| {
        let many: Vec<String> = values.into_iter().map(str::to_owned).collect();
        let (operator, values) = match operator {
            0 => (Operator::In, many),
            1 => (Operator::NotIn, many),
            2 => (Operator::Exists, Vec::new()),
            3 => (Operator::DoesNotExist, Vec::new()),
            4 => (Operator::GreaterThan, vec![number]),
            _ => (Operator::LessThan, vec![number]),
        };
        Requirement::new(label, operator, values).expect("made by the rules")
    })
}

fn some_labels() -> impl Strategy<Value = Labels> {
    let label = prop::sample::select(vec!["app", "tier", "example.com/team"]);
    let value = prop::sample::select(vec!["", "a", "b", "in", "7", "12"]);
    prop::collection::btree_map(label.prop_map(str::to_owned), value.prop_map(str::to_owned), 0..4)
}

proptest! {
    #[test]
    fn shown_and_read_again(requirements in prop::collection::vec(requirement(), 0..5)) {
        let selector: LabelSelector = requirements.into_iter().collect();
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[ab/.=!,()<> \u{e9}\tin]{0,24}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }
    }

    #[test]
    fn an_index_changes_no_result(
        pods in prop::collection::vec(some_labels(), 0..30),
        requirements in prop::collection::vec(requirement(), 0..4),
    ) {
        let selector: LabelSelector = requirements.into_iter().collect();
        let plain = Store::<Pod>::new();
        let indexed = Store::<Pod>::builder().label_index("app").label_index("example.com/team").build();
        let mut expected = BTreeSet::new();
        for (i, labels) in pods.into_iter().enumerate() {
            let name = format!("pod-{i}");
            if selector.requirements().iter().all(|one| one.met_by(labels.get(one.label()).map(String::as_str))) {
                expected.insert(name.clone());
            }
            let pod = std::sync::Arc::new(Pod { name, labels });
            plain.add(pod.clone()).expect("the key is valid");
            indexed.add(pod).expect("the key is valid");
        }
        for store in [plain, indexed] {
            let snapshot = store.snapshot();
            let found: Vec<_> =
                snapshot.select(&selector).map(|(key, _)| key.name().to_owned()).collect();
            prop_assert_eq!(found.len(), expected.len(), "nothing twice");
            prop_assert_eq!(&found.into_iter().collect::<BTreeSet<_>>(), &expected);
        }
    }
}

#[test]
fn an_index_spares_looking_at_the_rest() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static LOOKED: AtomicUsize = AtomicUsize::new(0);

    struct Counted(usize, String);
    impl Object for Counted {
        fn key(&self) -> KeyRef<'_> {
            ("default", &*self.1).into()
        }

        fn label(&self, name: &str) -> Option<&str> {
            LOOKED.fetch_add(1, Ordering::Relaxed);
            match (name, self.0) {
                ("app", 0..3) => Some("rare"),
                ("app", _) => Some("common"),
                ("half", n) if n % 2 == 0 => Some("even"),
                _ => None,
            }
        }
    }

    let store = Store::builder().label_index("half").label_index("app").build();
    for i in 0..100 {
        store.add(Counted(i, format!("pod-{i}"))).expect("the key is valid");
    }
    let snapshot = store.snapshot();
    LOOKED.store(0, Ordering::Relaxed);
    assert_eq!(snapshot.select(&parse("app=rare,half=even")).count(), 2);
    assert!(LOOKED.load(Ordering::Relaxed) <= 6, "three objects, two labels each");
}
