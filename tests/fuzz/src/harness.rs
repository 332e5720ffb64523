//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! The fuzz targets call it with made-up bytes, and a test of `meetnet-decode` calls it with the corpus and with
//! generated JSON, so that what fuzzing once found stays found.

use std::sync::{Arc, LazyLock};

use meetnet_decode::{Decoders, EnvelopeRef};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::schemas;
use meetnet_model::source::SourceDeclaration;

/// 2026-06-01T12:00:00Z, when every body is received.
pub const RECEIVED_AT: i64 = 1_780_315_200_000_000;

/// What a fuzz target does with its bytes.
pub type Target = fn(&[u8]);

/// The targets by name, which is also the name of their corpus folder.
pub const TARGETS: [(&str, Target); 17] = [
    ("telraam", telraam),
    ("sensor_community", sensor_community),
    ("series", series),
    ("airrohr", airrohr),
    ("tts", tts),
    ("chirpstack", chirpstack),
    ("sensorthings", sensorthings),
    ("ngsi", ngsi),
    ("senml", senml),
    ("json", json),
    ("ndjson", ndjson),
    ("csv", csv),
    ("ecowitt", ecowitt),
    ("wunderground", wunderground),
    ("influx", influx),
    ("mapping", mapping),
    ("language", language),
];

/// Reads a source; what it leaves out is filled.
pub fn source(declaration: &str) -> Result<SourceDeclaration, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(declaration)?;
    let defaults = "id = 'test'\nkind = 'mqtt'\nnamespace = 'ns'\nlicence = 'CC0-1.0'\n\
                    time_window = { back_us = 34560000000000, ahead_us = 3600000000 }";
    for (name, value) in toml::from_str::<toml::Table>(defaults)? {
        table.entry(name).or_insert(value);
    }
    table.try_into()
}

/// Builds the decoder of one source over the built-in datasets.
pub fn decoders(source: SourceDeclaration) -> Result<Decoders, meetnet_decode::DecodeSetupError> {
    let declarations = schemas::builtin().into_declarations([source]);
    Decoders::new(
        &Arc::new(declarations),
        &PrivacyKey::new("a secret for tests only"),
    )
}

fn fixed(declaration: &str) -> Decoders {
    let source = source(declaration).expect("the declaration is TOML");
    decoders(source).expect("the declaration is right")
}

/// What one body became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Rows.
    pub rows: usize,
    /// Rejects.
    pub rejects: usize,
    /// Messages that carry nothing by their kind.
    pub ignored: usize,
}

impl Made {
    /// Returns the number of rows, rejects and ignored messages.
    pub fn count(self) -> usize {
        self.rows + self.rejects + self.ignored
    }
}

/// Decodes `body` twice and checks what must hold for any bytes.
pub fn check(decoders: &Decoders, topic: &str, body: &[u8]) -> Made {
    let meta = [
        ("x-sensor".into(), "esp8266-1234567".into()),
        ("ngsiv2-attrsformat".into(), "normalized".into()),
        ("sensor".into(), "42R803".into()),
        ("property".into(), "pm2_5".into()),
        ("unit".into(), "mg/m3".into()),
        ("interval-s".into(), "3600".into()),
    ];
    let envelope = EnvelopeRef {
        sequence: 1,
        source: "test",
        topic,
        meta: &meta,
        payload: body,
        received_at: RECEIVED_AT,
        truncated: false,
    };
    let mut group = decoders.group();
    decoders.decode(0, &envelope, &mut group);
    decoders.decode(1, &envelope, &mut group);
    let (rows, rejects, ignored) = (group.rows(), group.rejects(), group.ignored());
    let decoded = group.take();
    let of = |envelope| {
        let rows = decoded.rows.iter().flat_map(|rows| &rows.envelopes);
        let rejects = decoded.rejects.iter().map(|reject| &reject.envelope);
        (
            rows.filter(|at| **at == envelope).count(),
            rejects.filter(|at| **at == envelope).count(),
        )
    };
    assert_eq!(of(0), of(1), "the same bytes became something else");
    assert_eq!(of(0), (rows / 2, rejects / 2));
    for rows in &decoded.rows {
        assert_eq!(rows.batch.num_rows(), rows.envelopes.len());
        assert!(rows.envelopes.is_sorted());
    }
    for reject in &decoded.rejects {
        assert!(!reject.message.is_empty());
        assert!(reject.excerpt.chars().count() <= 200);
    }
    Made {
        rows: rows / 2,
        rejects: rejects / 2,
        ignored: ignored as usize / 2,
    }
}

fn telraam(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| fixed("format = 'telraam'"));
    check(&DECODERS, "", body);
}

fn sensor_community(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> =
        LazyLock::new(|| fixed("format = 'sensor-community'\nkind = 'poll'"));
    check(&DECODERS, "", body);
}

fn series(body: &[u8]) {
    static IRCEL: LazyLock<Decoders> = LazyLock::new(|| fixed("format = 'ircel'\nkind = 'poll'"));
    static SENSE: LazyLock<Decoders> =
        LazyLock::new(|| fixed("format = 'opensensemap'\nkind = 'poll'\nsentinels = [-127]"));
    check(&IRCEL, "", body);
    check(&SENSE, "", body);
}

fn airrohr(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> =
        LazyLock::new(|| fixed("format = 'airrohr'\nlenient = true"));
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn tts(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'tts-v3'\n\
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' },\n\
             { dataset = 'noise', property = 'laeq', pointer = '/a/0/db' } ]",
        )
    });
    let made = check(&DECODERS, "v3/app/devices/d/up", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

/// Bodies with the shape of v3 are the same target: the fields decide.
fn chirpstack(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'chirpstack-v4'\ntime = { pointer = '/at', format = 'unix' }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' },\n\
             { dataset = 'noise', property = 'laeq', pointer = '/a/0/db' } ]",
        )
    });
    let made = check(&DECODERS, "application/1/device/2/event/up", body);
    assert_ne!(made.count(), 0, "dropped silently");
    let other = check(&DECODERS, "application/1/device/2/event/status", body);
    assert_eq!(other.rows, 0, "a status became a row");
}

fn sensorthings(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'sensorthings'\nsensor_id = { pointer = '/parameters/station' }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', field = '1', unit = 'K' },\n\
             { dataset = 'air', property = 'pm10', field = 'a b' } ]",
        )
    });
    static PLAIN: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'sensorthings'\n\
             map = [ { dataset = 'heat', property = 'air_temperature', field = '1' } ]",
        )
    });
    for decoders in [&DECODERS, &PLAIN] {
        let made = check(decoders, "v1.1/Datastreams(1)/Observations", body);
        // A data array of no rows is nothing, and says so itself.
        let is_empty_array = body.windows(11).any(|part| part == b"\"dataArray\"");
        assert!(made.count() > 0 || is_empty_array, "dropped silently");
    }
}

fn ngsi(body: &[u8]) {
    static MODELS: LazyLock<Decoders> = LazyLock::new(|| fixed("format = 'ngsi'"));
    static MAPPED: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'ngsi'\nsensor_id = { field = 'refDevice' }\n\
             time = { field = 'dateObserved', format = 'rfc3339', zone = 'Europe/Madrid' }\n\
             map = [ { dataset = 'noise', property = 'laeq', pointer = '/levels/0' },\n\
             { dataset = 'heat', property = 'air_temperature', field = 'temperature', unit = '[degF]' } ]",
        )
    });
    for decoders in [&MODELS, &MAPPED] {
        let made = check(decoders, "", body);
        assert_ne!(made.count(), 0, "dropped silently");
    }
}

fn senml(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'senml'\nlenient = true\n\
             map = [ { dataset = 'heat', property = 'air_temperature', field = 'temp' },\n\
             { dataset = 'heat', property = 'rainfall', field = 'rain#sum' },\n\
             { dataset = 'noise', property = 'laeq', field = '' } ]",
        )
    });
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn csv(body: &[u8]) {
    static HEADER: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'csv'\ncsv = { delimiter = ';', decimal_comma = true }\nsensor_id = { field = 'id' }\n\
             time = { field = 'at', format = 'rfc3339', zone = 'Europe/Brussels' }\nsentinels = [-999]\n\
             map = [ { dataset = 'air', property = 'pm10', field = 'P1' },\n\
             { dataset = 'heat', property = 'air_temperature', field = 't', unit = 'K' } ]",
        )
    });
    static COLUMNS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'csv'\ncsv = { columns = ['id', 'P1'] }\nsensor_id = { field = 'id' }\n\
             map = [ { dataset = 'air', property = 'pm10', field = 'P1' } ]",
        )
    });
    for decoders in [&HEADER, &COLUMNS] {
        let made = check(decoders, "", body);
        assert_ne!(made.count(), 0, "dropped silently");
    }
}

fn ndjson(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'ndjson'\nlenient = true\nsensor_id = { pointer = '/id' }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' } ]",
        )
    });
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn json(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'json'\nlenient = true\nsensor_id = { pointer = '/id' }\nhardware_id = true\n\
             time = { pointer = '/ts', format = 'rfc3339', zone = 'Europe/Brussels' }\nsentinels = [-999]\n\
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'K' },\n\
             { dataset = 'air', property = 'pm10', pointer = '/a/b' },\n\
             { dataset = 'traffic', column = 'segment_id', pointer = '/s' },\n\
             { dataset = 'traffic', column = 'speed_hist', pointer = '/h', interval_s = 60 } ]",
        )
    });
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn ecowitt(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'ecowitt'\n\
             map = [ { dataset = 'air', property = 'pm2_5', field = 'pm25_ch1' } ]",
        )
    });
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn wunderground(body: &[u8]) {
    static DECODERS: LazyLock<Decoders> = LazyLock::new(|| fixed("format = 'wunderground'"));
    let made = check(&DECODERS, "", body);
    assert_ne!(made.count(), 0, "dropped silently");
}

fn influx(body: &[u8]) {
    static AIRROHR: LazyLock<Decoders> = LazyLock::new(|| fixed("format = 'influx'"));
    static MAPPED: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'influx'\nsensor_id = { field = 'station' }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', field = 'weather.temp' },\n\
             { dataset = 'heat', property = 'relative_humidity', field = 'hum', unit = '%' },\n\
             { dataset = 'traffic', column = 'segment_id', pointer = '/count/segment' },\n\
             { dataset = 'traffic', column = 'car', pointer = '/count/car', interval_s = 60 } ]",
        )
    });
    for decoders in [&AIRROHR, &MAPPED] {
        let made = check(decoders, "", body);
        assert_ne!(made.count(), 0, "dropped silently");
    }
}

/// What the mapping language can say, on one body: elements of an array, pairs, devices, constants, times in two fields.
fn language(body: &[u8]) {
    static EACH: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'json'\nsensor_id = { pointer = '/r/*/id' }\nsentinels = [-999, 'off']\n\
             time = { pointer = '/date', clock_pointer = '/r/*/clock', format = '%d/%m/%Y %H:%M', zone = 'Europe/Brussels' }\n\
             time_is = 'end'\ninterval_s = 600\nconstants = { segment_id = 7 }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/r/*/t', scale = 0.1, unit = '[degF]' },\n\
             { dataset = 'air', property = 'no2', pointer = '/r/*/a/b', unit = 'ppb', valid = { pointer = '/r/*/q', is_not = [0, 'x'] } },\n\
             { dataset = 'traffic', column = 'bike', pointer = '/n' } ]\n\
             [[devices]]\nid = 'a*'\nstation = 'sa'\ncalibration = { air_temperature = { scale = 2, offset = 1 } }",
        )
    });
    static PAIRS: LazyLock<Decoders> = LazyLock::new(|| {
        fixed(
            "format = 'json'\nlenient = true\nsensor_id = { field = 'id' }\n\
             pairs = { name = '/r/*/id', value = '/r/*/t' }\n\
             map = [ { dataset = 'heat', property = 'air_temperature', field = 't' },\n\
             { dataset = 'heat', property = 'air_pressure', pointer = '/n', sentinels = ['x'] } ]",
        )
    });
    for decoders in [&EACH, &PAIRS] {
        let made = check(decoders, "", body);
        assert_ne!(made.count(), 0, "dropped silently");
    }
}

/// The bytes also say how to decode: lines with topic pattern, topic, sensor id template, pointer, pointer of the
/// time, unit; then the body. Most of it is turned away when the decoder is built, which must not panic either.
fn mapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.splitn(7, '\n');
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (pattern, topic, template, pointer, time, unit, body) =
        (line(), line(), line(), line(), line(), line(), line());
    let Ok(mut declared) = source(
        "format = 'json'\nlenient = true\nsensor_id = 's'\ntime = { pointer = '', format = 'unix-ms' }\n\
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '' } ]",
    ) else {
        return;
    };
    declared.topics = vec![pattern];
    declared.sensor_id = Some(meetnet_model::source::ValueRef::Template(template));
    declared.map[0].pointer = Some(pointer);
    declared.map[0].unit = (!unit.is_empty()).then_some(unit);
    match &mut declared.time {
        Some(declared) if !time.is_empty() => declared.pointer = Some(time),
        _ => declared.time = None,
    }
    match decoders(declared) {
        Ok(decoders) => {
            let made = check(&decoders, &topic, body.as_bytes());
            assert_ne!(made.count(), 0, "dropped silently");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Runs the target of that name.
pub fn run(target: &str, bytes: &[u8]) {
    for (name, run) in TARGETS {
        if name == target {
            run(bytes);
        }
    }
}
