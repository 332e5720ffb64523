use expect_test::{Expect, expect};

use crate::testing::{self, decoders, envelope, render, try_decoders};

mod naive;

const WEATHER: &str = "format = 'influx'\nsensor_id = { field = 'station' }\n\
    map = [ { dataset = 'heat', property = 'air_temperature', field = 'weather.temp', unit = 'Cel' },\n\
    { dataset = 'heat', property = 'relative_humidity', field = 'hum', unit = '%' } ]";

fn check(declaration: &str, body: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(declaration, "/write", body));
}

/// The rejects of a body, each with its line.
fn rejects(declaration: &str, body: &str) -> Vec<(Option<u32>, &'static str, String)> {
    let decoded = decoders(declaration).decode_body(&envelope("/write", body.as_bytes()));
    let rejects = decoded.rejects.into_iter();
    rejects
        .map(|reject| (reject.item, reject.reason.as_str(), reject.message))
        .collect()
}

#[test]
fn lines_become_rows_at_their_own_time() {
    check(
        WEATHER,
        "# written by a gateway\n\
         weather,station=kessel-lo temp=21.5,hum=48i,battery=3.1 1780315170000000000\n\
         \n\
         weather,station=heverlee,room=attic hum=50u,temp=-1.5e1 1780315171123456789\r\n\
         greenhouse,station=heverlee temp=40,hum=90 1780315171123456789",
        expect![[r#"
            heat sensor_id=ns-kessel-lo property=air_temperature time=2026-06-01T11:59:30Z value=21.5
            heat sensor_id=ns-kessel-lo property=relative_humidity time=2026-06-01T11:59:30Z value=48
            heat sensor_id=ns-heverlee property=air_temperature time=2026-06-01T11:59:31.123456Z value=-15
            heat sensor_id=ns-heverlee property=relative_humidity time=2026-06-01T11:59:31.123456Z value=50
            heat sensor_id=ns-heverlee property=relative_humidity time=2026-06-01T11:59:31.123456Z value=90
        "#]],
    );
}

#[test]
fn a_device_is_calibrated_in_the_measurement_that_has_the_value() {
    let of_device = |device: &str| {
        format!(
            "format = 'influx'\nsensor_id = {{ field = 'station' }}\n\
             map = [{{ dataset = 'heat', property = 'air_temperature', pointer = '/weather/temp', unit = 'Cel' }},
                    {{ dataset = 'air', property = 'pm10', pointer = '/dust/P1', unit = 'ug/m3' }}]\n\
             [[devices]]\nid = 'a'\n{device}"
        )
    };
    let body = "weather,station=a temp=20\ndust,station=a P1=10\nweather,station=b temp=20";
    check(
        &of_device("calibration = { air_temperature = { offset = -1 }, pm10 = { scale = 0.5 } }"),
        body,
        expect![[r#"
            air sensor_id=ns-a property=pm10 time=2026-06-01T12:00:00Z value=5
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=19
            heat sensor_id=ns-b property=air_temperature time=2026-06-01T12:00:00Z value=20
        "#]],
    );
    // What a device has of its own in one measurement takes nothing from the others.
    check(
        &of_device(
            "map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/dust/t', unit = 'Cel' }]",
        ),
        "weather,station=a temp=20\ndust,station=a P1=10,t=21",
        expect![[r#"
            air sensor_id=ns-a property=pm10 time=2026-06-01T12:00:00Z value=10
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=20
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=21
        "#]],
    );
    let unused = of_device("calibration = { pm2_5 = { scale = 0.5 } }");
    let error = testing::try_decoders(&unused).unwrap_err().to_string();
    assert!(
        error.contains("fills no property or column `pm2_5`"),
        "{error}"
    );
}

#[test]
fn an_airrohr_box_writes_without_map_and_time() {
    let body = "feinstaub,node=esp8266-1234567 SDS_P1=1.87,SDS_P2=1.05,BME280_temperature=24.98,\
                BME280_humidity=39.60,BME280_pressure=100520.25,samples=924605,min_micro=147,signal=-52\n";
    let over_line = testing::decode("format = 'influx'", "/write", body);
    let json = r#"{"esp8266id": "1234567", "sensordatavalues": [
        {"value_type": "SDS_P1", "value": "1.87"}, {"value_type": "SDS_P2", "value": "1.05"},
        {"value_type": "BME280_temperature", "value": "24.98"}, {"value_type": "BME280_humidity", "value": "39.60"},
        {"value_type": "BME280_pressure", "value": "100520.25"}, {"value_type": "signal", "value": "-52"}]}"#;
    // The same box by its own format: the same rows, of the same sensor.
    assert_eq!(
        over_line,
        testing::decode("format = 'airrohr'", "/airrohr", json)
    );
    assert_eq!(over_line.lines().count(), 5, "{over_line}");
    assert!(over_line.contains("time=2026-06-01T12:00:00Z") && !over_line.contains("1234567"));
}

#[test]
fn one_bad_line_takes_no_other_with_it() {
    let body = "weather,station=a temp=1 1780315170000000000\n\
                weather,station=a temp=9 \"1780315170000000000\"\n\
                \n\
                weather,station=b temp=2 1780315170000000000\n\
                # temp=3\n\
                weather,station=c temp=\n\
                weather temp=4 1780315170000000000\n\
                cpu usage=5\n\
                weather,station=d temp=6 1580315170000000000";
    check(
        WEATHER,
        body,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:59:30Z value=1
            heat sensor_id=ns-b property=air_temperature time=2026-06-01T11:59:30Z value=2
            malformed: bad timestamp
            malformed: missing field value
            missing_field: the line names no sensor: it has no value where `sensor_id` says, or no tag `node` where nothing is declared
            missing_field: the line names no sensor: it has no value where `sensor_id` says, or no tag `node` where nothing is declared
            time_out_of_window: the time 2020-01-29T16:26:10Z lies 2314d before the receive time; the source's time_window allows 400d back
        "#]],
    );
    let lines: Vec<Option<u32>> = rejects(WEATHER, body).into_iter().map(|r| r.0).collect();
    assert_eq!(lines, [1, 5, 6, 7, 8].map(Some));
    // Lines that were trimmed from the body count.
    let trimmed = rejects(WEATHER, &format!("\n\n{body}"));
    assert_eq!(trimmed[0].0, Some(3));
}

#[test]
fn what_is_wrong_with_a_line_is_said_as_influxdb_says_it() {
    let check = |line: &str, expect: &str| {
        let found = rejects(
            WEATHER,
            &format!("weather,station=a temp=1\n{line}\nweather,station=a temp=1"),
        );
        let (item, reason, message) = &found[0];
        assert_eq!(
            (*item, *reason, message.as_str(), found.len()),
            (Some(1), "malformed", expect, 1),
            "{line}"
        );
    };
    check(",station=a temp=1", "missing measurement");
    check("weather", "missing fields");
    check("weather ", "missing fields");
    check("weather,station=a", "missing fields");
    check("weather,=a temp=1", "missing tag key");
    check("weather, temp=1", "missing tag key");
    check("weather,station temp=1", "missing tag value");
    check("weather,station= temp=1", "missing tag value");
    check("weather,station=,x=1 temp=1", "missing tag value");
    check("weather,station=a =1", "missing field key");
    check("weather,station=a temp=", "missing field value");
    check("weather,station=a temp=,hum=1", "missing field value");
    check("weather,station=a temp", "invalid field format");
    check("weather,station=a temp=1,", "invalid field format");
    check("weather,station=a temp=1,,hum=2", "invalid field format");
    check("weather,station=a temp=\"a\"b", "invalid field format");
    check("weather,station=a temp=\"a", "unbalanced quotes");
    check("weather,station=a temp=\"a\\\"", "unbalanced quotes");
    check("weather,station=a temp=NaN", "invalid number");
    check("weather,station=a temp=nan", "invalid number");
    check("weather,station=a temp=Inf", "invalid number");
    check("weather,station=a temp=-Inf", "invalid number");
    check("weather,station=a temp=1.2.3", "invalid number");
    check("weather,station=a temp=1e", "invalid number");
    check("weather,station=a temp=-", "invalid number");
    check("weather,station=a temp=.", "invalid number");
    check("weather,station=a temp=1.5i", "invalid number");
    check("weather,station=a temp=-1u", "invalid number");
    check("weather,station=a temp=i", "invalid number");
    check(
        "weather,station=a temp=9223372036854775808i",
        "unable to parse integer: value out of range",
    );
    check(
        "weather,station=a temp=18446744073709551616u",
        "unable to parse integer: value out of range",
    );
    check("weather,station=a temp=yes", "invalid boolean");
    check("weather,station=a temp=tRUE", "invalid boolean");
    check("weather,station=a temp='a'", "invalid boolean");
    check("weather,station=a temp=1 now", "bad timestamp");
    check("weather,station=a temp=1 1.5", "bad timestamp");
    check(
        "weather,station=a temp=1 1780315170000000000 x",
        "bad timestamp",
    );
    check(
        "weather,station=a temp=1 9223372036854775808",
        "bad timestamp",
    );
    // A line of a measurement that nobody wants is read all the same.
    check("cpu usage=1 now", "bad timestamp");
}

#[test]
fn values_of_every_type() {
    let map = "format = 'influx'\nsensor_id = 's'\n\
               map = [ { dataset = 'heat', property = 'air_temperature', field = 'v' } ]";
    let check = |value: &str, expect: &str| {
        let text = testing::decode(map, "", &format!("m v={value}"));
        let found = match text.split_once(" value=") {
            Some((_, number)) => number.trim_end(),
            None => text.split(':').next().unwrap(),
        };
        assert_eq!(found, expect, "{value}");
    };
    check("1", "1");
    check(
        "-1.234456e+78",
        "-1234456000000000000000000000000000000000000000000000000000000000000000000000000",
    );
    check("1e-3", "0.001");
    check("1E3", "1000");
    check(".5", "0.5");
    check("-.5", "-0.5");
    check("5.", "5");
    check("1i", "1");
    check("-12i", "-12");
    check("1u", "1");
    check(
        "9223372036854775807i",
        "9223372036854775807"
            .parse::<f64>()
            .unwrap()
            .to_string()
            .as_str(),
    );
    check("18446744073709551615u", "18446744073709552000");
    check("\"21.5\"", "21.5");
    check("\"\"", "no_mapped_value");
    check("\"stringing along\"", "wrong_type");
    check("t", "wrong_type");
    check("false", "wrong_type");
    check("1e999", "wrong_type");
}

#[test]
fn names_and_texts_with_escapes() {
    let map = "format = 'influx'\nsensor_id = { field = 'in, room=1' }\n\
               map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/the weather/te=mp' },\n\
               { dataset = 'heat', property = 'dew_point', pointer = '/the weather/a.b' } ]";
    check(
        map,
        "the\\ weather,in\\,\\ room\\=1=kessel\\ lo\\,\\=\\x te\\=mp=5,a.b=1\n\
         the\\ weather,in\\,\\ room\\=1=heverlee te\\=mp=\"6\"\n",
        expect![[r#"
            heat sensor_id=ns-kessel lo,=\x property=air_temperature time=2026-06-01T12:00:00Z value=5
            heat sensor_id=ns-kessel lo,=\x property=dew_point time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-heverlee property=air_temperature time=2026-06-01T12:00:00Z value=6
        "#]],
    );
    // Texts keep commas, blanks, equals signs and newlines to themselves.
    let by_text = "format = 'influx'\nsensor_id = { field = 'name' }\n\
                   map = [ { dataset = 'heat', property = 'air_temperature', field = 'v' } ]";
    check(
        by_text,
        "m name=\"a, b=c \\\"d\\\" \\\\ \\e\",v=1\n\
         m note=\"first\nsecond\",name=\"x\",v=2\n\
         m,t=a\"b name=\"y\",v=3\n\
         m,t=\"a name=\"z\",v=4\n\
         m name=\"never ends,v=5\n\
         m name=\"w\",v=6",
        expect![[r#"
            heat sensor_id=ns-a, b=c "d" \ \e property=air_temperature time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-x property=air_temperature time=2026-06-01T12:00:00Z value=2
            heat sensor_id=ns-y property=air_temperature time=2026-06-01T12:00:00Z value=3
            heat sensor_id=ns-z property=air_temperature time=2026-06-01T12:00:00Z value=4
            malformed: invalid field format
        "#]],
    );
    let last = rejects(by_text, "m note=\"first\nsecond\",name=\"x\",v=2\nm v=");
    assert_eq!(last[0].0, Some(2), "lines within a text count");
    let unbalanced = rejects(by_text, "m name=\"never ends,v=5\nm,t=1 v=\nm name=w,v=6");
    assert_eq!(
        unbalanced.iter().map(|reject| reject.0).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2)],
        "a text that never ends takes its own line only"
    );
}

#[test]
fn times_come_in_the_precision_of_the_request() {
    let declared = decoders(WEATHER);
    let check = |precision: Option<&str>, time: &str, expect: &str| {
        let body = format!("weather,station=a temp=1 {time}");
        let meta: Vec<(Box<str>, Box<str>)> = precision
            .map(|precision| ("precision".into(), precision.into()))
            .into_iter()
            .collect();
        let mut pushed = envelope("/write", body.as_bytes());
        pushed.meta = &meta;
        let text = render(&declared.decode_body(&pushed));
        assert!(text.contains(expect), "{precision:?} {time}: {text}");
    };
    check(
        None,
        "1780315170123456789",
        "time=2026-06-01T11:59:30.123456Z",
    );
    check(
        Some("ns"),
        "1780315170123456789",
        "time=2026-06-01T11:59:30.123456Z",
    );
    check(
        Some("n"),
        "1780315170123456789",
        "time=2026-06-01T11:59:30.123456Z",
    );
    check(
        Some("us"),
        "1780315170123456",
        "time=2026-06-01T11:59:30.123456Z",
    );
    check(
        Some("u"),
        "1780315170123456",
        "time=2026-06-01T11:59:30.123456Z",
    );
    check(Some("ms"), "1780315170123", "time=2026-06-01T11:59:30.123Z");
    check(Some("s"), "1780315170", "time=2026-06-01T11:59:30Z");
    check(Some("m"), "29671919", "time=2026-06-01T11:59:00Z");
    check(Some("h"), "494531", "time=2026-06-01T11:00:00Z");
    check(Some("s"), "", "time=2026-06-01T12:00:00Z");
    // The wrong precision is no observation of 1970 or of the year 56000.
    check(
        None,
        "1780315170",
        "bad_time: the time 1970-01-01T00:00:01.780315Z lies before 2015",
    );
    check(
        Some("s"),
        "1780315170123456789",
        "bad_time: the time lies outside",
    );
    check(Some("ms"), "-1", "bad_time");
    check(
        Some("d"),
        "1",
        "unexpected_shape: the request names a precision that is none",
    );
}

#[test]
fn a_time_or_an_id_may_be_a_field() {
    let map = "format = 'influx'\nsensor_id = { field = 'weather.id' }\nhardware_id = true\n\
               time = { field = 'at', format = 'unix' }\n\
               map = [ { dataset = 'heat', property = 'air_temperature', field = 'weather.temp' },\n\
               { dataset = 'heat', property = 'dew_point', field = 'weather.dew' } ]";
    let text = testing::decode(
        map,
        "",
        "weather temp=1,dew=2,at=1780315170i,id=\"0011AABB\" 5",
    );
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("time=2026-06-01T11:59:30Z") && !text.contains("0011"),
        "{text}"
    );
}

#[test]
fn a_dotted_name_is_a_field_of_a_measurement_or_a_field_with_a_dot() {
    let map = "format = 'influx'\nsensor_id = 's'\n\
               map = [ { dataset = 'air', property = 'pm2_5', field = 'pm2.5' },\n\
               { dataset = 'air', property = 'pm10', field = 'air.pm10' },\n\
               { dataset = 'air', property = 'pm1', field = 'a.b.c' } ]";
    let check = |line: &str, expect: &[&str]| {
        let text = testing::decode(map, "", line);
        let found: Vec<&str> = text
            .lines()
            .map(|row| match row.split_once("property=") {
                Some((_, rest)) => rest.split(' ').next().unwrap(),
                None => row.split(':').next().unwrap(),
            })
            .collect();
        assert_eq!(found, expect, "{line}");
    };
    check("air pm2.5=1,pm10=2", &["pm2_5", "pm10"]);
    check("other pm2.5=1,pm10=2", &["pm2_5"]);
    check("other air.pm10=2", &["pm10"]);
    check("pm2 5=1", &["pm2_5"]);
    check("a b.c=1", &["pm1"]);
    check("a.b c=1", &["pm1"]);
    check("a.b.c c=1", &["no_mapped_value"]);
}

#[test]
fn wide_rows_and_measurements_of_their_own() {
    let map = "format = 'influx'\n\
               map = [ { dataset = 'traffic', column = 'segment_id', pointer = '/count/segment' },\n\
               { dataset = 'traffic', column = 'car', pointer = '/count/car', interval_s = 900 },\n\
               { dataset = 'traffic', column = 'bike', pointer = '/count/bike' } ]";
    let text = testing::decode(
        map,
        "",
        "count,node=x,segment=9000001463 car=12i,bike=3 1780315170000000000\n\
         other,node=x,segment=9000001463 car=12i\n\
         count,node=x car=1",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("traffic segment_id=9000001463") && lines[0].contains(" car=12"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("no_mapped_value: the source's `map` names nothing"),
        "{text}"
    );
    assert!(lines[2].starts_with("missing_field"), "{text}");
}

#[test]
fn bodies_that_hold_nothing() {
    let check = |body: &str, reason: &str| {
        let found = rejects(WEATHER, body);
        assert_eq!((found.len(), found[0].1), (1, reason), "{body:?}");
    };
    check("", "malformed");
    check("# only a comment", "no_observation");
    check("#\n \n\t# x\n", "no_observation");
    check("no line protocol", "malformed");
}

#[test]
fn wrong_maps_are_turned_away() {
    let check = |entry: &str, expect: &str| {
        let error = try_decoders(&format!("format = 'influx'\nmap = [ {entry} ]")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expect), "{message}");
    };
    let good = "{ dataset = 'heat', property = 'dew_point', pointer = '/m/a' }";
    check(
        &format!("{good}, {{ dataset = 'heat', property = 'dew_point', pointer = '/a/b/c' }}"),
        "map entry 2",
    );
    check(
        &format!(
            "{good}, {{ dataset = 'heat', property = 'dew_point', pointer = '/n/a', unit = 'hPa' }}"
        ),
        "map entry 2",
    );
    check(
        "{ dataset = 'traffic', column = 'car', field = 'car' }",
        "key column",
    );
}

/// How many lines a second one core decodes: printed, not judged. `cargo test --release … -- --ignored`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "it prints what it measures")]
fn speed() {
    use std::fmt::Write as _;
    let mut body = String::new();
    for line in 0..5_000_u64 {
        let _ = writeln!(
            body,
            "weather,station=s{},city=leuven temp={}.{},hum={}i,wind=3.25 {}",
            line % 500,
            line % 40,
            line % 10,
            line % 100,
            1_780_315_000_000_000_000 + line * 1_000_000
        );
    }
    let declared = decoders(WEATHER);
    let mut group = declared.group();
    let started = std::time::Instant::now();
    let mut lines = 0;
    while started.elapsed().as_secs() < 3 {
        declared.decode(0, &envelope("/write", body.as_bytes()), &mut group);
        assert_eq!(group.take().rejects, []);
        lines += 5_000;
    }
    println!(
        "{:.0} lines/s",
        f64::from(lines) / started.elapsed().as_secs_f64()
    );
}

#[test]
fn a_line_that_is_not_utf_8_takes_no_other_with_it() {
    let body = b"\n weather,station=a temp=1\nweather,station=z\xfcrich temp=2\nweather,station=c temp=3\n";
    let decoded = decoders(WEATHER).decode_body(&envelope("/write", body));
    expect![[r#"
        heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=1
        heat sensor_id=ns-c property=air_temperature time=2026-06-01T12:00:00Z value=3
        malformed: the line is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252
    "#]]
    .assert_eq(&render(&decoded));
    assert_eq!(decoded.rejects[0].item, Some(2));
}
