//! Searching what a file or an answer says, by its kind: JSON by fields, CSV by columns, anything else by lines.
//!
//! JSON that is none is searched by lines, so that nothing passes because it cannot be read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, ensure};
use meetnet_model::redact::{Allowed, Leak, Search};
use serde_json::Value;

/// Longest JSON document that is searched; one is held in memory, where its values take up to 16 times as much.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// Fields or columns of one file, each of which has its own counts.
const PLACES_MAX: usize = 10_000;
/// Longest line that is looked at as one; a longer one is looked at in parts.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Bytes that are looked at again with the next part of such a line, for texts that the cut goes through.
const OVERLAP_BYTES: usize = 512;
/// Longest field of a CSV file that is looked at.
const FIELD_BYTES_MAX: usize = 1 << 20;
/// Endings of what says nothing before it is unpacked.
const PACKED: [&str; 6] = ["gz", "zst", "zip", "tar", "bz2", "xz"];

/// Personal data, with where it stands.
pub(super) type Leaks = Vec<(String, Leak)>;

/// The places of one file or answer.
struct Places<'a> {
    /// Where the search through each place stands.
    known: BTreeMap<String, usize>,
    searches: Vec<Search>,
    /// There are more than [`PLACES_MAX`].
    are_too_many: bool,
    allowed: &'a Allowed,
}

impl<'a> Places<'a> {
    fn new(allowed: &'a Allowed) -> Self {
        Self {
            known: BTreeMap::new(),
            searches: Vec::new(),
            are_too_many: false,
            allowed,
        }
    }

    /// Returns the search through a place; `name` is what its column or field is called.
    fn at(&mut self, place: &str, name: &str) -> &mut Search {
        // Almost always it is known: then no text is copied.
        let known = self.known.get(place).copied();
        if known.is_none() && self.searches.len() == PLACES_MAX {
            self.are_too_many = true;
            return &mut self.searches[0];
        }
        let index = known.unwrap_or_else(|| {
            self.searches.push(Search::new(name, self.allowed));
            self.known.insert(place.to_owned(), self.searches.len() - 1);
            self.searches.len() - 1
        });
        &mut self.searches[index]
    }

    /// Returns what was found.
    ///
    /// # Errors
    /// Where there were too many places to tell them apart: what was found there is not known then.
    fn finish(self) -> anyhow::Result<Leaks> {
        ensure!(
            !self.are_too_many,
            "it has more than {PLACES_MAX} different fields or columns; split it"
        );
        let mut searches: Vec<Option<Search>> = self.searches.into_iter().map(Some).collect();
        let mut leaks = Leaks::new();
        for (place, index) in self.known {
            let found = searches[index]
                .take()
                .map(Search::finish)
                .unwrap_or_default();
            leaks.extend(found.into_iter().map(|leak| (place.clone(), leak)));
        }
        Ok(leaks)
    }
}

/// Searches the name of a file.
pub(super) fn search_name(path: &str, allowed: &Allowed) -> Leaks {
    let mut search = Search::new("", allowed);
    search.text(path);
    let leaks = search.finish().into_iter();
    leaks.map(|leak| ("name".to_owned(), leak)).collect()
}

/// Searches a file by the ending of its name.
///
/// # Errors
/// Where it cannot be read, or is packed.
pub(super) fn search(name: &str, mut input: impl Read, allowed: &Allowed) -> anyhow::Result<Leaks> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ensure!(
        !PACKED.contains(&ending),
        "it is packed; unpack it, and search what is in it"
    );
    let mut places = Places::new(allowed);
    match ending {
        "json" | "geojson" => {
            let mut text = String::new();
            input
                .take(JSON_BYTES_MAX + 1)
                .read_to_string(&mut text)
                .context("failed to read it as text")?;
            ensure!(
                text.len() as u64 <= JSON_BYTES_MAX,
                "it is larger than {JSON_BYTES_MAX} bytes"
            );
            search_json(&text, &mut places);
        }
        "csv" => search_csv(&mut input, &mut places)?,
        _ => search_lines(input, &mut places)?,
    }
    places.finish()
}

/// Searches the body of an answer by its media type.
///
/// # Errors
/// Where it has more fields than can be told apart.
pub(super) fn search_answer(
    media_type: &str,
    body: &str,
    allowed: &Allowed,
) -> anyhow::Result<Leaks> {
    let mut places = Places::new(allowed);
    if media_type.contains("json") {
        search_json(body, &mut places);
    } else {
        for line in body.lines() {
            places.at("text", "").text(line);
        }
    }
    places.finish()
}

/// Searches one JSON document, or several behind one another.
fn search_json(text: &str, places: &mut Places<'_>) {
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect();
    match documents {
        Ok(documents) => {
            for document in &documents {
                walk(document, &mut String::new(), "", places);
            }
        }
        Err(_) => {
            for line in text.lines() {
                places.at("text", "").text(line);
            }
        }
    }
}

/// Searches a value; `place` is the way to it, `name` the last field on it.
fn walk(value: &Value, place: &mut String, name: &str, places: &mut Places<'_>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                places.at(place, name).number(number);
            }
        }
        Value::String(text) => places.at(place, name).text(text),
        Value::Array(values) => {
            // A point, with or without its height, or the corners of a box; more numbers are a histogram.
            let is_point = (2..=4).contains(&values.len()) && values.iter().all(Value::is_number);
            if is_point {
                // Of a pair only both numbers say that it is a place.
                return places.at(place, name).text(&value.to_string());
            }
            for value in values {
                walk(value, place, name, places);
            }
        }
        Value::Object(fields) => {
            let columns = column_names(value);
            let is_shape = is_shape(value);
            for (field, value) in fields {
                // Roads and areas are nobody's place.
                if is_shape && field == "coordinates" {
                    continue;
                }
                places.at("names of fields", "").text(field);
                let length = place.len();
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(field);
                match (&columns, field.as_str(), value) {
                    (Some(columns), "rows", Value::Array(rows)) => {
                        for row in rows.iter().filter_map(Value::as_array) {
                            walk_row(row, columns, place, places);
                        }
                    }
                    _ => walk(value, place, field, places),
                }
                place.truncate(length);
            }
        }
    }
}

/// Returns true for a line or an area of GeoJSON (RFC 7946).
fn is_shape(value: &Value) -> bool {
    let shapes = ["LineString", "MultiLineString", "Polygon", "MultiPolygon"];
    value["type"]
        .as_str()
        .is_some_and(|kind| shapes.contains(&kind))
}

/// Returns the names of the columns of an answer `{"columns": [{"name": …}, …], "rows": [[…], …]}`.
fn column_names(value: &Value) -> Option<Vec<&str>> {
    value["rows"].as_array()?;
    let columns = value["columns"].as_array()?.iter();
    columns.map(|column| column["name"].as_str()).collect()
}

fn walk_row(row: &[Value], columns: &[&str], place: &mut String, places: &mut Places<'_>) {
    for (value, column) in row.iter().zip(columns) {
        let length = place.len();
        place.push('.');
        place.push_str(column);
        walk(value, place, column, places);
        place.truncate(length);
    }
}

/// Searches a CSV file; its first line names the columns.
fn search_csv(input: &mut impl Read, places: &mut Places<'_>) -> anyhow::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let head = input.fill_buf().context("failed to read it")?;
    let mut reader = csv_core::ReaderBuilder::new()
        .delimiter(delimiter(head))
        .build();
    let mut names: Vec<String> = Vec::new();
    let (mut is_header, mut column) = (true, 0);
    let mut field = vec![0; 4_096];
    let mut length = 0;
    loop {
        let bytes = input.fill_buf().context("failed to read it")?;
        let (result, read, written) = reader.read_field(bytes, &mut field[length..]);
        input.consume(read);
        length += written;
        match result {
            csv_core::ReadFieldResult::InputEmpty => {}
            csv_core::ReadFieldResult::OutputFull => {
                ensure!(
                    field.len() < FIELD_BYTES_MAX,
                    "a field is longer than {FIELD_BYTES_MAX} bytes"
                );
                field.resize(2 * field.len(), 0);
            }
            csv_core::ReadFieldResult::Field { record_end } => {
                let text = String::from_utf8_lossy(&field[..length]);
                length = 0;
                if is_header {
                    // A file without a header has its first row here.
                    places.at("first line", "").text(&text);
                    names.push(text.into_owned());
                } else {
                    let name = names.get(column).map_or("", String::as_str);
                    places.at(&format!("column {name}"), name).text(&text);
                }
                column += 1;
                if record_end {
                    (is_header, column) = (false, 0);
                }
            }
            csv_core::ReadFieldResult::End => return Ok(()),
        }
    }
}

/// Returns the delimiter that the first line has most of.
fn delimiter(head: &[u8]) -> u8 {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|b| *b == delimiter).count();
    // The last of equals: a line of one column has none, and is CSV as it is usual.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(count)
        .unwrap_or(b',')
}

/// Searches a text line by line. A line that is JSON is searched by its fields.
fn search_lines(input: impl Read, places: &mut Places<'_>) -> anyhow::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        let read = input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .context("failed to read it")?;
        if read == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let document = text
            .starts_with('{')
            .then(|| serde_json::from_str::<Value>(&text));
        match document {
            Some(Ok(document)) => walk(&document, &mut String::new(), "", places),
            _ => places.at("text", "").text(&text),
        }
        let is_cut = line.len() as u64 >= LINE_BYTES_MAX && !line.ends_with(b"\n");
        let rest = if is_cut {
            line.len() - OVERLAP_BYTES
        } else {
            line.len()
        };
        line.drain(..rest);
    }
}
