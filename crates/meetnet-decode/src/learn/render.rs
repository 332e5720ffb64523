//! A proposal as TOML, with what a person has to look at beside it.

use std::fmt::Write;

use super::leaves::{Form, Leaf, LeafPlace};
use super::values::{Certainty, range};
use super::{Known, Proposal};

/// Values without a property that are named.
const UNMAPPED_LISTED_MAX: usize = 40;

/// Returns the source of a format that needs no map.
pub(super) fn known(known: Known, topic: Option<&str>) -> String {
    let (format, what, licence) = match known {
        Known::Telraam => ("telraam", "Telraam's answers", "CC-BY-NC-4.0"),
        Known::Airrohr => ("airrohr", "messages of airRohr boxes", "ODbL-1.0"),
        Known::Tts => ("tts-v3", "uplinks of The Things Stack", "CC-BY-4.0"),
        Known::Ecowitt => ("ecowitt", "forms of Ecowitt stations", "CC-BY-4.0"),
        Known::Influx => ("influx", "lines of InfluxDB's line protocol", "CC-BY-4.0"),
        Known::Wunderground => ("wunderground", "forms for Weather Underground", "CC-BY-4.0"),
    };
    let mut out = format!("# Sure: these are {what}. Format `{format}` knows what is in them.\n");
    head(&mut out, topic, format, licence);
    if known == Known::Influx {
        out.push_str(
            "# Fields of the lines are named by you.\n\
             map = [\n  { dataset = \"heat\", property = \"air_temperature\", field = \"temperature\", unit = \"Cel\" },\n]\n",
        );
    }
    if known == Known::Tts {
        out.push_str(
            "# What the payload formatter decodes is the device's own: name it, relative to `decoded_payload`.\n\
             # `meetnet source learn` proposes entries for a file that holds the decoded payload alone.\n\
             map = [\n  { dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" },\n]\n",
        );
    }
    out
}

fn head(out: &mut String, topic: Option<&str>, format: &str, licence: &str) {
    out.push_str("[[source]]\nid = \"new-source\"  # choose a name\n");
    out.push_str(&match topic {
        Some(topic) => format!(
            "kind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1883\"  # your broker\ntopics = [{}]\n",
            quoted(topic)
        ),
        None => "kind = \"http\"  # pushed to /ingest/v1/new-source; for a broker: kind = \"mqtt\", url, topics\n".to_owned(),
    });
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "format = \"{format}\"");
    let _ = writeln!(
        out,
        "licence = \"{licence}\"  # what the owner of the data allows: check it"
    );
}

/// Returns a proposal with a map.
pub(super) fn proposal(proposal: &Proposal) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# A proposal. Look at every line that is not `sure`, then try it:\n\
         #   meetnet source test new-source FILE… --config meetnet.toml"
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
    head(&mut out, topic, format, "CC-BY-4.0");
    if let Form::Csv { delimiter } = proposal.leaves.form
        && delimiter != ','
    {
        let _ = writeln!(
            out,
            "csv = {{ delimiter = {} }}",
            quoted(&delimiter.to_string())
        );
    }
    sensor(proposal, &mut out);
    time(proposal, &mut out);
    if let Some((name, value)) = &proposal.leaves.pairs {
        let _ = writeln!(
            out,
            "pairs = {{ name = {}, value = {} }}",
            quoted(name),
            quoted(value)
        );
    }
    out.push_str("map = [\n");
    for (at, guess) in &proposal.values {
        let leaf = &proposal.leaves.leaves[*at];
        let _ = writeln!(out, "  # {}: {}", guess.certainty.as_str(), guess.reason);
        let _ = writeln!(
            out,
            "  {{ dataset = \"{}\", property = \"{}\", {}, unit = {} }},",
            guess.dataset,
            guess.property,
            place(&leaf.place),
            quoted(&guess.unit)
        );
    }
    out.push_str("]\n");
    if proposal.values.is_empty() {
        out.push_str(
            "# No name says what its value is. Write an entry for each value that you know.\n",
        );
    }
    unmapped(proposal, &mut out);
    out
}

fn sensor(proposal: &Proposal, out: &mut String) {
    let is_hardware = match (&proposal.topic, &proposal.sensor) {
        (Some(topic), _) => {
            out.push_str("sensor_id = \"{device}\"  # likely: check that this level of the topic names the device\n");
            topic.is_hardware
        }
        (None, Some(sensor)) => {
            let leaf = &proposal.leaves.leaves[sensor.leaf];
            let _ = writeln!(
                out,
                "sensor_id = {{ {} }}  # likely, by its name",
                place(&leaf.place)
            );
            sensor.is_hardware
        }
        (None, None) => {
            out.push_str("sensor_id = \"new-sensor\"  # a guess: nothing in the messages names the sensor, so they are all from one\n");
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
        return;
    };
    let leaf = &proposal.leaves.leaves[time.leaf];
    let zone = if time.is_naive {
        ", zone = \"Europe/Brussels\", doubled_hour = \"reject\""
    } else {
        ""
    };
    let clock = match time.clock {
        Some(at) => format!(", clock_{}", place(&proposal.leaves.leaves[at].place)),
        None => String::new(),
    };
    let certainty = if time.is_naive || time.or.is_some() {
        Certainty::Likely
    } else {
        Certainty::Sure
    };
    let _ = writeln!(
        out,
        "time = {{ {}{clock}, format = {}{zone} }}  # {}",
        place(&leaf.place),
        quoted(&time.format),
        certainty.as_str()
    );
    if time.is_naive {
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
        let _ = writeln!(out, "#   {} ({})", place(&leaf.place), what(leaf));
    }
    let more = proposal.unmapped.len().saturating_sub(UNMAPPED_LISTED_MAX);
    if more > 0 {
        let _ = writeln!(out, "#   and {more} more");
    }
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
