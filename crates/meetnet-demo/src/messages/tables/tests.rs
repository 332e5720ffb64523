use super::*;
use crate::messages::testing::{NOON_S, reading};

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

/// Two readings, a second apart.
fn readings() -> [(i64, WeatherReading); 2] {
    [
        (NOON_S, reading(21.5, 48.0)),
        (NOON_S + 1, reading(-3.0, 90.0)),
    ]
}

#[test]
fn a_table_has_a_header_and_a_row_per_reading() {
    assert_eq!(
        text(csv("roof", &readings())),
        "station,time,temp,rh\nroof,2026-11-20T11:00:00Z,21.5,48\nroof,2026-11-20T11:00:01Z,-3,90"
    );
}

#[test]
fn ndjson_has_a_document_per_line() {
    assert_eq!(
        text(ndjson("roof", &readings())),
        "{\"id\":\"roof\",\"at\":1795172400,\"t\":21.5,\"rh\":48.0}\n\
         {\"id\":\"roof\",\"at\":1795172401,\"t\":-3.0,\"rh\":90.0}"
    );
}

#[test]
fn line_protocol_has_times_in_the_precision_asked_for() {
    assert_eq!(
        text(line_protocol("roof", &readings(), 1_000)),
        "weather,station=roof temp=21.5,hum=48 1795172400000\n\
         weather,station=roof temp=-3,hum=90 1795172401000"
    );
    assert_eq!(
        text(line_protocol("roof", &readings()[..1], 1_000_000_000)),
        "weather,station=roof temp=21.5,hum=48 1795172400000000000"
    );
}
