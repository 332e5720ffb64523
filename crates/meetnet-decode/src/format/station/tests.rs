use expect_test::{Expect, expect};

use crate::testing::{self, decoders, envelope, render, try_decoders};

const ECOWITT: &str = "format = 'ecowitt'\nkind = 'http'\nsensor_id = 'roof'";
const WUNDERGROUND: &str = "format = 'wunderground'\nkind = 'http'";

fn check(declaration: &str, form: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(declaration, "/data/report/", form));
}

/// The property and value of each row, and the reasons of rejects.
fn short(declaration: &str, form: &str) -> Vec<String> {
    let text = testing::decode(declaration, "", form);
    let part = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}=")).map(|(_, rest)| rest);
        rest.map(|rest| rest.split(' ').next().unwrap_or(rest).to_owned())
    };
    text.lines()
        .map(|line| match (part(line, "property"), part(line, "value")) {
            (Some(property), Some(value)) => format!("{property} {value}"),
            _ => line.split(':').next().unwrap_or(line).to_owned(),
        })
        .collect()
}

/// The time of the first row, or the reject.
fn time_of(declaration: &str, date: &str) -> String {
    let text = testing::decode(declaration, "", &format!("ID=X&dateutc={date}&tempf=50"));
    let line = text.lines().next().unwrap();
    match line.split_once(" time=") {
        Some((_, rest)) => rest.split(' ').next().unwrap().to_owned(),
        None => line.to_owned(),
    }
}

#[test]
fn an_ecowitt_report_becomes_rows_in_canonical_units() {
    check(
        ECOWITT,
        "PASSKEY=0123456789ABCDEF&stationtype=GW2000A_V3.1.5&runtime=1574073&dateutc=2026-06-01+11:59:30\
         &tempinf=71.78&humidityin=59&baromrelin=29.92&baromabsin=29.50&tempf=68.0&humidity=51&winddir=181\
         &windspeedmph=10&windgustmph=20&maxdailygust=30&solarradiation=530.62&uv=4&rainratein=0.1\
         &dailyrainin=0.5&totalrainin=48.8&bgt=86&wbgt=77&wh65batt=0&freq=868M&model=GW2000A&interval=16",
        expect![[r#"
            heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:59:30Z value=20
            heat sensor_id=ns-roof property=relative_humidity time=2026-06-01T11:59:30Z value=51
            heat sensor_id=ns-roof property=globe_temperature time=2026-06-01T11:59:30Z value=30
            heat sensor_id=ns-roof property=wbgt time=2026-06-01T11:59:30Z value=25
            heat sensor_id=ns-roof property=air_pressure time=2026-06-01T11:59:30Z value=998.984648901
            heat sensor_id=ns-roof property=sea_level_pressure time=2026-06-01T11:59:30Z value=1013.20748119
            heat sensor_id=ns-roof property=wind_speed time=2026-06-01T11:59:30Z value=4.4704
            heat sensor_id=ns-roof property=wind_gust time=2026-06-01T11:59:30Z value=8.9408
            heat sensor_id=ns-roof property=wind_direction time=2026-06-01T11:59:30Z value=181
            heat sensor_id=ns-roof property=rain_rate time=2026-06-01T11:59:30Z value=2.54
            heat sensor_id=ns-roof property=solar_irradiance time=2026-06-01T11:59:30Z value=530.62
            heat sensor_id=ns-roof property=uv_index time=2026-06-01T11:59:30Z value=4
        "#]],
    );
}

#[test]
fn a_weather_underground_upload_becomes_rows() {
    check(
        WUNDERGROUND,
        "ID=ILEUVE1&action=updateraw&dateutc=2026-06-01%2011%3A59%3A30&tempf=68.0&dewptf=50&humidity=51\
         &baromin=29.92&windspeedmph=10&windgustmph=20&winddir=269&rainin=0.1&dailyrainin=0.3\
         &solarradiation=732.04&UV=6&indoortempf=79.34&AqPM2.5=7.5&softwaretype=x&realtime=1&rtfreq=5",
        expect![[r#"
            air sensor_id=ns-ILEUVE1 property=pm2_5 time=2026-06-01T11:59:30Z value=7.5
            heat sensor_id=ns-ILEUVE1 property=air_temperature time=2026-06-01T11:59:30Z value=20
            heat sensor_id=ns-ILEUVE1 property=relative_humidity time=2026-06-01T11:59:30Z value=51
            heat sensor_id=ns-ILEUVE1 property=dew_point time=2026-06-01T11:59:30Z value=10
            heat sensor_id=ns-ILEUVE1 property=sea_level_pressure time=2026-06-01T11:59:30Z value=1013.20748119
            heat sensor_id=ns-ILEUVE1 property=wind_speed time=2026-06-01T11:59:30Z value=4.4704
            heat sensor_id=ns-ILEUVE1 property=wind_gust time=2026-06-01T11:59:30Z value=8.9408
            heat sensor_id=ns-ILEUVE1 property=wind_direction time=2026-06-01T11:59:30Z value=269
            heat sensor_id=ns-ILEUVE1 property=rain_rate time=2026-06-01T11:59:30Z value=2.54
            heat sensor_id=ns-ILEUVE1 property=solar_irradiance time=2026-06-01T11:59:30Z value=732.04
            heat sensor_id=ns-ILEUVE1 property=uv_index time=2026-06-01T11:59:30Z value=6
        "#]],
    );
}

#[test]
fn every_known_field_is_its_property() {
    let check = |declaration: &str, field: &str, expect: &str| {
        let form = format!("ID=X&{field}");
        assert_eq!(short(declaration, &form), [expect], "{field}");
    };
    check(ECOWITT, "tempf=-40", "air_temperature -40");
    check(ECOWITT, "humidity=51", "relative_humidity 51");
    check(ECOWITT, "bgt=50", "globe_temperature 10");
    check(ECOWITT, "wbgt=50", "wbgt 10");
    check(ECOWITT, "baromabsin=10", "air_pressure 338.638864034");
    check(ECOWITT, "baromrelin=10", "sea_level_pressure 338.638864034");
    check(ECOWITT, "windspeedmph=1", "wind_speed 0.44704");
    check(ECOWITT, "windgustmph=1", "wind_gust 0.44704");
    check(ECOWITT, "winddir=359", "wind_direction 359");
    check(ECOWITT, "rainratein=1", "rain_rate 25.4");
    check(ECOWITT, "rrain_piezo=1", "rain_rate 25.4");
    check(ECOWITT, "rainratein=1&rrain_piezo=2", "rain_rate 25.4");
    check(ECOWITT, "solarradiation=0.00", "solar_irradiance 0");
    check(ECOWITT, "uv=0", "uv_index 0");
    check(WUNDERGROUND, "dewptf=32", "dew_point 0");
    check(WUNDERGROUND, "absbaromin=10", "air_pressure 338.638864034");
    check(WUNDERGROUND, "AqPM10=3", "pm10 3");
    // HP1001: metric names, metric values.
    check(WUNDERGROUND, "outtemp=1.4", "air_temperature 1.4");
    check(WUNDERGROUND, "outhumi=98", "relative_humidity 98");
    check(WUNDERGROUND, "dewpoint=1.1", "dew_point 1.1");
    check(WUNDERGROUND, "absbaro=1009.5", "air_pressure 1009.5");
    check(WUNDERGROUND, "relbaro=1033.4", "sea_level_pressure 1033.4");
    check(WUNDERGROUND, "windspeed=3.6", "wind_speed 1");
    check(WUNDERGROUND, "windgust=7.2", "wind_gust 2");
    check(WUNDERGROUND, "rainrate=1.5", "rain_rate 1.5");
}

#[test]
fn what_stations_send_and_what_becomes_of_it() {
    let check = |declaration: &str, form: &str, expect: &[&str]| {
        assert_eq!(short(declaration, form), expect, "{form}");
    };
    // A sensor that is not there: no field, an empty one, dashes, a word.
    check(ECOWITT, "tempf=50&humidity=", &["air_temperature 10"]);
    check(
        ECOWITT,
        "tempf=50&humidity=--",
        &["air_temperature 10", "wrong_type"],
    );
    check(
        ECOWITT,
        "tempf=50&humidity=null",
        &["air_temperature 10", "wrong_type"],
    );
    check(ECOWITT, "tempf=50&humidity=NaN", &["air_temperature 10"]);
    check(
        ECOWITT,
        "tempf=inf&humidity=1",
        &["relative_humidity 1", "wrong_type"],
    );
    check(
        ECOWITT,
        "lightning=&lightning_time=&leak_ch2=1",
        &["no_mapped_value"],
    );
    // Numbers are numbers, however they are encoded; of a repeated field the last counts.
    check(ECOWITT, "tempf=%2D40", &["air_temperature -40"]);
    check(ECOWITT, "tempf= 50 ", &["air_temperature 10"]);
    check(ECOWITT, "tempf=32&tempf=50", &["air_temperature 10"]);
    check(ECOWITT, "tempf=50\r\n", &["air_temperature 10"]);
    check(ECOWITT, "tempf=5%", &["wrong_type"]);
    // -9999 is no sensor; then nobody heard the rain gauge either, and its 0.00 is no drought.
    check(
        WUNDERGROUND,
        "ID=X&tempf=-9999&humidity=-9999&rainin=0.00&baromin=10",
        &["sea_level_pressure 338.638864034"],
    );
    check(
        WUNDERGROUND,
        "ID=X&tempf=-9999.0&rainin=0.00",
        &["no_mapped_value"],
    );
    check(
        WUNDERGROUND,
        "ID=X&outtemp=-9999&rainrate=0.0",
        &["no_mapped_value"],
    );
    check(
        WUNDERGROUND,
        "ID=X&tempf=50&humidity=-9999&rainin=0.00",
        &["air_temperature 10", "rain_rate 0"],
    );
    check(ECOWITT, "tempf=-9999", &["air_temperature -5572.777777778"]);
    // The UV of an HP1001 is an irradiance.
    check(
        WUNDERGROUND,
        "ID=X&outtemp=1.4&UV=38",
        &["air_temperature 1.4"],
    );
    check(
        WUNDERGROUND,
        "ID=X&light=31892&UV=919",
        &["no_mapped_value"],
    );
    check(
        WUNDERGROUND,
        "ID=X&tempf=50&UV=3",
        &["air_temperature 10", "uv_index 3"],
    );
    // The names of Leuven.cool's raw set.
    check(
        WUNDERGROUND,
        "ID=LC-001&DATEUTC=2026-06-01 11:59:44&TEMPF=50&HUMIDITY=80&SOLARRADIATION=1.5&RAININ=0.0",
        &[
            "air_temperature 10",
            "relative_humidity 80",
            "rain_rate 0",
            "solar_irradiance 1.5",
        ],
    );
    // Sums since midnight or since the station was set up are nobody's rain in an interval.
    check(
        WUNDERGROUND,
        "ID=X&dailyrainin=1&yearlyrainin=20",
        &["no_mapped_value"],
    );
    check(
        ECOWITT,
        "hourlyrainin=1&dailyrainin=1&totalrainin=20&drain_piezo=1",
        &["no_mapped_value"],
    );
    check(ECOWITT, "no form at all", &["unexpected_shape"]);
    check(ECOWITT, "{\"tempf\":50}", &["unexpected_shape"]);
}

#[test]
fn dates_as_stations_write_them() {
    let check =
        |date: &str, expect: &str| assert_eq!(time_of(WUNDERGROUND, date), expect, "{date}");
    check("2026-06-01+09:02:05", "2026-06-01T09:02:05Z");
    check("2026-06-01%2009:02:05", "2026-06-01T09:02:05Z");
    check("2026-06-01 09:02:05", "2026-06-01T09:02:05Z");
    check("2026-06-01T09:02:05Z", "2026-06-01T09:02:05Z");
    check("2026-6-1%209:2:5", "2026-06-01T09:02:05Z");
    check("2026-06-01+09:+02:+05", "2026-06-01T09:02:05Z");
    check("2026-06-01 9: 2: 5", "2026-06-01T09:02:05Z");
    check("now", "2026-06-01T12:00:00Z");
    check("NOW", "2026-06-01T12:00:00Z");
    check("", "2026-06-01T12:00:00Z");
    for wrong in [
        "yesterday",
        "2026-06-31 09:02:05",
        "2026-06-01 25:02:05",
        "26-6-1 9:2:5",
    ] {
        let reject = time_of(WUNDERGROUND, wrong);
        assert!(
            reject.starts_with("bad_time: the time at `dateutc`"),
            "{wrong}: {reject}"
        );
    }
    // A clock that was never set, and one that shows local time.
    assert!(time_of(WUNDERGROUND, "2000-01-01 00:00:10").starts_with("bad_time"));
    assert!(time_of(WUNDERGROUND, "2026-06-01 14:00:00").starts_with("time_out_of_window"));
    let local = "format = 'wunderground'\n\
                 time = { field = 'dateutc', format = 'rfc3339', zone = 'Europe/Brussels' }";
    assert_eq!(
        time_of(local, "2026-06-01 14:00:00"),
        "2026-06-01T12:00:00Z"
    );
}

#[test]
fn metric_values_under_imperial_names_are_declared() {
    let form = "dateutc=2026-06-01+11:59:30&tempf=-4.4&baromrelin=837.793&baromabsin=837.793\
                &windspeedmph=36&windgustmph=1.8&rainratein=2.5&humidity=74";
    assert_eq!(
        short(&format!("{ECOWITT}\nunits = 'metric'"), form),
        [
            "air_temperature -4.4",
            "relative_humidity 74",
            "air_pressure 837.793",
            "sea_level_pressure 837.793",
            "wind_speed 10",
            "wind_gust 0.5",
            "rain_rate 2.5",
        ]
    );
    // One field alone is the map's.
    let mapped = format!(
        "{ECOWITT}\nmap = [ {{ dataset = 'heat', property = 'air_temperature', field = 'TEMPF', unit = 'Cel' }} ]"
    );
    assert_eq!(
        short(&mapped, "tempf=-4.4&windspeedmph=10"),
        ["air_temperature -4.4", "wind_speed 4.4704"]
    );
    assert_eq!(short(&mapped, "tempf=--"), ["wrong_type"]);
}

#[test]
fn a_map_adds_fields_and_comes_first() {
    let mapped = format!(
        "{ECOWITT}\nmap = [ {{ dataset = 'air', property = 'pm2_5', field = 'pm25_ch1', unit = 'ug/m3' }},\n\
         {{ dataset = 'heat', property = 'air_temperature', pointer = '/temp1f', unit = '[degF]' }},\n\
         {{ dataset = 'heat', property = 'uv_index', field = 'UVI' }} ]"
    );
    assert_eq!(
        short(&mapped, "pm25_ch1=7.0&temp1f=50&tempf=59&uv=2"),
        ["pm2_5 7", "air_temperature 10", "uv_index 2"]
    );
    assert_eq!(short(&mapped, "tempf=59"), ["air_temperature 15"]);
    let uv = "format = 'wunderground'\nmap = [ { dataset = 'heat', property = 'uv_index', field = 'UV' } ]";
    assert_eq!(short(uv, "ID=X&light=1&UV=38"), ["uv_index 38"]);
}

#[test]
fn the_station_is_who_the_key_says_and_the_key_stays_here() {
    let declared = decoders("format = 'ecowitt'");
    let form = "PASSKEY=0123456789ABCDEF0123456789ABCDEF&tempf=50";
    let over_mqtt = render(&declared.decode_body(&envelope("ecowitt/1", form.as_bytes())));
    assert!(over_mqtt.starts_with("heat sensor_id=ns-"), "{over_mqtt}");
    assert!(!over_mqtt.contains("0123456789"), "{over_mqtt}");
    let id = over_mqtt
        .split("ns-")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(id.len(), 16);

    // The listener's pseudonym is the same, whatever the body says.
    let pseudonym = testing::key().hardware_id("passkey", "0123456789abcdef0123456789abcdef");
    let meta = [("station".into(), pseudonym.as_str().into())];
    let mut pushed = envelope("/data/report/", b"tempf=50");
    pushed.meta = &meta;
    assert_eq!(render(&declared.decode_body(&pushed)), over_mqtt);
    assert_eq!(id, pseudonym);

    // Ambient consoles say MAC instead.
    let ambient = testing::decode("format = 'ecowitt'", "", "MAC=00:0E:C6:00:00:01&tempf=50");
    assert!(
        ambient.contains("sensor_id=ns-") && !ambient.contains("0E"),
        "{ambient}"
    );
    // Rejects repeat no key.
    let reject = testing::decoders("format = 'ecowitt'")
        .decode_body(&envelope("", b"PASSKEY=0123456789ABCDEF&tempf=x"));
    assert!(
        !reject.rejects[0].excerpt.contains("0123"),
        "{:?}",
        reject.rejects
    );
    check(
        "format = 'ecowitt'",
        "tempf=50",
        expect![[r#"
            missing_field: the message has no PASSKEY, so nobody knows which station it is from; declare `sensor_id`
        "#]],
    );
    check(
        "format = 'wunderground'",
        "ID=&tempf=50",
        expect![[r#"
            missing_field: the message has no ID, so nobody knows which station it is from; declare `sensor_id`
        "#]],
    );
}

#[test]
fn a_bridge_that_calls_itself_by_its_mac_address_gets_a_pseudonym() {
    let sensor = |id: &str| {
        let text = testing::decode(WUNDERGROUND, "", &format!("dateutc=now&{id}&tempf=50"));
        let rest = text.strip_prefix("heat sensor_id=ns-").unwrap().to_owned();
        rest.split(' ').next().unwrap().to_owned()
    };
    let pseudonym = testing::key().hardware_id("device", "24c86e000001");
    for id in [
        "id=24C86E000001",
        "ID=24c86e000001",
        "id=24:C8:6E:00:00:01",
        "id=24-c8-6e-00-00-01",
        "id=24%3AC8%3A6E%3A00%3A00%3A01",
    ] {
        assert_eq!(sensor(id), pseudonym, "{id}");
    }
    for id in ["ILEUVE1", "KCAFFEE00001", "24C86E00000", "24C86E0000011"] {
        assert_eq!(sensor(&format!("ID={id}")), id);
    }
    // Behind the ID that its owner was given, it says nothing.
    assert_eq!(sensor("ID=ILEUVE1&realtime=1&id=24C86E000001"), "ILEUVE1");
    assert_eq!(sensor("ID=&id=24C86E000001"), pseudonym);
}

#[test]
fn a_file_of_messages_has_one_a_line() {
    let file = "ID=A&dateutc=2026-06-01 11:00:00&tempf=50\r\n\nno form\nID=B&dateutc=2026-06-01 11:00:16&tempf=59\n";
    check(
        WUNDERGROUND,
        file,
        expect![[r#"
            heat sensor_id=ns-A property=air_temperature time=2026-06-01T11:00:00Z value=10
            heat sensor_id=ns-B property=air_temperature time=2026-06-01T11:00:16Z value=15
            unexpected_shape: no form fields: a station sends `name=value` pairs with `&` between them
        "#]],
    );
    let decoded = decoders(WUNDERGROUND).decode_body(&envelope("", file.as_bytes()));
    assert_eq!(decoded.rejects[0].item, Some(2));
}

#[test]
fn wrong_maps_are_turned_away() {
    let check = |entry: &str, expect: &str| {
        let error = try_decoders(&format!("{ECOWITT}\nmap = [ {{ {entry} }} ]")).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(
        "dataset = 'heat', property = 'air_temperature', pointer = '/a/b'",
        "map entry 1",
    );
    check(
        "dataset = 'heat', property = 'air_temperature', field = 'tempf', unit = 'hPa'",
        "cannot become",
    );
    check(
        "dataset = 'heat', property = 'nothing', field = 'x'",
        "no property",
    );
}
