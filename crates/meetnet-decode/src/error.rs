//! What is wrong with a declaration, found when its decoder is built and never while a message waits.

use meetnet_model::ids::SourceId;

/// A source whose declaration cannot be turned into a decoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source `{source_id}`{}: {problem}", entry_text(*.entry))]
pub struct DecodeSetupError {
    /// The source.
    pub source_id: SourceId,
    /// Position of the map entry that is wrong, 0 first; none where the fault is not in the map.
    pub entry: Option<usize>,
    /// What is wrong and what to do.
    pub problem: SetupProblem,
}

fn entry_text(entry: Option<usize>) -> String {
    entry
        .map(|entry| format!(", map entry {}", entry + 1))
        .unwrap_or_default()
}

fn pattern_text(pattern: &str) -> String {
    if pattern.is_empty() {
        "the source, having no topics,".to_owned()
    } else {
        format!("topic pattern `{pattern}`")
    }
}

/// What is wrong with a source's declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupProblem {
    /// No dataset of that name.
    #[error("no dataset `{0}` is declared; declare it in the schema folder or correct the name")]
    UnknownDataset(String),
    /// No property of that name in the dataset.
    #[error(
        "dataset `{dataset}` has no property `{property}`; add it to properties.toml or correct the name"
    )]
    UnknownProperty {
        /// The dataset.
        dataset: String,
        /// The name that is not in the property table.
        property: String,
    },
    /// No column of that name in the dataset.
    #[error("dataset `{dataset}` has no column `{column}`")]
    UnknownColumn {
        /// The dataset.
        dataset: String,
        /// The name that is not declared.
        column: String,
    },
    /// A map entry must name what it fills.
    #[error("dataset `{dataset}` is {kind}: the entry must name one `{wanted}` and nothing else")]
    WrongTarget {
        /// The dataset.
        dataset: String,
        /// Its shape.
        kind: &'static str,
        /// `property` or `column`.
        wanted: &'static str,
    },
    /// The dataset is not for mapped messages.
    #[error("dataset `{0}` takes no mapped messages; use a long or a wide dataset")]
    NotMappable(String),
    /// A column that the decoder fills itself.
    #[error(
        "column `{0}` is filled by the decoder (`sensor_id` and `time` of the source); leave the entry out"
    )]
    ReservedColumn(String),
    /// A key column without a mapping.
    #[error(
        "key column `{column}` of dataset `{dataset}` has no map entry; every key column but `time` needs one"
    )]
    KeyNotMapped {
        /// The dataset.
        dataset: String,
        /// The key column.
        column: String,
    },
    /// A dataset without a column that every dataset of its kind has.
    #[error(
        "dataset `{dataset}` has no column `{column}` of type {column_type}, which its decoder fills"
    )]
    ColumnMissing {
        /// The dataset.
        dataset: String,
        /// The column.
        column: &'static str,
        /// The type it must have.
        column_type: &'static str,
    },
    /// A unit that is not known or does not convert.
    #[error("{0}")]
    Unit(String),
    /// A unit for a value that has none.
    #[error("column `{0}` has no unit; leave `unit` out of the entry")]
    UnitNotWanted(String),
    /// A pointer that is not a JSON Pointer.
    #[error(
        "`{0}` is not a JSON Pointer; it is empty (the whole body) or starts with `/`, with ~0 for ~ and ~1 for /"
    )]
    Pointer(String),
    /// An entry, a time or an id must say where it stands.
    #[error("name one place: `pointer` (a JSON Pointer) or `field` (a name)")]
    OnePlace,
    /// A pointer of several steps in a format whose fields have plain names.
    #[error(
        "the fields of this format have names and no structure; write `field = \"…\"` instead of `{0}`"
    )]
    FieldWanted(String),
    /// An interval that is none.
    #[error("`interval_s` is a number of seconds above 0")]
    Interval,
    /// A delimiter that is none.
    #[error("`csv.delimiter` is one ASCII character and no quote, not `{0}`")]
    Delimiter(String),
    /// A needed column that the declared columns leave out.
    #[error("`csv.columns` has no column `{0}`, which `sensor_id` or `time` names")]
    NoCsvColumn(String),
    /// A dataset whose rows this format cannot fill.
    #[error(
        "format `{format}` sends one value at a time, so it fills long datasets; dataset `{dataset}` is wide"
    )]
    LongOnly {
        /// The format.
        format: &'static str,
        /// The dataset.
        dataset: String,
    },
    /// A declared time for a format that has its own.
    #[error("format `{0}` says itself when a value was measured; remove `time`")]
    TimeNotWanted(&'static str),
    /// A sensor id inside the body of a format that names sensors in its own way.
    #[error(
        "format `{0}` names the sensor in its records; leave `sensor_id` out, or write a text with captures of the topic"
    )]
    IdByTemplate(&'static str),
    /// A topic pattern that cannot be read.
    #[error("topic pattern `{pattern}`: {reason}")]
    Topic {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sensor id template that cannot be read.
    #[error("sensor_id template `{0}` has an unclosed or empty `{{…}}`")]
    Template(String),
    /// A capture that a topic pattern does not have.
    #[error("sensor_id uses `{{{capture}}}`, which {} does not capture", pattern_text(.pattern))]
    UnknownCapture {
        /// The name in the template.
        capture: String,
        /// The first pattern without it; empty where the source has no topics at all.
        pattern: String,
    },
    /// A long dataset needs sensor ids.
    #[error(
        "the map fills dataset `{0}`, whose rows need a sensor id; declare `sensor_id = \"{{device}}\"` or `sensor_id = {{ pointer = \"/…\" }}`"
    )]
    NoSensorId(String),
    /// A source that maps nothing.
    #[error("format `{0}` needs a `map`: without one no message becomes a row")]
    NoMap(&'static str),
    /// A map for a format that has its own.
    #[error("format `{0}` has a fixed mapping; remove `map`")]
    MapNotWanted(&'static str),
    /// A declared zone that is not known.
    #[error("time zone `{0}` is not an IANA name (for example `Europe/Brussels`)")]
    Zone(String),
    /// More wanted values than a message's index can number.
    #[error("the map names more than {0} different values")]
    TooManyValues(usize),
}
