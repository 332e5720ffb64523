use meetnet_model::source::SourceDeclaration;

use super::*;
use crate::Decoders;
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::format::{Body, Common};
use crate::group::Group;
use crate::testing::{self, envelope, key, source};

/// Decodes forms (`a=1&b=2`) by a declaration: what a flat format does, without its own syntax.
fn decode(source: &SourceDeclaration, forms: &[&str]) -> Result<String, SetupProblem> {
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let mut names = FieldNames::default();
    let known = built_in(&declarations, &[("tempf", "air_temperature", "[degF]")]);
    let mapped = Mapped::compile(
        source,
        &[],
        &declarations,
        known,
        Finds::Nothing,
        &mut names,
    )
    .map_err(|(_, problem)| problem)?;
    let decoders = Decoders::new(&declarations.into(), &key()).unwrap();
    let mut group = decoders.group();
    let common = Common::new(source, &key());
    for form in forms {
        let Group {
            output, scratch, ..
        } = &mut group;
        output.begin(0);
        scratch.values.begin(&names);
        for (name, value) in form.split('&').filter_map(|pair| pair.split_once('=')) {
            if let Some(slot) = names.slot(name) {
                scratch.values.set(slot, value);
            }
        }
        let envelope = envelope("", form.as_bytes());
        let body = Body {
            common: &common,
            envelope: &envelope,
            text: form,
            is_torn: false,
        };
        let document = Document {
            fields: scratch.values.fields(),
            excerpt: form,
            what: "the form",
            missing_id: "the form has no `station`",
        };
        mapped.emit_or_reject(
            &body,
            &document,
            || Ok(FoundId::Nobody),
            || Ok(None),
            &mut scratch.row,
            output,
        );
    }
    Ok(testing::render(&group.take()))
}

const FORM: &str = "format = 'json'
    sensor_id = { field = 'station' }
    time = { field = 'at', format = 'unix' }
    sentinels = [-9999]
    map = [
      { dataset = 'heat', property = 'air_temperature', field = 'tempc' },
      { dataset = 'heat', property = 'relative_humidity', field = 'humidity' },
    ]";

#[test]
fn named_fields_become_rows() {
    let check = |forms: &[&str], expect: &str| {
        assert_eq!(decode(&source(FORM), forms).unwrap(), expect, "{forms:?}");
    };
    // What the source maps comes before what the format knows; names are taken literally.
    check(
        &["station=s1&tempf=212&tempc=20&humidity=40&at=1780315200&tempC=1"],
        "heat sensor_id=ns-s1 property=air_temperature time=2026-06-01T12:00:00Z value=20\n\
         heat sensor_id=ns-s1 property=relative_humidity time=2026-06-01T12:00:00Z value=40\n",
    );
    // Nothing of a message stays for the next one; of a repeated field the last counts.
    check(
        &[
            "station=s1&tempc=20&at=1780315200",
            "station=s2&tempf=32&humidity=1&humidity=-9999&at=1780315200",
        ],
        "heat sensor_id=ns-s1 property=air_temperature time=2026-06-01T12:00:00Z value=20\n\
         heat sensor_id=ns-s2 property=air_temperature time=2026-06-01T12:00:00Z value=0\n",
    );
    check(
        &["station=s1&at=1780315200&humidity=wet"],
        "wrong_type: the value at `humidity` is not a number\n",
    );
    check(
        &["station=s1&at=1780315200&humidity="],
        "no_mapped_value: the form has no value at `tempc`, `tempf`, `humidity`\n",
    );
    check(
        &["tempc=20&at=1780315200"],
        "missing_field: the form has no `station`\n",
    );
    check(
        &["station=s1&tempc=20&at=noon"],
        "bad_time: the time at `at`: not a number of seconds since 1970\n",
    );
}

#[test]
fn a_pointer_of_one_step_is_a_name() {
    let one = FORM.replace("field = 'humidity'", "pointer = '/humidity'");
    assert_eq!(
        decode(&source(&one), &["station=s1&humidity=40&at=1780315200"]).unwrap(),
        "heat sensor_id=ns-s1 property=relative_humidity time=2026-06-01T12:00:00Z value=40\n",
    );
    let two = FORM.replace("field = 'humidity'", "pointer = '/air/humidity'");
    assert_eq!(
        decode(&source(&two), &[]).unwrap_err().to_string(),
        "the fields of this format have names and no structure; write `field = \"…\"` instead of `/air/humidity`",
    );
    for wrong in ["pointer = '/humidity', field = 'humidity'", "unit = '%'"] {
        let wrong = FORM.replace("field = 'humidity'", wrong);
        assert_eq!(
            decode(&source(&wrong), &[]).unwrap_err().to_string(),
            "name one place: `pointer` (a JSON Pointer) or `field` (a name)",
        );
    }
}

#[test]
fn a_field_that_the_map_names_is_no_longer_what_the_format_says() {
    let globe = FORM.replace(
        "'air_temperature', field = 'tempc'",
        "'globe_temperature', field = 'tempf'",
    );
    assert_eq!(
        decode(&source(&globe), &["station=s1&tempf=20&at=1780315200"]).unwrap(),
        "heat sensor_id=ns-s1 property=globe_temperature time=2026-06-01T12:00:00Z value=20\n",
    );
}

#[test]
fn case_counts_unless_the_format_ignores_it() {
    let mut exact = FieldNames::default();
    let mut ignoring = FieldNames::ignoring_case();
    for names in [&mut exact, &mut ignoring] {
        names.want_name("tempF").unwrap();
    }
    assert_eq!(
        ["tempF", "tempf", "TEMPF", "temp"].map(|name| exact.slot(name).is_some()),
        [true, false, false, false]
    );
    assert_eq!(
        ["tempF", "tempf", "TEMPF", "temp"].map(|name| ignoring.slot(name).is_some()),
        [true, true, true, false]
    );
    assert_eq!(ignoring.want_name("TEMPF"), Ok(Slot(0)));
    assert_eq!(exact.want_name("tempf"), Ok(Slot(1)));
}
