//! A proposal as TOML, with what a person has to look at beside it.

use std::fmt::Write;

use meetnet_model::source::WireFormat;

use super::known::{Codec, Known, MapNeed};
use super::leaves::{Form, Leaf, LeafPlace, LeafValue, Leaves, Undecoded, with_point};
use super::names;
use super::times::{end_of_interval, unread};
use super::values::{Certainty, range, sentinels};
use super::{NewSource, Proposal};
use crate::quantity;

/// Values without a property that are named.
const UNMAPPED_LISTED_MAX: usize = 40;
/// What is said where values of one sensor would replace each other.
const EQUAL_TIMES: &str = "# Several messages have one time: as values of one sensor the last would replace the others.\n";

/// What all proposals begin with.
fn head(out: &mut String, proposal: &Proposal, topic: Option<&str>, format: &str) {
    let NewSource {
        id, broker, token, ..
    } = &proposal.new;
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "[[source]]\nid = {}  # choose a name", quoted(id));
    match topic {
        Some(topic) => {
            let (url, note) = broker;
            let _ = writeln!(
                out,
                "kind = \"mqtt\"\nurl = {}  # {note}\ntopics = [{}]",
                quoted(url),
                quoted(topic)
            );
        }
        None => {
            let _ = writeln!(
                out,
                "kind = \"http\"  # pushed to /ingest/v1/{id}; for a broker: kind = \"mqtt\", url, topics"
            );
            if let Some(token) = token {
                let _ = writeln!(
                    out,
                    "token = {{ env = {} }}  # a secret that the devices send: set this variable",
                    quoted(token)
                );
            }
        }
    }
    let (licence, note) = &proposal.licence;
    let _ = writeln!(out, "format = \"{format}\"");
    let _ = writeln!(out, "licence = {}  # {note}", quoted(licence));
}

/// Returns a proposal.
pub(super) fn proposal(proposal: &Proposal) -> String {
    let mut out = String::new();
    match &proposal.known {
        Some(known) => known_source(known, proposal, &mut out),
        None => unknown_source(proposal, &mut out),
    }
    out
}

/// Writes the source of a format that the messages are known by.
fn known_source(known: &Known, proposal: &Proposal, out: &mut String) {
    let format = known.format.as_str();
    let _ = writeln!(
        out,
        "# Sure: these are {}. Format `{format}` knows what is in them.",
        known.what
    );
    // What has a topic is sent by somebody; sensor.community sends nothing.
    let is_sent = proposal.topic.is_some() && known.format == WireFormat::Telraam;
    if let Some(keys) = known.polled.filter(|_| !is_sent) {
        let _ = writeln!(
            out,
            "[[source]]\nid = {}  # choose a name\nkind = \"{format}\"\nlicence = \"{}\"\n{keys}",
            quoted(&proposal.new.id),
            known.licence
        );
        return;
    }
    if let MapNeed::Codec(codec) = known.map {
        undecoded(codec, &proposal.leaves.undecoded, out);
    }
    // The messages name their devices, so the topic need not.
    let is_named_by_topic = known.format == WireFormat::Influx;
    let topic = proposal.topic.as_ref().map(|topic| {
        if is_named_by_topic {
            topic.pattern.clone()
        } else {
            topic.pattern.replace("{device}", "+")
        }
    });
    head(out, proposal, topic.as_deref(), format);
    lenient(proposal, out);
    let note = match known.map {
        MapNeed::None => return,
        MapNeed::Names(note) => note,
        MapNeed::Codec(codec) => codec.note,
    };
    if is_named_by_topic {
        sensor(proposal, out);
    }
    let _ = writeln!(out, "# {note}");
    match known.map {
        MapNeed::Codec(codec) if proposal.leaves.undecoded.is_all() => {
            let _ = writeln!(
                out,
                "map = [\n  # The names are those that the {} writes. For example:\n  \
                 # {{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" }},\n]",
                codec.name
            );
        }
        _ => map(proposal, out),
    }
}

/// Says how many messages have no values that can be read, why, and what helps.
fn undecoded(codec: &Codec, undecoded: &Undecoded, out: &mut String) {
    let Codec {
        name,
        decoded,
        remedy,
        ..
    } = codec;
    let Undecoded {
        messages,
        bytes_only,
        empty,
        without_payload,
    } = *undecoded;
    let of = |count: usize| format!("{count} of {messages}");
    if bytes_only > 0 {
        let _ = writeln!(
            out,
            "# {} without a decoded payload (`{decoded}`): the device sends bytes, and nothing but a {name} says what they mean.\n\
             # Each of them is a reject (`no_decoded_payload`). What helps: {remedy},\n\
             # then name messages that come after that.",
            of(bytes_only)
        );
    }
    if empty > 0 {
        let _ = writeln!(
            out,
            "# {} with an empty decoded payload (`{decoded}`): the {name} makes nothing of these bytes, as it does of a port that \
             it does not know. Try it with them at the network server.",
            of(empty)
        );
    }
    if without_payload > 0 {
        let _ = writeln!(
            out,
            "# {} without a payload: a join, a status, or a device that only talked to the network. Nothing of a map is in them; \
             name uplinks.",
            of(without_payload)
        );
    }
}

fn unknown_source(proposal: &Proposal, out: &mut String) {
    let _ = writeln!(
        out,
        "# A proposal. Look at every line that is not `sure`, then try it:\n\
         #   meetnet source test {} FILE… --config {}",
        proposal.new.id, proposal.new.config
    );
    let format = match proposal.leaves.form {
        Form::Json => "json",
        Form::JsonLines => "ndjson",
        Form::Csv { .. } => "csv",
        Form::LineProtocol => "influx",
        Form::Urlencoded => "form",
    };
    if proposal.leaves.form == Form::Urlencoded {
        out.push_str("# No format reads forms of unknown devices. If the device can send JSON or CSV, this is its map.\n");
    }
    let topic = proposal.topic.as_ref().map(|topic| topic.pattern.as_str());
    head(out, proposal, topic, format);
    if let Form::Csv { delimiter } = proposal.leaves.form {
        let has_comma = proposal.leaves.leaves.iter().any(|leaf| leaf.has_comma);
        table(delimiter, has_comma, out);
    }
    lenient(proposal, out);
    decimal_comma(proposal, out);
    unit_in_value(proposal, out);
    sensor(proposal, out);
    time(proposal, out);
    if let Some((name, value)) = &proposal.leaves.pairs {
        let _ = writeln!(
            out,
            "pairs = {{ name = {}, value = {} }}",
            quoted(name),
            quoted(value)
        );
    }
    map(proposal, out);
}

/// Says how a table is written, where that is not as tables mostly are.
fn table(delimiter: char, decimal_comma: bool, out: &mut String) {
    let mut keys: Vec<String> = Vec::new();
    if delimiter != ',' {
        keys.push(format!("delimiter = {}", quoted(&delimiter.to_string())));
    }
    if decimal_comma {
        keys.push("decimal_comma = true".to_owned());
    }
    if keys.is_empty() {
        return;
    }
    let note = if decimal_comma {
        "  # likely: some numbers have a comma"
    } else {
        ""
    };
    let _ = writeln!(out, "csv = {{ {} }}{note}", keys.join(", "));
}

/// Says that bare `nan` is read, where there is some.
fn lenient(proposal: &Proposal, out: &mut String) {
    if proposal.leaves.lenient {
        out.push_str("lenient = true  # sure: some values are a bare nan, which is no JSON and is read as missing\n");
    }
}

/// Says that the comma of texts of JSON is a decimal comma, where a value that is mapped has one.
fn decimal_comma(proposal: &Proposal, out: &mut String) {
    let Leaves { form, leaves, .. } = &proposal.leaves;
    let mut mapped = proposal.values.iter().map(|(at, _)| &leaves[*at]);
    if matches!(form, Form::Json | Form::JsonLines) && mapped.any(|leaf| leaf.has_comma) {
        out.push_str("decimal_comma = true  # likely: some numbers are texts with a comma\n");
    }
}

/// Says that numbers may have their unit behind them, where a value that is mapped has.
fn unit_in_value(proposal: &Proposal, out: &mut String) {
    let leaves = &proposal.leaves.leaves;
    let mut mapped = proposal.values.iter().map(|(at, _)| &leaves[*at]);
    if mapped.any(|leaf| leaf.unit.is_some()) {
        out.push_str(
            "unit_in_value = true  # sure: some numbers are texts with their unit behind them\n",
        );
    }
}

/// Writes an entry for each value that is something, and names the others.
fn map(proposal: &Proposal, out: &mut String) {
    let leaves = proposal.values.iter();
    let leaves = leaves.map(|(at, _)| &proposal.leaves.leaves[*at]);
    let mut no_readings: Vec<f64> = leaves.flat_map(sentinels).collect();
    no_readings.sort_by(f64::total_cmp);
    no_readings.dedup();
    if !no_readings.is_empty() {
        let numbers: Vec<String> = no_readings.iter().map(f64::to_string).collect();
        let _ = writeln!(
            out,
            "sentinels = [{}]  # likely: they stand among readings, far below them, and are read as missing",
            numbers.join(", ")
        );
    }
    out.push_str("map = [\n");
    for (at, guess) in &proposal.values {
        let leaf = &proposal.leaves.leaves[*at];
        let _ = writeln!(out, "  # {}: {}", guess.certainty.as_str(), guess.reason);
        let unit = if proposal.leaves.states_units {
            String::new()
        } else {
            format!(", unit = {}", quoted(&guess.unit))
        };
        let _ = writeln!(
            out,
            "  {{ dataset = \"{}\", property = \"{}\", {}{unit} }},",
            guess.dataset,
            guess.property,
            place(&leaf.place),
        );
    }
    out.push_str("]\n");
    if proposal.values.is_empty() {
        out.push_str(
            "# No name says what its value is. Write an entry for each value that you know.\n",
        );
    }
    unmapped(proposal, out);
}

fn sensor(proposal: &Proposal, out: &mut String) {
    let is_one_time = proposal.equal_times;
    let is_hardware = match (&proposal.topic, &proposal.sensor) {
        (Some(topic), None) => {
            out.push_str("sensor_id = \"{device}\"  # likely: check that this level of the topic names the device\n");
            if is_one_time {
                out.push_str(EQUAL_TIMES);
            }
            topic.is_hardware
        }
        (_, Some(sensor)) => {
            let leaf = &proposal.leaves.leaves[sensor.leaf];
            let certainty = if sensor.is_place {
                Certainty::Guess
            } else {
                Certainty::Likely
            };
            let _ = writeln!(
                out,
                "sensor_id = {{ {} }}  # {}, by its name",
                place(&leaf.place),
                certainty.as_str()
            );
            sensor.is_hardware
        }
        (None, None) => {
            out.push_str("sensor_id = \"new-sensor\"  # a guess: nothing in the messages names the sensor, so they are all from one\n");
            if is_one_time {
                out.push_str(EQUAL_TIMES);
            }
            false
        }
    };
    if is_hardware {
        out.push_str(
            "hardware_id = true  # it looks like a number of the hardware, so rows get its HMAC\n",
        );
    }
}

fn time(proposal: &Proposal, out: &mut String) {
    let Some(time) = &proposal.time else {
        out.push_str(
            "# No time was found: rows get the time at which their message is received.\n",
        );
        if let Some(leaf) = unread(&proposal.leaves.leaves) {
            let _ = writeln!(
                out,
                "# By its name {} is one, in no form that was tried: `time = {{ …, format = \"%d %B %Y %H:%M\" }}` takes a pattern.",
                place(&leaf.place)
            );
        }
        return;
    };
    let leaf = &proposal.leaves.leaves[time.leaf];
    let says_utc = {
        let name = names::plain(&leaf.name);
        name.contains("utc") || name.contains("gmt")
    };
    let needs_zone = time.is_naive && !says_utc;
    let zone = match (time.is_naive, says_utc) {
        (false, _) => "",
        (true, true) => ", zone = \"UTC\"",
        (true, false) => ", zone = \"Europe/Brussels\", doubled_hour = \"reject\"",
    };
    let clock = match time.clock {
        Some(at) => format!(", clock_{}", place(&proposal.leaves.leaves[at].place)),
        None => String::new(),
    };
    let certainty = if time.is_by_look() {
        "a guess: it looks like a time, and no name says of what"
    } else if time.is_of_another() {
        "a guess: by its name it may be the time of something else"
    } else if needs_zone || time.or.is_some() {
        Certainty::Likely.as_str()
    } else {
        Certainty::Sure.as_str()
    };
    let _ = writeln!(
        out,
        "time = {{ {}{clock}, format = {}{zone} }}  # {certainty}",
        place(&leaf.place),
        quoted(&time.format),
    );
    match end_of_interval(leaf) {
        Some("start") => out.push_str(
            "# By its name it is the start of an interval: `interval_s` says how long that is.\n",
        ),
        Some(_) => out.push_str(
            "# By its name it is the end of an interval: add `time_is = \"end\"` and `interval_s`, since rows carry the start.\n",
        ),
        None => {}
    }
    if needs_zone {
        out.push_str(
            "# The times carry no offset: check the zone (\"UTC\", or the device's clock).\n",
        );
    }
    if let Some(or) = &time.or {
        let _ = writeln!(
            out,
            "# The times could also be {}: check which comes first, day or month.",
            quoted(or)
        );
    }
}

fn unmapped(proposal: &Proposal, out: &mut String) {
    if proposal.unmapped.is_empty() {
        return;
    }
    out.push_str("# Not mapped:\n");
    for at in proposal.unmapped.iter().take(UNMAPPED_LISTED_MAX) {
        let leaf = &proposal.leaves.leaves[*at];
        let _ = writeln!(
            out,
            "#   {} ({}){}",
            place(&leaf.place),
            what(leaf),
            hint(leaf, proposal)
        );
    }
    let more = proposal.unmapped.len().saturating_sub(UNMAPPED_LISTED_MAX);
    if more > 0 {
        let _ = writeln!(out, "#   and {more} more");
    }
}

/// Parts of names that say whether values are readings.
const VALIDITY: [&str; 7] = ["valid", "ok", "quality", "status", "error", "fault", "flag"];
/// Parts of names that say who is counted, and the column of `traffic` for that.
const ROAD_USERS: [(&str, &[&str]); 4] = [
    (
        "car",
        &["car", "cars", "auto", "autos", "pkw", "voiture", "voitures"],
    ),
    (
        "bike",
        &[
            "bike",
            "bikes",
            "bicycle",
            "bicycles",
            "fiets",
            "fietsen",
            "fietsers",
            "radfahrer",
            "velo",
            "velos",
        ],
    ),
    (
        "pedestrian",
        &[
            "pedestrian",
            "pedestrians",
            "voetgangers",
            "fußgänger",
            "piétons",
        ],
    ),
    (
        "heavy",
        &[
            "heavy",
            "truck",
            "trucks",
            "lorry",
            "lorries",
            "vrachtwagens",
            "lkw",
        ],
    ),
];

/// Returns what may be done with a value that is not mapped.
fn hint(leaf: &Leaf, proposal: &Proposal) -> String {
    let parts = names::tokens(&leaf.name);
    let says = |words: &[&str]| parts.iter().any(|part| words.contains(&part.as_str()));
    let user = ROAD_USERS.iter().find(|(_, words)| says(words));
    if let Some((column, _)) = user.filter(|_| range(leaf).is_some()) {
        return format!(
            ": counted on a road segment it is {{ dataset = \"traffic\", column = \"{column}\", … }}, with segment_id and interval_s"
        );
    }
    if says(&VALIDITY) {
        return ": where it says which values are readings, see `valid`".to_owned();
    }
    let has_comma =
        |value: &LeafValue| matches!(value, LeafValue::Text(text) if with_point(text).is_some());
    if leaf.values.contains(&LeafValue::Inner) {
        return ": a list within a list, of which nothing can be mapped; let the sender send its elements by themselves"
            .to_owned();
    }
    let is_in_list = matches!(&leaf.place, LeafPlace::Pointer(pointer) if pointer.contains("/*"));
    if is_in_list && has_codec(proposal) && range(leaf).is_some() {
        return ": in a list, whose elements are named by position here, as in `/readings/0/value`"
            .to_owned();
    }
    let texts = || leaf.values.iter().filter_map(LeafValue::text);
    if texts().next().is_some() && texts().all(|text| quantity::split(text).is_some()) {
        let is_known = proposal.known.is_none()
            && proposal.leaves.form.takes_units()
            && leaf.with_units().is_some();
        let what_helps = if is_known {
            "with `unit_in_value = true` it is a number"
        } else {
            "let the sender send the number alone"
        };
        return format!(
            ": a number with something behind it, which is read as a text; {what_helps}"
        );
    }
    if !leaf.values.is_empty() && leaf.values.iter().all(has_comma) {
        return ": numbers with a comma, which this format does not have; let the sender write a point"
            .to_owned();
    }
    String::new()
}

/// Returns true where a codec of a network server writes the values: what it writes is one reading.
fn has_codec(proposal: &Proposal) -> bool {
    proposal
        .known
        .is_some_and(|known| matches!(known.map, MapNeed::Codec(_)))
}

/// Returns what kind of values a leaf has; numbers by their range, texts not at all.
fn what(leaf: &Leaf) -> String {
    match range(leaf) {
        Some((low, high)) => format!("{low} … {high}"),
        None if leaf.values.iter().any(|value| value.text().is_some()) => "text".to_owned(),
        None => "true, false or a list".to_owned(),
    }
}

fn place(place: &LeafPlace) -> String {
    match place {
        LeafPlace::Pointer(pointer) => format!("pointer = {}", quoted(pointer)),
        LeafPlace::Field(name) => format!("field = {}", quoted(name)),
    }
}

/// Returns a TOML text. Names come out of messages, so that anything may stand in them.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
