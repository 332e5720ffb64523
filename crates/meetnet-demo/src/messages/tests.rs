use serde_json::Value;

use super::testing::NOON_S;
use super::*;
use crate::city::City;
use crate::sensors::{Uplink, WeatherStation};
use crate::traffic::QUARTER_S;

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

fn stations(lora: bool) -> impl Iterator<Item = WeatherStation> {
    City::new(1)
        .stations
        .into_iter()
        .filter(move |s| matches!(s.uplink, Uplink::Lora { .. }) == lora)
}

#[test]
fn telraam_rows_have_every_column_of_the_api() {
    let city = City::new(1);
    for segment in &city.segments {
        let quarters = [NOON_S - QUARTER_S, NOON_S].map(|s| (s, segment.quarter(&city.sky(s))));
        let message = telraam_report(segment, &quarters);
        assert_eq!(message.topic, format!("telraam/{}/report", segment.id));
        let body = body(&message);
        assert_eq!(body["status_code"], 200);
        let rows = body["report"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            assert_eq!(row["segment_id"], segment.id);
            assert_eq!(row["interval"], "quarterly");
            assert_eq!(row.as_object().unwrap().len(), 25);
            let number = |name: &str| row[name].as_f64().unwrap();
            for mode in ["car", "heavy", "bike", "pedestrian"] {
                let sides = number(&format!("{mode}_lft")) + number(&format!("{mode}_rgt"));
                assert!((number(mode) - sides).abs() < 1e-6, "{row}");
            }
            assert_eq!(row["night"].is_null(), segment.hardware == Hardware::V1);
            assert_eq!(
                row["car_speed_hist_0to120plus"].as_array().unwrap().len(),
                25
            );
            let speeds = row["car_speed_hist_0to70plus"].as_array().unwrap();
            assert_eq!(speeds.len(), 8);
            let sum: f64 = speeds.iter().filter_map(Value::as_f64).sum();
            assert!(sum == 0.0 || (sum - 100.0).abs() < 0.05, "{sum}");
        }
        assert_eq!(rows[1]["date"], "2026-11-20T11:00:00.000Z");
    }
}

#[test]
fn an_airrohr_sends_strings_and_no_time() {
    let city = City::new(1);
    let sensor = &city.air_sensors[0];
    let reading = sensor.read(&city.sky(NOON_S));
    let message = airrohr(sensor, &reading, true);
    assert_eq!(message.topic, format!("airrohr/{}", sensor.chip_id));
    let body = body(&message);
    assert_eq!(body["esp8266id"], sensor.chip_id.as_str());
    let value = |body: &Value, name: &str| {
        let values = body["sensordatavalues"].as_array().unwrap();
        let entry = values.iter().find(|v| v["value_type"] == name).unwrap();
        entry["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(value(&body, "SDS_P1").parse::<f64>().unwrap(), reading.pm10);
    assert_eq!(
        value(&body, "SDS_P2").parse::<f64>().unwrap(),
        reading.pm2_5
    );
    assert_eq!(
        value(&body, "BME280_pressure").parse::<f64>().unwrap(),
        reading.pressure_pa
    );

    let without: Value = serde_json::from_slice(&airrohr(sensor, &reading, false).payload).unwrap();
    assert_eq!(value(&without, "BME280_temperature"), "");
    assert_eq!(value(&without, "SDS_P1"), value(&body, "SDS_P1"));
}

#[test]
fn an_uplink_carries_the_decoded_reading() {
    let city = City::new(1);
    for station in stations(true) {
        let Uplink::Lora { device_id, dev_eui } = &station.uplink else {
            unreachable!()
        };
        let reading = station.read(&city.sky(NOON_S));
        let mut frame = LoraFrame {
            application: TTS_APPLICATION,
            device_id,
            dev_eui,
            f_cnt: 17,
            second: NOON_S,
            decoded: true,
        };
        let message = tts_uplink(&frame, &reading);
        assert_eq!(
            message.topic,
            format!("v3/leuven@ttn/devices/{device_id}/up")
        );
        let whole = body(&message);
        assert_eq!(whole["end_device_ids"]["dev_eui"], dev_eui.as_str());
        assert_eq!(whole["received_at"], "2026-11-20T11:00:00.268430911Z");
        let uplink = &whole["uplink_message"];
        assert_eq!(uplink["f_cnt"], 17);
        assert_eq!(
            uplink["decoded_payload"]["temperature"],
            reading.temperature
        );
        assert_eq!(
            uplink["decoded_payload"]["rain_rate"].as_f64(),
            reading.rain_rate
        );

        (frame.f_cnt, frame.decoded) = (0, false);
        let bare = body(&tts_uplink(&frame, &reading));
        assert!(bare["uplink_message"].get("f_cnt").is_none());
        assert!(bare["uplink_message"].get("decoded_payload").is_none());
    }
}

#[test]
fn a_balcony_sends_its_own_time() {
    let city = City::new(1);
    let station = stations(false).next().unwrap();
    let reading = station.read(&city.sky(NOON_S));
    let message = zigbee("balkon-01", &reading, NOON_S * 1_000, true);
    assert_eq!(message.topic, "zigbee2mqtt/balkon-01");
    let whole = body(&message);
    assert_eq!(whole["ts"], NOON_S * 1_000);
    assert_eq!(whole["temperature"], reading.temperature);
    assert_eq!(whole["humidity"], reading.humidity);
    assert!(body(&zigbee("balkon-01", &reading, 0, false))["temperature"].is_null());
}

#[test]
fn numbers_are_whole_where_they_can_be() {
    let text = |value| serde_json::to_string(&Number(value)).unwrap();
    assert_eq!([text(0.0), text(3.0), text(2.5)], ["0", "3", "2.5"]);
}
