//! Keys whose values tell who or where somebody is, or open a door.

/// How far the value of a telling key reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value.
    Value,
    /// The rest of the line: `Authorization: Bearer …`.
    Header,
    /// One value, or a bracket without a sign before it: `POINT (…)`.
    Geometry,
}

/// Words that are telling as a whole key or as its last part (`gps_lat`, `devEui`, `api_key`).
const WORDS: &[&str] = &[
    "addr",
    "address",
    "apn",
    "auth",
    "bssid",
    "coordinates",
    "cookie",
    "credentials",
    "deveui",
    "email",
    "eui",
    "geometry",
    "geohash",
    "iccid",
    "imei",
    "imsi",
    "ip",
    "key",
    "lat",
    "latitude",
    "latlng",
    "latlon",
    "lng",
    "login",
    "lon",
    "long",
    "longitude",
    "mac",
    "mail",
    "msisdn",
    "pass",
    "passwd",
    "password",
    "phone",
    "pin",
    "polygon",
    "psk",
    "pwd",
    "secret",
    "serial",
    "ssid",
    "token",
    "user",
    "username",
];

/// Parts that are telling wherever they stand in a key, written without separators.
const PARTS: &[&str] = &[
    "accesstoken",
    "apikey",
    "appkey",
    "authoriz",
    "chipid",
    "credential",
    "devaddr",
    "deveui",
    "email",
    "esp32id",
    "esp8266id",
    "joineui",
    "keyid",
    "latitude",
    "longitude",
    "macaddr",
    "macid",
    "nwkskey",
    "passkey",
    "passw",
    "passphrase",
    "secret",
    "sessionkey",
    "serialn",
    "userid",
    "username",
    "xsensor",
    "xpin",
];

/// Returns the kind of a telling key, none for a harmless word.
pub(super) fn kind(key: &str) -> Option<Kind> {
    let key = key.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let flat: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if matches!(
        flat.as_str(),
        "authorization" | "proxyauthorization" | "cookie" | "setcookie"
    ) {
        return Some(Kind::Header);
    }
    if matches!(
        flat.as_str(),
        "point" | "linestring" | "multilinestring" | "polygon" | "multipolygon" | "multipoint"
    ) {
        return Some(Kind::Geometry);
    }
    let last = last_part(key).to_ascii_lowercase();
    let telling = WORDS.contains(&flat.as_str())
        || WORDS.contains(&last.as_str())
        || PARTS.iter().any(|part| flat.contains(part));
    telling.then_some(Kind::Value)
}

/// Returns the last part of `snake_case`, `kebab-case`, `dotted.case` or `camelCase`.
fn last_part(key: &str) -> &str {
    let bytes = key.as_bytes();
    let start = (1..bytes.len())
        .rev()
        .find(|&i| {
            !bytes[i - 1].is_ascii_alphanumeric()
                || (bytes[i - 1].is_ascii_lowercase() && bytes[i].is_ascii_uppercase())
        })
        .unwrap_or(0);
    // A boundary lies before an ASCII byte, or behind a byte that is not alphanumeric and may be part of a longer
    // character; then there is no such part.
    key.get(start..).unwrap_or("")
}

/// Returns true where positions come as `{"value_type": "GPS_lat", "value": "…"}`, in either order.
pub(super) fn holds_gps_values(text: &str) -> bool {
    text.as_bytes().windows(5).any(|window| {
        window.eq_ignore_ascii_case(b"gps_l") || window.eq_ignore_ascii_case(b"gps_h")
    })
}
