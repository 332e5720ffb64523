//! Sample messages as lists of named values: what JSON, tables and forms have in common.

use std::borrow::Cow;
use std::collections::BTreeMap;

use meetnet_model::registry::split_cells;
use meetnet_model::units::canonical_unit;
use serde_json::{Map, Value};

use crate::format::csv::is_missing;
use crate::json::lenient::without_nan;
use crate::quantity;

/// Values of one name that are looked at.
const VALUES_MAX: usize = 1_000;
/// Different names that are looked at.
const LEAVES_MAX: usize = 500;
/// Names of the member of a pair that holds the name of a value, and of the one that holds the value.
const PAIR_NAMES: [&str; 9] = [
    "value_type",
    "name",
    "type",
    "key",
    "property",
    "parameter",
    "phenomenon",
    "n",
    "quantity",
];
const PAIR_VALUES: [&str; 6] = ["value", "val", "v", "result", "reading", "data"];

/// How the samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON document per sample.
    Json,
    /// One JSON document per line.
    JsonLines,
    /// A header and rows.
    Csv {
        /// Between the cells.
        delimiter: char,
    },
    /// `a=1&b=2`.
    Urlencoded,
    /// `measurement,tag=x field=1 1700000000`.
    LineProtocol,
}

impl Form {
    /// Returns true where a source can declare that its numbers have their unit behind them.
    pub(super) fn takes_units(self) -> bool {
        matches!(self, Self::Json | Self::JsonLines | Self::Csv { .. })
    }
}

/// One name under which the samples have values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    /// How a map entry writes the place.
    pub(super) place: LeafPlace,
    /// What the place is called, for guessing: the last name of it.
    pub(super) name: String,
    /// The names on the way to it, which may say what it is.
    pub(super) path: String,
    /// Its values, in the order of the samples.
    pub(super) values: Vec<LeafValue>,
    /// Some of them are numbers with a comma.
    pub(super) has_comma: bool,
    /// The unit that was taken from behind them, by its UCUM code.
    pub(super) unit: Option<&'static str>,
}

impl Leaf {
    /// Returns it with numbers for values that have their unit behind them; none where something else is among them, no value
    /// has one, or not all of them have the same.
    pub(super) fn with_units(&self) -> Option<Self> {
        let mut found = Self {
            values: Vec::with_capacity(self.values.len()),
            ..self.clone()
        };
        for value in &self.values {
            let LeafValue::Text(text) = value else {
                value.number()?;
                found.values.push(value.clone());
                continue;
            };
            let (number, unit) = match quantity::split(text) {
                Some((number, behind)) => (number, Some(canonical_unit(behind)?)),
                None => (text.as_str(), None),
            };
            if unit.is_some() && found.unit.is_some() && unit != found.unit {
                return None;
            }
            found.unit = found.unit.or(unit);
            let with_point = with_point(number);
            found.has_comma |= with_point.is_some();
            let number = with_point.unwrap_or_else(|| LeafValue::of_text(number));
            number.number()?;
            found.values.push(number);
        }
        found.unit.is_some().then_some(found)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeafPlace {
    Pointer(String),
    Field(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum LeafValue {
    Number(f64, String),
    Text(String),
    /// A list of objects within a list, of which nothing can be mapped.
    Inner,
    Other,
}

impl LeafValue {
    /// Returns a value of JSON.
    pub(super) fn of_json(value: &Value) -> Self {
        match value {
            Value::Number(number) => {
                Self::Number(number.as_f64().unwrap_or(f64::NAN), number.to_string())
            }
            Value::String(text) => Self::of_text(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Other,
        }
    }

    /// Returns a number, or the text.
    pub(super) fn of_text(text: &str) -> Self {
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number, text.trim().to_owned()),
            _ => Self::Text(text.trim().to_owned()),
        }
    }

    /// Returns the value as it is written.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Number(_, text) | Self::Text(text) => Some(text),
            Self::Inner | Self::Other => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number, _) => Some(*number),
            Self::Text(_) | Self::Inner | Self::Other => None,
        }
    }
}

/// How many messages of a network server have no values that can be read, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Undecoded {
    /// Of so many messages.
    pub(super) messages: usize,
    /// They have bytes that no codec has decoded.
    pub(super) bytes_only: usize,
    /// A codec has made nothing of them.
    pub(super) empty: usize,
    /// They are no uplinks, or such without a payload.
    pub(super) without_payload: usize,
}

impl Undecoded {
    /// Returns true where no message has any.
    pub(super) fn is_all(&self) -> bool {
        self.messages > 0 && self.messages == self.bytes_only + self.empty + self.without_payload
    }
}

/// The samples, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaves {
    pub(super) form: Form,
    /// In the order in which they were met.
    pub(super) leaves: Vec<Leaf>,
    known: BTreeMap<LeafPlace, usize>,
    /// Pointers to the names and values of pairs, where the values stand in some.
    pub(super) pairs: Option<(String, String)>,
    /// The messages say the units of their values, so the map need not.
    pub(super) states_units: bool,
    /// The documents have bare `nan` in them, which is no JSON.
    pub(super) lenient: bool,
    /// What a network server has not decoded.
    pub(super) undecoded: Undecoded,
    /// The documents, where they are JSON.
    pub(super) documents: Vec<Value>,
}

/// Takes samples apart; none where they are in no form that is known.
pub(super) fn leaves(samples: &[&str]) -> Option<Leaves> {
    if let Some((form, documents)) = read_documents(samples) {
        return Some(document_leaves(form, documents));
    }
    let readable: Vec<Cow<'_, str>> = samples.iter().map(|sample| without_nan(sample)).collect();
    let readable: Vec<&str> = readable.iter().map(|sample| &**sample).collect();
    let Some((form, documents)) = read_documents(&readable) else {
        return text_leaves(samples);
    };
    let mut found = document_leaves(form, documents);
    found.lenient = true;
    Some(found)
}

/// Reads samples as documents of JSON, or as lines of such.
fn read_documents(samples: &[&str]) -> Option<(Form, Vec<Value>)> {
    let whole: Option<Vec<Value>> = samples
        .iter()
        .map(|sample| serde_json::from_str(sample).ok())
        .collect();
    match whole {
        Some(documents) => Some((Form::Json, documents)),
        None => json_lines(samples).map(|documents| (Form::JsonLines, documents)),
    }
}

fn document_leaves(form: Form, documents: Vec<Value>) -> Leaves {
    let documents: Vec<Value> = documents
        .into_iter()
        .flat_map(|document| match document {
            // Each element of an array is a message.
            Value::Array(elements) => elements,
            document => vec![document],
        })
        .collect();
    let mut found = Leaves::new(form);
    for document in &documents {
        found.add_document(document);
    }
    found.read_decimal_commas();
    found.documents = documents;
    found
}

fn json_lines(samples: &[&str]) -> Option<Vec<Value>> {
    let lines = samples.iter().flat_map(|sample| sample.lines());
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).ok()).collect()
}

fn text_leaves(samples: &[&str]) -> Option<Leaves> {
    let is_line = |line: &str| {
        let parts = protocol_parts(line);
        matches!(parts.len(), 2 | 3) && parts[1].contains('=') && !parts[0].contains(['&', '{'])
    };
    let mut lines = samples.iter().flat_map(|sample| sample.lines());
    if lines.all(|line| line.trim().is_empty() || is_line(line)) {
        return Some(Leaves::new(Form::LineProtocol));
    }
    let is_form = |sample: &&str| {
        let sample = sample.trim();
        !sample.contains('\n') && sample.split('&').all(|pair| pair.contains('='))
    };
    if samples.iter().all(is_form) {
        let mut found = Leaves::new(Form::Urlencoded);
        for sample in samples {
            for (name, value) in sample.trim().split('&').filter_map(|p| p.split_once('=')) {
                found.add_text(name, &value.replace('+', " ").replace("%20", " "));
            }
        }
        return Some(found);
    }
    if have_topics(samples) {
        return None;
    }
    let header = samples.first()?.lines().next()?;
    let count = |delimiter: &char| header.matches(*delimiter).count();
    let delimiter = [',', ';', '\t'].into_iter().max_by_key(count)?;
    if count(&delimiter) == 0 {
        return None;
    }
    let mut found = Leaves::new(Form::Csv { delimiter });
    for sample in samples {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let names = split_cells(lines.next()?, delimiter).ok()?;
        if !are_names(&names) {
            return None;
        }
        for line in lines.take(VALUES_MAX) {
            // A row of another length says nothing about the columns.
            let cells = split_cells(line, delimiter).unwrap_or_default();
            if cells.len() == names.len() {
                for (name, cell) in names.iter().zip(&cells) {
                    // What is missing says nothing about its column.
                    if !cell.trim().is_empty() && !is_missing(cell.as_bytes()) {
                        found.add_text(name, cell);
                    }
                }
            }
        }
    }
    found.read_decimal_commas();
    // A header alone, or text that has a comma in its first line.
    (!found.leaves.is_empty()).then_some(found)
}

/// Reads the values of a column of which all are numbers once a comma is their decimal sign; false where none has one.
fn read_decimal_commas(values: &mut [LeafValue]) -> bool {
    let number = |value: &LeafValue| match value {
        LeafValue::Number(..) => Some(value.clone()),
        LeafValue::Text(text) => with_point(text),
        LeafValue::Inner | LeafValue::Other => None,
    };
    let numbers: Option<Vec<LeafValue>> = values.iter().map(number).collect();
    match numbers {
        Some(numbers) if numbers[..] != values[..] => {
            values.clone_from_slice(&numbers);
            true
        }
        _ => false,
    }
}

/// Returns the number that a text with one comma in it is.
pub(super) fn with_point(text: &str) -> Option<LeafValue> {
    let (whole, decimals) = text.split_once(',')?;
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (are_digits(digits) && are_digits(decimals))
        .then(|| LeafValue::of_text(&format!("{whole}.{decimals}")))
}

/// Returns true where samples are lines of a topic and a message, as subscribers print them (`mosquitto_sub -v`).
pub(super) fn have_topics(samples: &[&str]) -> bool {
    let has_topic = |line: &str| {
        let parts = line.split_once(' ');
        parts.is_some_and(|(topic, message)| {
            topic.contains('/') && serde_json::from_str::<Map<String, Value>>(message).is_ok()
        })
    };
    let mut lines = samples.iter().flat_map(|sample| sample.lines());
    lines.all(|line| line.trim().is_empty() || has_topic(line))
}

/// Returns true where cells can be the header of a table. Those of an object that is no JSON, of a markup, of the line
/// protocol, or of a row of numbers cannot: a proposal of them would be one of names that nothing has.
fn are_names(cells: &[String]) -> bool {
    let is_none = |cell: &String| cell.contains(['{', '=']) || cell.starts_with(['<', '[', '\'']);
    let has_letter = |cell: &String| cell.chars().any(char::is_alphabetic);
    cells.iter().any(has_letter) && !cells.iter().any(is_none)
}

/// Splits a line of the line protocol at the blanks that are neither escaped nor within quotes.
fn protocol_parts(line: &str) -> Vec<&str> {
    let (mut is_escaped, mut is_quoted) = (false, false);
    let parts = line.split(|c: char| {
        let ends = c == ' ' && !is_escaped && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    parts.collect()
}

impl Leaves {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            leaves: Vec::new(),
            known: BTreeMap::new(),
            pairs: None,
            states_units: false,
            lenient: false,
            undecoded: Undecoded::default(),
            documents: Vec::new(),
        }
    }

    /// Adds a value; beyond the limits nothing is added.
    pub(super) fn add(&mut self, place: LeafPlace, name: &str, path: &str, value: LeafValue) {
        let at = match self.known.get(&place) {
            Some(at) => *at,
            None if self.leaves.len() == LEAVES_MAX => return,
            None => {
                self.known.insert(place.clone(), self.leaves.len());
                self.leaves.push(Leaf {
                    place,
                    name: name.to_owned(),
                    path: path.to_owned(),
                    values: Vec::new(),
                    has_comma: false,
                    unit: None,
                });
                self.leaves.len() - 1
            }
        };
        let values = &mut self.leaves[at].values;
        if values.len() < VALUES_MAX {
            values.push(value);
        }
    }

    /// Reads numbers with a comma as numbers.
    fn read_decimal_commas(&mut self) {
        for leaf in &mut self.leaves {
            leaf.has_comma = read_decimal_commas(&mut leaf.values);
        }
    }

    /// Adds the values of a document of JSON.
    pub(super) fn add_document(&mut self, document: &Value) {
        self.add_json(document, "", "", "");
    }

    fn add_text(&mut self, name: &str, value: &str) {
        let place = LeafPlace::Field(name.to_owned());
        self.add(place, name, name, LeafValue::of_text(value));
    }

    fn add_json(&mut self, value: &Value, pointer: &str, name: &str, path: &str) {
        let leaf = match value {
            Value::Object(members) => {
                for (member, value) in members {
                    let escaped = member.replace('~', "~0").replace('/', "~1");
                    let path = format!("{path} {member}");
                    self.add_json(value, &format!("{pointer}/{escaped}"), member, path.trim());
                }
                return;
            }
            Value::Array(elements) if elements.iter().any(Value::is_object) => {
                if self.add_pairs(elements, pointer) {
                    return;
                }
                if !pointer.contains("/*") {
                    for element in elements {
                        self.add_json(element, &format!("{pointer}/*"), name, path);
                    }
                    return;
                }
                LeafValue::Inner
            }
            Value::Null => return,
            value => LeafValue::of_json(value),
        };
        self.add(LeafPlace::Pointer(pointer.to_owned()), name, path, leaf);
    }

    /// Takes an array as pairs of name and value, if it is one.
    fn add_pairs(&mut self, elements: &[Value], pointer: &str) -> bool {
        let member = |names: &'static [&'static str]| {
            let has = |name: &&&str| {
                let mut values = elements.iter().map(|element| element.get(**name));
                values.all(|value| value.is_some_and(|value| !value.is_object()))
            };
            names.iter().find(has).copied()
        };
        let (Some(name), Some(value)) = (member(&PAIR_NAMES), member(&PAIR_VALUES)) else {
            return false;
        };
        let pairs = (
            format!("{pointer}/*/{name}"),
            format!("{pointer}/*/{value}"),
        );
        // One array of pairs can be declared.
        if *self.pairs.get_or_insert_with(|| pairs.clone()) != pairs {
            return false;
        }
        for element in elements {
            let Some(name) = element.get(name).and_then(Value::as_str) else {
                continue;
            };
            let value = element.get(value).map(LeafValue::of_json);
            if let Some(value) = value.filter(|value| value.text().is_some()) {
                self.add(LeafPlace::Field(name.to_owned()), name, name, value);
            }
        }
        true
    }
}
