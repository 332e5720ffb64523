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
    /// Devices or constants for a format that has a fixed mapping.
    #[error("format `{0}` has a fixed mapping; remove `device`, `registry` and `constants`")]
    DevicesNotWanted(&'static str),
    /// A declared time that cannot be read: its zone, or its format.
    #[error("`time`: {0}")]
    Time(String),
    /// A factor that says nothing.
    #[error("`scale` is a number other than 0, and `offset` a number")]
    Scale,
    /// Something that says whether a message is valid, and stands nowhere.
    #[error(
        "`valid` of a source says where it looks; add `pointer` or `field`, or write it in an entry of the map"
    )]
    ValidityPlace,
    /// Something that says whether a value is valid, and asks nothing of it.
    #[error(
        "`valid` without a place asks something of the value itself; add `is`, `is_not`, `min` or `max`"
    )]
    ValidityOfNothing,
    /// A range that is none.
    #[error("`valid`: `min` and `max` are numbers, and `min` is not above `max`")]
    ValidityRange,
    /// Something that says whether a value is valid, in a format whose values come one by one.
    #[error(
        "format `{0}` sends each value by itself, so nothing stands beside it; leave `pointer` and `field` out of `valid`, \
         and write it in an entry of the map"
    )]
    ValidityBeside(&'static str),
    /// The same for a format that has a fixed mapping.
    #[error("format `{0}` has a fixed mapping; remove `valid`")]
    ValidityNotWanted(&'static str),
    /// A temperature that no volume of air is told at.
    #[error(
        "`reference_temperature` is in Cel, between -50 and 60; write 20 (Europe) or 25 (US EPA)"
    )]
    ReferenceTemperature,
    /// Times are ends of intervals whose length nobody says.
    #[error(
        "with `time_is = \"end\"` the start is the time minus the interval; add `interval_s` to the source or the entry, \
         or map the column `interval_s`"
    )]
    EndWithoutInterval,
    /// A constant as an observation.
    #[error(
        "a constant is no observation of `{0}`; write `pointer` or `field`: constants are for columns of wide datasets"
    )]
    ConstantObservation(String),
    /// A constant of another type than its column.
    #[error("the constant for column `{column}` must be of type {column_type}")]
    WrongConstant {
        /// The column.
        column: String,
        /// Its type.
        column_type: &'static str,
    },
    /// A constant for a column that no mapped dataset has.
    #[error(
        "`constants`: no wide dataset that the map fills has a column `{0}`; correct the name (of long datasets only \
         `interval_s` is the same everywhere: it is a key of the source)"
    )]
    UnusedConstant(String),
    /// A calibration of what is not mapped.
    #[error(
        "`calibration`: the map fills no property or column `{0}`; correct the name, or map it"
    )]
    UnusedCalibration(String),
    /// Something about one device.
    #[error("device {}: {problem}", .index + 1)]
    Device {
        /// Its position in the declaration, 0 first.
        index: usize,
        /// What is wrong and what to do.
        problem: Box<SetupProblem>,
    },
    /// A device that has no id.
    #[error("the id is empty; write what the device calls itself")]
    DeviceWithoutId,
    /// Two devices with one id.
    #[error("another device of the source has the same id; join the two")]
    DeviceTwice,
    /// A pattern where only HMACs are kept.
    #[error(
        "its id is a hardware id, which is known by its HMAC only: `*` cannot stand in it; name each device"
    )]
    HardwarePattern,
    /// A station that cannot be part of a sensor id.
    #[error("`station` is a name of at most 200 bytes without control characters")]
    Station,
    /// A pointer into the elements of an array, where the format has none.
    #[error(
        "`{0}`: `*` stands for the position in an array once in a pointer, in the formats `json` and `ndjson`, and not beside `pairs`"
    )]
    ArrayNotHere(String),
    /// Pointers into two arrays.
    #[error(
        "`{0}` and `{1}` are two arrays; the elements of one array are read as messages, so use two sources or positions"
    )]
    TwoArrays(String, String),
    /// Pairs whose name and value do not lie side by side.
    #[error(
        "`pairs`: `name` and `value` point into the elements of one array, such as `/values/*/type` and `/values/*/value`"
    )]
    Pairs,
    /// Pairs in a format that has none.
    #[error("`pairs` is for the formats `json` and `ndjson`; remove it")]
    PairsNotHere,
    /// More wanted values than a message's index can number.
    #[error("the map names more than {0} different values")]
    TooManyValues(usize),
}
