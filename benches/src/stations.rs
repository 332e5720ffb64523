//! The message of most benches.

/// Devices that take turns.
pub const DEVICES: u64 = 500;

/// Returns topic and body of message `number`: a weather station's two values with their time, about 100 bytes.
/// Times of one device rise by 100 ms from `start_ms` on, so that every message is new and ten million
/// of them stay within the hour that a source's clock may be ahead.
pub fn message(number: u64, start_ms: u64) -> (String, String) {
    let device = number % DEVICES;
    let ts = start_ms + number / DEVICES * 100;
    let temperature = (number * 7 % 400) as f64 / 10.0 - 5.0;
    let humidity = 30 + number % 60;
    let body = format!(
        "{{\"temperature\":{temperature:.1},\"humidity\":{humidity},\"battery\":91,\"linkquality\":120,\"ts\":{ts}}}"
    );
    (format!("bench/station-{device:03}"), body)
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}
