//! Content filters: conditions on an event's data, written as MongoDB queries are.
//!
//! `{"status":"published"}` means equality; operators nest: `{"price":{"$gte":10,"$lt":20}}`,
//! `{"$or":[{"plan":"pro"},{"tags":{"$in":["vip"]}}]}`. A path with dots goes into objects and,
//! by number, into arrays. As in MongoDB, a condition on an array holds when it holds for the
//! array itself or for any of its elements.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::Problem;

/// Most conditions of one filter, counted through all nesting.
pub const MAX_CONDITIONS: usize = 100;
/// Deepest nesting of a filter.
pub const MAX_FILTER_DEPTH: usize = 10;
/// Longest regular expression, in characters.
pub const MAX_REGEX: usize = 256;
/// Largest compiled regular expression, in bytes. Matching takes time linear in the text.
const MAX_REGEX_COMPILED: usize = 64 * 1024;

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Filter(Node);

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// A path, its words joined by dots, and what must hold there.
    Field(Box<str>, Test),
}

#[derive(Debug, Clone)]
enum Test {
    Eq(Value),
    Ne(Value),
    Gt(Value),
    Gte(Value),
    Lt(Value),
    Lte(Value),
    In(Vec<Value>),
    Nin(Vec<Value>),
    Exists(bool),
    StartsWith(String),
    EndsWith(String),
    Regex(Regex),
}

impl Filter {
    /// Reads and compiles a filter.
    ///
    /// # Errors
    /// Every problem, with pointers below `pointer`.
    pub fn parse(json: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        let mut parser = Parser {
            problems: Vec::new(),
            conditions: 0,
        };
        let node = parser.query(json, pointer, 0);
        if parser.conditions > MAX_CONDITIONS {
            parser.problem(pointer, format!("at most {MAX_CONDITIONS} conditions"));
        }
        if parser.problems.is_empty() {
            Ok(Self(node))
        } else {
            Err(parser.problems)
        }
    }

    /// Whether the event's data meets the conditions.
    pub fn matches(&self, data: &Value) -> bool {
        self.0.matches(data)
    }
}

struct Parser {
    problems: Vec<Problem>,
    conditions: usize,
}

impl Parser {
    fn problem(&mut self, pointer: &str, detail: impl Into<String>) -> Node {
        self.problems.push(Problem::new(pointer, detail));
        Node::And(Vec::new())
    }

    fn query(&mut self, json: &Value, pointer: &str, depth: usize) -> Node {
        if depth > MAX_FILTER_DEPTH {
            return self.problem(
                pointer,
                format!("a filter is nested at most {MAX_FILTER_DEPTH} deep"),
            );
        }
        let Some(fields) = json.as_object() else {
            return self.problem(
                pointer,
                "a filter is an object of field paths and conditions",
            );
        };
        let mut nodes = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let node = match key.as_str() {
                "$and" => Node::And(self.queries(value, &at, depth)),
                "$or" => Node::Or(self.queries(value, &at, depth)),
                "$not" => Node::Not(Box::new(self.query(value, &at, depth + 1))),
                operator if operator.starts_with('$') => {
                    self.problem(&at, "here stands a field path, `$and`, `$or` or `$not`")
                }
                path => self.field(path, value, &at, depth),
            };
            nodes.push(node);
        }
        all_of(nodes)
    }

    fn queries(&mut self, json: &Value, pointer: &str, depth: usize) -> Vec<Node> {
        match json.as_array() {
            Some(queries) if !queries.is_empty() => queries
                .iter()
                .enumerate()
                .map(|(index, query)| self.query(query, &format!("{pointer}/{index}"), depth + 1))
                .collect(),
            Some(_) | None => vec![self.problem(pointer, "a list of at least one filter")],
        }
    }

    fn field(&mut self, path: &str, condition: &Value, pointer: &str, depth: usize) -> Node {
        if path.len() > 256 || path.split('.').any(str::is_empty) {
            return self.problem(
                pointer,
                "a field path is words joined by dots, at most 256 characters",
            );
        }
        match condition {
            Value::Object(operators) => self.operators(path, operators, pointer, depth),
            Value::Array(_) => {
                self.problem(pointer, "a list is compared with `$in`, `$nin` or `$eq`")
            }
            scalar => {
                self.conditions += 1;
                Node::Field(path.into(), Test::Eq(scalar.clone()))
            }
        }
    }

    fn operators(
        &mut self,
        path: &str,
        operators: &Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) -> Node {
        if depth > MAX_FILTER_DEPTH || operators.is_empty() {
            return self.problem(pointer, "an object of operators such as `$gte`; for a nested field write its path with dots");
        }
        let mut nodes = Vec::with_capacity(operators.len());
        for (operator, value) in operators {
            let at = format!(
                "{pointer}/{}",
                operator.replace('~', "~0").replace('/', "~1")
            );
            self.conditions += 1;
            if operator == "$not" {
                let Some(inner) = value.as_object() else {
                    nodes.push(self.problem(&at, "an object of operators such as `$gte`"));
                    continue;
                };
                let inner = self.operators(path, inner, &at, depth + 1);
                nodes.push(Node::Not(Box::new(inner)));
                continue;
            }
            match test(operator, value) {
                Ok(test) => nodes.push(Node::Field(path.into(), test)),
                Err(detail) => nodes.push(self.problem(&at, detail)),
            }
        }
        all_of(nodes)
    }
}

/// A list of one is the one: most filters are small, and there are as many as endpoints.
fn all_of(nodes: Vec<Node>) -> Node {
    match <[Node; 1]>::try_from(nodes) {
        Ok([only]) => only,
        Err(nodes) => Node::And(nodes),
    }
}

fn test(operator: &str, value: &Value) -> Result<Test, String> {
    let text = || {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("`{operator}` takes a text"))
    };
    let list = || match value.as_array() {
        Some(values) if values.len() <= 1000 => Ok(values.clone()),
        Some(_) | None => Err(format!("`{operator}` takes a list of at most 1,000 values")),
    };
    let ordered = || match value {
        Value::Number(_) | Value::String(_) => Ok(value.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("`{operator}` compares with a number or a text"))
        }
    };
    Ok(match operator {
        "$eq" => Test::Eq(value.clone()),
        "$ne" => Test::Ne(value.clone()),
        "$gt" => Test::Gt(ordered()?),
        "$gte" => Test::Gte(ordered()?),
        "$lt" => Test::Lt(ordered()?),
        "$lte" => Test::Lte(ordered()?),
        "$in" => Test::In(list()?),
        "$nin" => Test::Nin(list()?),
        "$exists" => Test::Exists(value.as_bool().ok_or("`$exists` takes true or false")?),
        "$startsWith" => Test::StartsWith(text()?),
        "$endsWith" => Test::EndsWith(text()?),
        "$regex" => Test::Regex(regex(&text()?)?),
        _ => {
            return Err(format!(
                "{operator:?} is not an operator; there are $eq $ne $gt $gte $lt $lte $in $nin $exists \
                 $startsWith $endsWith $regex $not, and $and, $or around conditions"
            ));
        }
    })
}

fn regex(text: &str) -> Result<Regex, String> {
    if text.chars().count() > MAX_REGEX {
        return Err(format!(
            "a regular expression has at most {MAX_REGEX} characters"
        ));
    }
    RegexBuilder::new(text)
        .size_limit(MAX_REGEX_COMPILED)
        .dfa_size_limit(MAX_REGEX_COMPILED)
        .nest_limit(20)
        .build()
        .map_err(|error| format!("not a regular expression: {error}"))
}

impl Node {
    fn matches(&self, data: &Value) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(data)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(data)),
            Self::Not(node) => !node.matches(data),
            Self::Field(path, test) => test.holds(&find(data, path)),
        }
    }
}

/// The values at a path; several where it crosses an array of objects.
fn find<'a>(data: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![data];
    for word in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|value| step(value, word))
            .collect();
    }
    found
}

fn step<'a>(value: &'a Value, word: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(word).into_iter().collect(),
        Value::Array(values) => {
            let by_number = word
                .parse::<usize>()
                .ok()
                .and_then(|index| values.get(index));
            by_number
                .into_iter()
                .chain(
                    values
                        .iter()
                        .filter_map(|element| element.as_object()?.get(word)),
                )
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

impl Test {
    fn holds(&self, found: &[&Value]) -> bool {
        let any = |check: &dyn Fn(&Value) -> bool| {
            found.iter().any(|value| {
                check(value) || value.as_array().is_some_and(|all| all.iter().any(check))
            })
        };
        // A missing field equals null, as in MongoDB.
        let equal = |wanted: &Value| {
            any(&|value| same(value, wanted)) || (found.is_empty() && wanted.is_null())
        };
        match self {
            Self::Eq(wanted) => equal(wanted),
            Self::Ne(wanted) => !equal(wanted),
            Self::In(wanted) => wanted.iter().any(equal),
            Self::Nin(wanted) => !wanted.iter().any(equal),
            Self::Exists(wanted) => found.is_empty() != *wanted,
            Self::Gt(bound) => {
                any(&|value| order(value, bound).is_some_and(std::cmp::Ordering::is_gt))
            }
            Self::Gte(bound) => {
                any(&|value| order(value, bound).is_some_and(std::cmp::Ordering::is_ge))
            }
            Self::Lt(bound) => {
                any(&|value| order(value, bound).is_some_and(std::cmp::Ordering::is_lt))
            }
            Self::Lte(bound) => {
                any(&|value| order(value, bound).is_some_and(std::cmp::Ordering::is_le))
            }
            Self::StartsWith(start) => {
                any(&|value| value.as_str().is_some_and(|text| text.starts_with(start)))
            }
            Self::EndsWith(end) => {
                any(&|value| value.as_str().is_some_and(|text| text.ends_with(end)))
            }
            Self::Regex(regex) => {
                any(&|value| value.as_str().is_some_and(|text| regex.is_match(text)))
            }
        }
    }
}

/// Equality in which 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => order(a, b).is_some_and(std::cmp::Ordering::is_eq),
        _ => a == b,
    }
}

/// The order of two numbers or two texts; nothing else is ordered.
fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
                return Some(a.cmp(&b));
            }
            if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
                return Some(a.cmp(&b));
            }
            a.as_f64()?.partial_cmp(&b.as_f64()?)
        }
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(filter: Value, data: &Value) -> bool {
        Filter::parse(&filter, "/filter")
            .unwrap_or_else(|p| panic!("{filter}: {p:?}"))
            .matches(data)
    }

    #[test]
    fn every_operator_does_what_its_name_says() {
        let data = json!({
            "status": "published", "price": 12.5, "count": 3, "big": 12_345_678_901_234_567_890_u64,
            "customer": {"plan": "pro", "email": "a@example.com"}, "tags": ["a", "vip"],
            "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 5}], "gone": null, "ok": true, "a.b": 1
        });
        let yes = [
            json!({}),
            json!({"status": "published"}),
            json!({"status": "published", "count": 3}),
            json!({"count": 3.0}),
            json!({"customer.plan": "pro"}),
            json!({"price": {"$gt": 12, "$lt": 13}}),
            json!({"price": {"$gte": 12.5, "$lte": 12.5}}),
            json!({"big": {"$gt": 12_345_678_901_234_567_889_u64}}),
            json!({"status": {"$gt": "p"}}),
            json!({"status": {"$in": ["draft", "published"]}}),
            json!({"status": {"$nin": ["draft"]}}),
            json!({"status": {"$ne": "draft"}}),
            json!({"missing": {"$ne": "draft"}}),
            json!({"missing": null}),
            json!({"gone": null}),
            json!({"gone": {"$exists": true}}),
            json!({"missing": {"$exists": false}}),
            json!({"tags": "vip"}),
            json!({"tags": {"$eq": ["a", "vip"]}}),
            json!({"tags.1": "vip"}),
            json!({"items.sku": "y"}),
            json!({"items.n": {"$gt": 4}}),
            json!({"customer.email": {"$endsWith": "@example.com"}}),
            json!({"customer.email": {"$startsWith": "a@"}}),
            json!({"customer.email": {"$regex": "^[a-z]@"}}),
            json!({"$or": [{"status": "draft"}, {"count": 3}]}),
            json!({"$and": [{"status": "published"}, {"ok": true}]}),
            json!({"$not": {"status": "draft"}}),
            json!({"price": {"$not": {"$gt": 20}}}),
        ];
        for filter in yes {
            assert!(matches(filter.clone(), &data), "{filter} should match");
        }
        let no = [
            json!({"status": "draft"}),
            json!({"status": "published", "count": 4}),
            json!({"count": "3"}),
            json!({"status": {"$gt": 1}}),
            json!({"price": {"$gt": 12.5}}),
            json!({"tags": {"$nin": ["vip"]}}),
            json!({"tags": {"$ne": "vip"}}),
            json!({"missing": {"$exists": true}}),
            json!({"missing": {"$gt": 0}}),
            json!({"status.length": 9}),
            json!({"$or": [{"status": "draft"}, {"count": 4}]}),
            json!({"$not": {"status": "published"}}),
        ];
        for filter in no {
            assert!(!matches(filter.clone(), &data), "{filter} should not match");
        }
        assert!(!matches(json!({"a": 1}), &json!([1])));
        assert!(!matches(json!({"a": 1}), &json!("text")));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let deep = (0..20).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}));
        let deep_not = (0..20).fold(json!({"$gt": 1}), |inner, _| json!({"$not": inner}));
        let many: Map<String, Value> = (0..101).map(|n| (format!("f{n}"), json!(n))).collect();
        for (filter, pointer) in [
            (json!("x"), "/filter"),
            (json!([]), "/filter"),
            (json!({"a": {"$near": 1}}), "/filter/a/$near"),
            (json!({"a": {"b": 1}}), "/filter/a/b"),
            (json!({"a": {}}), "/filter/a"),
            (json!({"a": [1]}), "/filter/a"),
            (json!({"a..b": 1}), "/filter/a..b"),
            (json!({"a": {"$in": 1}}), "/filter/a/$in"),
            (json!({"a": {"$gt": true}}), "/filter/a/$gt"),
            (json!({"a": {"$exists": 1}}), "/filter/a/$exists"),
            (json!({"a": {"$regex": "("}}), "/filter/a/$regex"),
            (
                json!({"a": {"$regex": "a".repeat(257)}}),
                "/filter/a/$regex",
            ),
            (
                json!({"a": {"$regex": "(?:a{1000}){1000}"}}),
                "/filter/a/$regex",
            ),
            (json!({"$or": []}), "/filter/$or"),
            (json!({"$eq": 1}), "/filter/$eq"),
            (Value::Object(many), "/filter"),
        ] {
            let problems = Filter::parse(&filter, "/filter").unwrap_err();
            assert_eq!(problems[0].pointer, pointer, "{filter}");
        }
        assert!(Filter::parse(&deep, "/filter").is_err());
        assert!(Filter::parse(&json!({"a": deep_not}), "/filter").is_err());
    }

    fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a$.]{0,5}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            "\\$(eq|ne|gt|in|and|or|not|regex|exists)",
            "[a-c](\\.[a-c0-1])?"
        ];
        leaf.prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn no_filter_and_no_data_panic(filter in any_json(), data in any_json()) {
            if let Ok(filter) = Filter::parse(&filter, "") {
                let matched = filter.matches(&data);
                let negated = Filter(Node::Not(Box::new(filter.0)));
                proptest::prop_assert_ne!(matched, negated.matches(&data));
            }
        }
    }
}
