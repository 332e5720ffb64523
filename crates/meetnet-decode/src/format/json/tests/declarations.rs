//! Declarations that cannot be decoded by, and what is said about them.

use super::{BALCONY, COUNTER};
use crate::testing::try_decoders;

#[test]
fn a_wrong_declaration_names_source_and_entry() {
    let check = |from: &str, to: &str, expect: &str| {
        assert!(BALCONY.contains(from));
        let error = try_decoders(&BALCONY.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), expect);
    };
    check(
        "dataset = 'heat'",
        "dataset = 'heet'",
        "source `test`, map entry 1: no dataset `heet` is declared; declare it in the schema folder or correct the name",
    );
    check(
        "'relative_humidity'",
        "'humidity'",
        "source `test`, map entry 2: dataset `heat` has no property `humidity`; add it to properties.toml or correct the name",
    );
    check(
        "unit = '%'",
        "unit = 'Pa'",
        "source `test`, map entry 2: `Pa` cannot become `%`: they measure different things",
    );
    check(
        "unit = '%'",
        "unit = 'percent'",
        "source `test`, map entry 2: unknown unit `percent`; use a UCUM code such as Cel, [degF], %, hPa, m/s, mm, ug/m3 or [ppb]",
    );
    check(
        "'/humidity'",
        "'humidity'",
        "source `test`, map entry 2: `humidity` is not a JSON Pointer; it is empty (the whole body) or starts with `/`, with ~0 for ~ and ~1 for /",
    );
    check(
        "property = 'relative_humidity'",
        "column = 'value'",
        "source `test`, map entry 2: dataset `heat` is long: the entry must name one `property` and nothing else",
    );
    check(
        "dataset = 'heat'",
        "dataset = 'traffic'",
        "source `test`, map entry 1: dataset `traffic` is wide: the entry must name one `column` and nothing else",
    );
    check(
        "dataset = 'heat'",
        "dataset = 'stations'",
        "source `test`, map entry 1: dataset `stations` takes no mapped messages; use a long or a wide dataset",
    );
    check(
        "sensor_id = '{device}'",
        "sensor_id = '{room}'",
        "source `test`: sensor_id uses `{room}`, which topic pattern `zigbee2mqtt/{device}` does not capture",
    );
    check(
        "sensor_id = '{device}'",
        "sensor_id = '{device'",
        "source `test`: sensor_id template `{device` has an unclosed or empty `{…}`",
    );
    check(
        "sensor_id = '{device}'",
        "",
        r#"source `test`: the map fills dataset `heat`, whose rows need a sensor id; declare `sensor_id = "{device}"` or `sensor_id = { pointer = "/…" }`"#,
    );
    check(
        "topics = ['zigbee2mqtt/{device}']",
        "",
        "source `test`: sensor_id uses `{device}`, which the source, having no topics, does not capture",
    );
    check(
        "zigbee2mqtt/{device}",
        "zigbee2mqtt/#/{device}",
        "source `test`: topic pattern `zigbee2mqtt/#/{device}`: `#` and `{name...}` take all further levels, so they must stand last",
    );
    check(
        "sentinels = [-999, -9999]",
        "time = { pointer = '/t', format = 'rfc3339', zone = 'Leuven' }",
        "source `test`: `time`: unknown time zone `Leuven`; use an IANA name such as `Europe/Brussels` or `UTC`",
    );
    let unmapped = COUNTER.replacen(
        "{ dataset = 'traffic', column = 'segment_id', pointer = '/segment' },",
        "",
        1,
    );
    let error = try_decoders(&unmapped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`: key column `segment_id` of dataset `traffic` has no map entry; every key column but `time` needs one"
    );
    let reserved = COUNTER.replacen("'segment_id'", "'time'", 1);
    let error = try_decoders(&reserved).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`, map entry 1: column `time` is filled by the decoder (`sensor_id` and `time` of the source); leave the entry out"
    );
    let no_map = "format = 'json'\nsensor_id = 's'";
    let error = try_decoders(no_map).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`: format `json` needs a `map`: without one no message becomes a row"
    );
}
