//! Formats whose messages are known by their shape. Those that need a map leave only the values to be guessed.

use std::borrow::Cow;

use meetnet_model::source::WireFormat;
use serde_json::{Map, Value};

use super::leaves::{Form, LeafPlace, LeafValue, Leaves, Undecoded};

/// A format that messages are known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) format: WireFormat,
    /// What messages of it are called.
    pub(super) what: &'static str,
    /// What their owners mostly allow.
    pub(super) licence: &'static str,
    pub(super) map: MapNeed,
    /// What else a source says that asks for them itself; none: they are sent.
    pub(super) polled: Option<&'static str>,
}

/// What the map of a format is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapNeed {
    /// The format knows what its values are.
    None,
    /// The values are named by the device, its codec or its owner: a note on the places that entries name.
    Names(&'static str),
    /// They are named by a codec that the network server has for the device, and without one there are none.
    Codec(&'static Codec),
}

/// What a network server makes of the bytes of devices.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// A note on the places that entries name.
    pub(super) note: &'static str,
    /// What the server calls it.
    pub(super) name: &'static str,
    /// Where it writes what it has decoded.
    pub(super) decoded: &'static str,
    /// How somebody gives the device one.
    pub(super) remedy: &'static str,
}

const TTS_FORMATTER: Codec = Codec {
    note: "Pointers are relative to what the payload formatter decodes, `decoded_payload`.",
    name: "payload formatter",
    decoded: "uplink_message.decoded_payload",
    remedy: "add an uplink payload formatter for the device or its application at The Things Stack (console: Payload formatters)",
};
const CHIRPSTACK_CODEC: Codec = Codec {
    note: "Pointers are relative to what the codec decodes, `object`.",
    name: "codec",
    decoded: "object",
    remedy: "add a codec to the device profile in ChirpStack (Device profiles: Codec)",
};

const SENSOR_COMMUNITY_KEYS: &str =
    "contact = \"data@example.org\"  # yours: the network asks for it
area = [50.8798, 4.7005, 10.0]  # latitude, longitude, km";
const TELRAAM_KEYS: &str =
    "api_key = { env = \"TELRAAM_API_KEY\" }  # made on telraam.net; set this variable
segments = [9000001463]  # the numbers of your road segments
# Answers that were kept before come in by `meetnet import telraam-json`.";
const OPENSENSEMAP_KEYS: &str = "contact = \"data@example.org\"  # yours
series = [{ id = \"539c00c2a83415541578eaf5/539c00c2a83415541578eaf6\", property = \"air_temperature\", unit = \"Cel\" }]  # box and sensor";
const IRCEL_SERIES_KEYS: &str = "contact = \"data@example.org\"  # yours
series = [{ id = \"10744\", sensor = \"42R803\", property = \"pm2_5\", unit = \"ug/m3\", interval_s = 3600 }]  # numbers and stations of your series
# Of all stations at once: layers = [{ id = \"pm10_hmean_station\", property = \"pm10\", unit = \"ug/m3\", interval_s = 3600 }]
# Another API of its kind is named by url = \"https://HOST/PATH\".";
const IRCEL_LAYER_KEYS: &str = "contact = \"data@example.org\"  # yours
layers = [{ id = \"pm10_hmean_station\", property = \"pm10\", unit = \"ug/m3\", interval_s = 3600 }]  # names of your layers";
const TELRAAM: Known = Known {
    format: WireFormat::Telraam,
    what: "Telraam's answers",
    licence: "CC-BY-NC-4.0",
    map: MapNeed::None,
    polled: Some(TELRAAM_KEYS),
};
const AIRROHR: Known = Known {
    format: WireFormat::Airrohr,
    what: "messages of airRohr boxes",
    licence: "ODbL-1.0",
    map: MapNeed::None,
    polled: None,
};
const SENSOR_COMMUNITY: Known = Known {
    format: WireFormat::SensorCommunity,
    what: "answers of sensor.community",
    licence: "ODbL-1.0",
    map: MapNeed::None,
    polled: Some(SENSOR_COMMUNITY_KEYS),
};
const OPENSENSEMAP: Known = Known {
    format: WireFormat::Opensensemap,
    what: "answers of openSenseMap",
    licence: "PDDL-1.0",
    map: MapNeed::None,
    polled: Some(OPENSENSEMAP_KEYS),
};
const IRCEL_SERIES: Known = Known {
    format: WireFormat::Ircel,
    what: "answers of a time series API as IRCEL-CELINE has it (52°North)",
    licence: "CC-BY-4.0",
    map: MapNeed::None,
    polled: Some(IRCEL_SERIES_KEYS),
};
const IRCEL_LAYER: Known = Known {
    what: "layers of IRCEL-CELINE's stations",
    polled: Some(IRCEL_LAYER_KEYS),
    ..IRCEL_SERIES
};
const ECOWITT: Known = Known {
    format: WireFormat::Ecowitt,
    what: "forms of Ecowitt stations",
    licence: "CC-BY-4.0",
    map: MapNeed::None,
    polled: None,
};
const WUNDERGROUND: Known = Known {
    format: WireFormat::Wunderground,
    what: "requests for Weather Underground",
    licence: "CC-BY-4.0",
    map: MapNeed::None,
    polled: None,
};
const TTS: Known = Known {
    format: WireFormat::TtsV3,
    what: "uplinks of The Things Stack",
    licence: "CC-BY-4.0",
    map: MapNeed::Codec(&TTS_FORMATTER),
    polled: None,
};
const CHIRPSTACK: Known = Known {
    format: WireFormat::ChirpstackV4,
    what: "uplinks of ChirpStack",
    licence: "CC-BY-4.0",
    map: MapNeed::Codec(&CHIRPSTACK_CODEC),
    polled: None,
};
const SENSORTHINGS: Known = Known {
    format: WireFormat::SensorThings,
    what: "observations of SensorThings",
    licence: "CC-BY-4.0",
    map: MapNeed::Names("`field` is the id of a datastream, which does not say what it measures."),
    polled: None,
};
const SENML: Known = Known {
    format: WireFormat::Senml,
    what: "SenML packs",
    licence: "CC-BY-4.0",
    map: MapNeed::Names("`field` is the end of a record's name; units are those of the records."),
    polled: None,
};
const NGSI: Known = Known {
    format: WireFormat::Ngsi,
    what: "entities of a context broker",
    licence: "CC-BY-4.0",
    map: MapNeed::None,
    polled: None,
};
const NGSI_OTHER: Known = Known {
    map: MapNeed::Names(
        "`field` is the attribute of the entity; its type is not one that is understood without a map.",
    ),
    ..NGSI
};
const INFLUX: Known = Known {
    format: WireFormat::Influx,
    what: "lines of InfluxDB's line protocol",
    licence: "CC-BY-4.0",
    map: MapNeed::Names("`field` is measurement and field; tags are as good as fields."),
    polled: None,
};
const INFLUX_AIRROHR: Known = Known {
    what: "lines of airRohr boxes",
    licence: "ODbL-1.0",
    map: MapNeed::None,
    ..INFLUX
};

/// Types of entities that are understood without a map.
const NGSI_TYPES: [&str; 3] = [
    "AirQualityObserved",
    "WeatherObserved",
    "TrafficFlowObserved",
];
/// Members of a SenML record (RFC 8428).
const SENML_MEMBERS: [&str; 15] = [
    "bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut",
];

/// Returns the format of requests as they were recorded, which are in no form that values can be taken from.
pub(super) fn recorded(samples: &[&str]) -> Option<(Known, Leaves)> {
    let is_request = |sample: &&str| sample.contains("/weatherstation/updateweatherstation");
    let known = samples.iter().all(is_request);
    known.then(|| (WUNDERGROUND, Leaves::new(Form::Urlencoded)))
}

/// Returns the format that samples are known by, and the values that its map can name.
pub(super) fn known(samples: &[&str], leaves: &Leaves) -> Option<(Known, Leaves)> {
    if !leaves.documents.is_empty() {
        return json(&leaves.documents);
    }
    let has = |name: &str| {
        let mut names = leaves.leaves.iter().map(|leaf| leaf.name.as_str());
        names.any(|known| known.eq_ignore_ascii_case(name))
    };
    let known = match leaves.form {
        Form::LineProtocol => return Some(line_protocol(samples)),
        Form::Urlencoded if has("PASSKEY") => ECOWITT,
        Form::Urlencoded if has("ID") && has("PASSWORD") => WUNDERGROUND,
        _ => return None,
    };
    Some((known, Leaves::new(leaves.form)))
}

fn json(documents: &[Value]) -> Option<(Known, Leaves)> {
    let all = |names: &[&str]| {
        let has = |document: &Value| names.iter().all(|name| document.get(name).is_some());
        documents.iter().all(has)
    };
    let any_of = |names: &[&str]| {
        let has = |document: &Value| names.iter().any(|name| document.get(name).is_some());
        documents.iter().all(has)
    };
    let plain = |known| Some((known, Leaves::new(Form::Json)));
    let of_tts: Vec<&Value> = documents.iter().map(without_wrapper).collect();
    if of_tts.iter().all(|of| of.get("end_device_ids").is_some()) {
        return Some((TTS, tts(&of_tts)));
    }
    let is_device = |document: &Value| document.pointer("/deviceInfo/devEui").is_some();
    let is_uplink = any_of(&["deviceInfo", "devEUI"]) && any_of(&["fPort", "fCnt", "rxInfo"]);
    if is_uplink || documents.iter().all(is_device) {
        return Some((CHIRPSTACK, chirpstack(documents)));
    }
    let of_box = ["esp8266id", "esp32id", "software_version"];
    if all(&["sensordatavalues"]) && any_of(&of_box) {
        return plain(AIRROHR);
    }
    if all(&["sensordatavalues", "sensor", "location"]) {
        return plain(SENSOR_COMMUNITY);
    }
    if all(&["segment_id", "uptime", "date"]) || all(&["report"]) {
        return plain(TELRAAM);
    }
    let is_measurement = |document: &Value| {
        let is_known = |name: &String| matches!(name.as_str(), "value" | "createdAt" | "location");
        document
            .as_object()
            .is_some_and(|members| members.keys().all(is_known))
    };
    if all(&["value", "createdAt"]) && documents.iter().all(is_measurement) {
        return plain(OPENSENSEMAP);
    }
    if let Some(known) = ircel(documents) {
        return plain(known);
    }
    if any_of(&["dataArray", "result"])
        && any_of(&["phenomenonTime", "resultTime", "Datastream", "dataArray"])
    {
        return Some((SENSORTHINGS, sensorthings(documents)));
    }
    if is_senml(documents) {
        return Some((SENML, senml(documents)));
    }
    ngsi(documents)
}

/// Returns the source of IRCEL-CELINE that such answers come from: layers, or points and descriptions of time series.
fn ircel(documents: &[Value]) -> Option<Known> {
    let is_point = |point: &Value| {
        let timestamp = point.get("timestamp");
        timestamp.is_some_and(Value::is_i64) && point.get("value").is_some()
    };
    // A device of one's own says more than that.
    let is_known = |name: &String| {
        matches!(
            name.as_str(),
            "values" | "referenceValues" | "valueBeforeTimespan" | "valueAfterTimespan"
        )
    };
    let are_points = |series: &Value| {
        let points = series.get("values").and_then(Value::as_array);
        let is_alone = series
            .as_object()
            .is_some_and(|members| members.keys().all(is_known));
        is_alone && points.is_some_and(|points| points.iter().all(is_point))
    };
    let is_series = |document: &Value| {
        let points = document.get("values").and_then(Value::as_array);
        are_points(document) && points.is_some_and(|points| !points.is_empty())
    };
    let are_series = |document: &Value| {
        let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
        document.as_object().is_some_and(|series| {
            !series.is_empty() && series.keys().all(is_number) && series.values().all(are_points)
        })
    };
    let is_described = |document: &Value| {
        let of_station = document.pointer("/properties/timeseries");
        let station = document.pointer("/station/properties/label");
        of_station.is_some_and(Value::is_object)
            || (document.get("uom").is_some() && station.is_some())
    };
    let is_layer = |document: &Value| {
        let features = document.get("features").and_then(Value::as_array);
        let is_station = |of: &Value| of.pointer("/properties/ab_eoi_code").is_some();
        features.is_some_and(|of| !of.is_empty() && of.iter().all(is_station))
    };
    if documents.iter().all(is_layer) {
        return Some(IRCEL_LAYER);
    }
    let is_answer =
        |document: &Value| is_series(document) || are_series(document) || is_described(document);
    documents.iter().all(is_answer).then_some(IRCEL_SERIES)
}

/// Returns the message of The Things Stack in what its storage integration and its console write around it.
fn without_wrapper(document: &Value) -> &Value {
    let wrapped = ["result", "data"];
    let mut inner = wrapped.iter().filter_map(|member| document.get(member));
    inner
        .find(|inner| inner.get("end_device_ids").is_some())
        .unwrap_or(document)
}

fn tts(documents: &[&Value]) -> Leaves {
    decoded(
        documents.iter().copied(),
        "/uplink_message/frm_payload",
        |document| {
            document
                .pointer("/uplink_message/decoded_payload")
                .map(Cow::Borrowed)
        },
    )
}

fn chirpstack(documents: &[Value]) -> Leaves {
    decoded(documents.iter(), "/data", |document| {
        if let Some(decoded) = document.get("object") {
            return Some(Cow::Borrowed(decoded));
        }
        let text = document.get("objectJSON")?.as_str()?;
        let decoded = serde_json::from_str::<Value>(text);
        decoded.ok().map(Cow::Owned)
    })
}

/// Returns the values that a network server's codec has decoded, and of how many messages there are none. `bytes` points to
/// what the codec decodes, in base64.
fn decoded<'d>(
    documents: impl Iterator<Item = &'d Value>,
    bytes: &str,
    decode: impl Fn(&'d Value) -> Option<Cow<'d, Value>>,
) -> Leaves {
    let mut leaves = Leaves::new(Form::Json);
    let mut undecoded = Undecoded::default();
    for document in documents {
        undecoded.messages += 1;
        let decoded = decode(document).filter(|decoded| !decoded.is_null());
        let bytes = document.pointer(bytes).and_then(Value::as_str);
        match decoded.as_deref() {
            Some(Value::Object(members)) if members.is_empty() => undecoded.empty += 1,
            Some(decoded) => leaves.add_document(decoded),
            None if bytes.is_some_and(|bytes| !bytes.is_empty()) => undecoded.bytes_only += 1,
            None => undecoded.without_payload += 1,
        }
    }
    leaves.undecoded = undecoded;
    leaves
}

fn sensorthings(documents: &[Value]) -> Leaves {
    let mut leaves = Leaves::new(Form::Json);
    for document in documents {
        let Some(id) = document.pointer("/Datastream/@iot.id") else {
            continue;
        };
        let field = match id {
            Value::String(text) => text.clone(),
            id => id.to_string(),
        };
        if let Some(result) = document.get("result") {
            leaves.add(LeafPlace::Field(field), "", "", LeafValue::of_json(result));
        }
    }
    leaves
}

fn is_senml(documents: &[Value]) -> bool {
    let is_record = |document: &Value| {
        document.as_object().is_some_and(|members| {
            let known = |name: &String| SENML_MEMBERS.contains(&name.as_str());
            !members.is_empty() && members.keys().all(known)
        })
    };
    let some = |names: &[&str]| {
        let has = |document: &Value| names.iter().any(|name| document.get(name).is_some());
        documents.iter().any(has)
    };
    documents.iter().all(is_record) && some(&["n", "bn"]) && some(&["v", "vs", "vb", "vd", "s"])
}

fn senml(documents: &[Value]) -> Leaves {
    let mut leaves = Leaves::new(Form::Json);
    let (mut base, mut base_unit) = ("", "");
    for document in documents {
        let of = |name: &str| document.get(name).and_then(Value::as_str);
        base = of("bn").unwrap_or(base);
        base_unit = of("bu").unwrap_or(base_unit);
        let name = format!("{base}{}", of("n").unwrap_or_default());
        let unit = of("u").unwrap_or(base_unit);
        leaves.states_units |= !unit.is_empty();
        let end = end_of(&name);
        // A name that ends in the device says nothing; the unit may.
        let word = match (end, unit) {
            ("", "Cel" | "K") => "temperature",
            ("", "%RH") => "humidity",
            (end, _) => end,
        };
        for (member, suffix) in [("v", ""), ("s", "#sum")] {
            if let Some(value) = document.get(member) {
                let place = LeafPlace::Field(format!("{end}{suffix}"));
                leaves.add(place, word, word, LeafValue::of_json(value));
            }
        }
    }
    leaves
}

/// Returns the part of a record's name that says what was measured: behind the last `:` or `/`, and in a device's URN
/// (RFC 9039) behind the first `_` or `/`.
pub(super) fn end_of(name: &str) -> &str {
    match name.strip_prefix("urn:dev:") {
        Some(device) => {
            let end = device.split_once(['_', '/']);
            end.map_or("", |(_, end)| end)
        }
        None => {
            let end = name.rsplit_once([':', '/']);
            end.map_or(name, |(_, end)| end)
        }
    }
}

fn ngsi(documents: &[Value]) -> Option<(Known, Leaves)> {
    let mut entities: Vec<&Map<String, Value>> = Vec::new();
    let mut is_notified = true;
    for document in documents {
        match document.get("data").and_then(Value::as_array) {
            Some(data) if document.get("subscriptionId").is_some() => {
                entities.extend(data.iter().filter_map(Value::as_object));
            }
            _ => {
                is_notified = false;
                entities.push(document.as_object()?);
            }
        }
    }
    let text = |entity: &Map<String, Value>, name: &str| {
        entity.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let is_entity = |entity: &&Map<String, Value>| {
        let id = text(entity, "id");
        let kind = text(entity, "type");
        let (Some(id), Some(kind)) = (id, kind) else {
            return false;
        };
        is_notified || id.starts_with("urn:ngsi-ld:") || NGSI_TYPES.contains(&kind.as_str())
    };
    if entities.is_empty() || !entities.iter().all(is_entity) {
        return None;
    }
    let is_understood = |entity: &&Map<String, Value>| {
        text(entity, "type").is_some_and(|kind| NGSI_TYPES.contains(&kind.as_str()))
    };
    if entities.iter().all(is_understood) {
        return Some((NGSI, Leaves::new(Form::Json)));
    }
    let mut leaves = Leaves::new(Form::Json);
    for (name, attribute) in entities.into_iter().flatten() {
        if !matches!(name.as_str(), "id" | "type" | "@context") {
            let value = attribute.get("value").unwrap_or(attribute);
            let place = LeafPlace::Field(name.clone());
            leaves.add(place, name, name, LeafValue::of_json(value));
        }
    }
    Some((NGSI_OTHER, leaves))
}

/// Takes lines apart as far as guesses need it: names with escaped blanks or commas, and texts, are left out.
fn line_protocol(samples: &[&str]) -> (Known, Leaves) {
    let mut leaves = Leaves::new(Form::LineProtocol);
    let mut is_airrohr = true;
    let lines = samples.iter().flat_map(|sample| sample.lines());
    let is_plain = |line: &&str| {
        !line.trim().is_empty() && !line.starts_with('#') && !line.contains(['\\', '"'])
    };
    for line in lines.filter(is_plain) {
        let mut parts = line.split(' ');
        let series = parts.next().unwrap_or_default();
        let fields = parts.next().unwrap_or_default();
        let (measurement, tags) = series.split_once(',').unwrap_or((series, ""));
        let pairs = |list: &'_ str| -> Vec<(String, String)> {
            let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let tags = pairs(tags);
        is_airrohr &= measurement == "feinstaub" && tags.iter().any(|(name, _)| name == "node");
        for (name, value) in tags {
            let place = LeafPlace::Field(name.clone());
            leaves.add(place, &name, &name, LeafValue::Text(value));
        }
        for (name, value) in pairs(fields) {
            // Names with dots or slashes are written as pointers.
            let place = if [measurement, &name]
                .iter()
                .any(|part| part.contains(['.', '/']))
            {
                let escape = |part: &str| part.replace('~', "~0").replace('/', "~1");
                LeafPlace::Pointer(format!("/{}/{}", escape(measurement), escape(&name)))
            } else {
                LeafPlace::Field(format!("{measurement}.{name}"))
            };
            let number = value.trim_end_matches(['i', 'u']);
            let path = format!("{measurement} {name}");
            leaves.add(place, &name, &path, LeafValue::of_text(number));
        }
    }
    // Of lines that were all left out nothing is known but their form.
    let known = if is_airrohr && !leaves.leaves.is_empty() {
        INFLUX_AIRROHR
    } else {
        INFLUX
    };
    (known, leaves)
}
