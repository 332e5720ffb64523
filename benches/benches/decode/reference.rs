//! The reference: serde_json into structs that borrow their texts and have what the decoder of the format wants. What it
//! does not want is skipped, by the decoder and here.
#![allow(dead_code, reason = "what is parsed is not read")]

use std::hint::black_box;

use serde::Deserialize;
use serde_json::Result;

/// Parses a body as `T`, and keeps the compiler from leaving anything of it out.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<()> {
    black_box(serde_json::from_slice::<T>(body)?);
    Ok(())
}

pub(crate) fn telraam(body: &[u8]) -> Result<()> {
    parse::<TelraamBody<'_>>(body)
}

#[derive(Deserialize)]
struct TelraamBody<'a> {
    #[serde(borrow)]
    report: Vec<TelraamRow<'a>>,
}

#[derive(Deserialize)]
struct TelraamRow<'a> {
    segment_id: i64,
    date: &'a str,
    interval: &'a str,
    uptime: f64,
    heavy: f64,
    car: f64,
    bike: f64,
    pedestrian: f64,
    night: Option<f64>,
    heavy_lft: f64,
    heavy_rgt: f64,
    car_lft: f64,
    car_rgt: f64,
    bike_lft: f64,
    bike_rgt: f64,
    pedestrian_lft: f64,
    pedestrian_rgt: f64,
    night_lft: Option<f64>,
    night_rgt: Option<f64>,
    direction: i64,
    car_speed_hist_0to70plus: Vec<f64>,
    car_speed_hist_0to120plus: Vec<f64>,
    v85: Option<f64>,
}

pub(crate) fn airrohr(body: &[u8]) -> Result<()> {
    parse::<AirrohrBody<'_>>(body)
}

#[derive(Deserialize)]
struct AirrohrBody<'a> {
    esp8266id: &'a str,
    #[serde(borrow)]
    sensordatavalues: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
struct Pair<'a> {
    value_type: &'a str,
    value: &'a str,
}

pub(crate) fn tts(body: &[u8]) -> Result<()> {
    parse::<TtsBody<'_>>(body)
}

#[derive(Deserialize)]
struct TtsBody<'a> {
    #[serde(borrow)]
    end_device_ids: TtsDevice<'a>,
    received_at: &'a str,
    #[serde(borrow)]
    uplink_message: TtsUplink<'a>,
}

#[derive(Deserialize)]
struct TtsDevice<'a> {
    device_id: &'a str,
    dev_eui: &'a str,
}

#[derive(Deserialize)]
struct TtsUplink<'a> {
    received_at: &'a str,
    f_port: i64,
    frm_payload: &'a str,
    decoded_payload: TtsPayload,
}

#[derive(Deserialize)]
struct TtsPayload {
    temperature: f64,
    humidity: f64,
    wind_speed: Option<f64>,
    rain_rate: Option<f64>,
}

pub(crate) fn json(body: &[u8]) -> Result<()> {
    parse::<Station>(body)
}

#[derive(Deserialize)]
struct Station {
    temperature: f64,
    humidity: f64,
    ts: u64,
}

pub(crate) fn ndjson(body: &[u8]) -> Result<()> {
    let lines = body.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        parse::<NamedStation<'_>>(line)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct NamedStation<'a> {
    id: &'a str,
    temperature: f64,
    humidity: f64,
    ts: u64,
}

pub(crate) fn chirpstack(body: &[u8]) -> Result<()> {
    parse::<ChirpstackBody<'_>>(body)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChirpstackBody<'a> {
    time: &'a str,
    #[serde(borrow)]
    device_info: ChirpstackDevice<'a>,
    f_cnt: i64,
    data: &'a str,
    object: ChirpstackObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChirpstackDevice<'a> {
    dev_eui: &'a str,
}

#[derive(Deserialize)]
struct ChirpstackObject {
    temperature: f64,
    env: ChirpstackEnv,
}

#[derive(Deserialize)]
struct ChirpstackEnv {
    humidity: f64,
}

pub(crate) fn sensorthings(body: &[u8]) -> Result<()> {
    parse::<Vec<DataArray<'_>>>(body)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataArray<'a> {
    #[serde(rename = "Datastream")]
    datastream: Reference,
    #[serde(borrow)]
    components: Vec<&'a str>,
    #[serde(borrow)]
    data_array: Vec<(&'a str, f64)>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "@iot.id")]
    id: i64,
}

pub(crate) fn ngsi(body: &[u8]) -> Result<()> {
    parse::<Notification<'_>>(body)
}

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow)]
    data: Vec<Entity<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    entity_type: &'a str,
    #[serde(borrow)]
    date_observed: Attribute<'a, &'a str>,
    #[serde(borrow)]
    no2: Attribute<'a, f64>,
    #[serde(borrow)]
    pm10: Attribute<'a, f64>,
    #[serde(borrow)]
    temperature: Attribute<'a, f64>,
    #[serde(borrow)]
    relative_humidity: Attribute<'a, f64>,
}

#[derive(Deserialize)]
struct Attribute<'a, T> {
    value: T,
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    unit_code: Option<Code<'a>>,
}

#[derive(Deserialize)]
struct Code<'a> {
    value: &'a str,
}

pub(crate) fn senml(body: &[u8]) -> Result<()> {
    parse::<Vec<Record<'_>>>(body)
}

#[derive(Deserialize)]
struct Record<'a> {
    bn: Option<&'a str>,
    bt: Option<f64>,
    bu: Option<&'a str>,
    n: &'a str,
    u: Option<&'a str>,
    v: f64,
    t: Option<f64>,
}

pub(crate) fn sensor_community(body: &[u8]) -> Result<()> {
    parse::<Vec<CommunityReading<'_>>>(body)
}

#[derive(Deserialize)]
struct CommunityReading<'a> {
    timestamp: &'a str,
    #[serde(borrow)]
    sensor: CommunitySensor<'a>,
    #[serde(borrow)]
    sensordatavalues: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
struct CommunitySensor<'a> {
    id: i64,
    #[serde(borrow)]
    sensor_type: CommunityType<'a>,
}

#[derive(Deserialize)]
struct CommunityType<'a> {
    name: &'a str,
}

pub(crate) fn ircel(body: &[u8]) -> Result<()> {
    parse::<IrcelBody>(body)
}

#[derive(Deserialize)]
struct IrcelBody {
    values: Vec<IrcelPoint>,
}

#[derive(Deserialize)]
struct IrcelPoint {
    timestamp: i64,
    value: f64,
}

pub(crate) fn opensensemap(body: &[u8]) -> Result<()> {
    parse::<Vec<BoxPoint<'_>>>(body)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoxPoint<'a> {
    created_at: &'a str,
    value: &'a str,
}
