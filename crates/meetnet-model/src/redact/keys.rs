//! Keys whose values tell who or where somebody is, or open a door.

use super::PersonalKind;

/// How far the value of a telling key reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// One value.
    Value,
    /// The rest of the line: `Authorization: Bearer …`.
    Header,
    /// One value, or a bracket without a sign before it: `POINT (…)`.
    Geometry,
}

/// What a telling key says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) reach: Reach,
    /// What a value that looks like it is; none where the key alone proves nothing: excerpts leave such values out all
    /// the same, a search for leaks does not count them.
    pub(super) kind: Option<PersonalKind>,
}

const CHIP: Option<PersonalKind> = Some(PersonalKind::ChipId);
const EUI: Option<PersonalKind> = Some(PersonalKind::Eui);
const MAC: Option<PersonalKind> = Some(PersonalKind::Mac);
const PASSKEY: Option<PersonalKind> = Some(PersonalKind::Passkey);
const PLACE: Option<PersonalKind> = Some(PersonalKind::Coordinates);
const TOKEN: Option<PersonalKind> = Some(PersonalKind::Token);

/// Words that are telling as a whole key or as its last part (`gps_lat`, `devEui`, `api_key`).
const WORDS: &[(&str, Option<PersonalKind>)] = &[
    ("addr", None),
    ("address", None),
    ("apn", None),
    ("auth", None),
    ("bssid", MAC),
    ("coordinates", PLACE),
    ("cookie", None),
    ("credentials", None),
    ("deveui", EUI),
    ("email", None),
    ("eui", EUI),
    ("geometry", None),
    ("geohash", PLACE),
    ("iccid", None),
    ("imei", None),
    ("imsi", None),
    ("ip", None),
    ("key", None),
    ("lat", PLACE),
    ("latitude", PLACE),
    ("latlng", None),
    ("latlon", None),
    ("lng", PLACE),
    ("login", None),
    ("lon", PLACE),
    ("long", None),
    ("longitude", PLACE),
    ("mac", MAC),
    ("mail", None),
    ("msisdn", None),
    ("pass", None),
    ("passwd", TOKEN),
    ("password", TOKEN),
    ("phone", None),
    ("pin", None),
    ("polygon", None),
    ("psk", TOKEN),
    ("pwd", TOKEN),
    ("secret", TOKEN),
    ("serial", None),
    ("ssid", None),
    ("token", TOKEN),
    ("user", None),
    ("username", None),
];

/// Parts that are telling wherever they stand in a key, written without separators.
const PARTS: &[(&str, Option<PersonalKind>)] = &[
    ("accesstoken", TOKEN),
    ("apikey", TOKEN),
    ("appkey", TOKEN),
    ("authoriz", None),
    ("chipid", CHIP),
    ("credential", None),
    ("devaddr", None),
    ("deveui", EUI),
    ("email", None),
    ("esp32id", CHIP),
    ("esp8266id", CHIP),
    ("joineui", EUI),
    ("keyid", None),
    ("latitude", PLACE),
    ("longitude", PLACE),
    ("macaddr", MAC),
    ("macid", MAC),
    ("nwkskey", TOKEN),
    ("passkey", PASSKEY),
    ("passw", TOKEN),
    ("passphrase", TOKEN),
    ("secret", None),
    ("sessionkey", TOKEN),
    ("serialn", None),
    ("userid", None),
    ("username", None),
    ("xsensor", None),
    ("xpin", None),
];

/// Returns what a telling key says, none for a harmless word.
pub(super) fn telling(key: &str) -> Option<Telling> {
    let key = key.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let flat: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let of = |reach, kind| Some(Telling { reach, kind });
    match flat.as_str() {
        "authorization" | "proxyauthorization" | "cookie" | "setcookie" => {
            return of(Reach::Header, TOKEN);
        }
        "point" => return of(Reach::Geometry, PLACE),
        // Lines and areas are public roads and districts.
        "linestring" | "multilinestring" | "polygon" | "multipolygon" | "multipoint" => {
            return of(Reach::Geometry, None);
        }
        _ => {}
    }
    let last = last_part(key).to_ascii_lowercase();
    let words = WORDS
        .iter()
        .filter(|(word, _)| *word == flat || *word == last);
    let parts = PARTS.iter().filter(|(part, _)| flat.contains(part));
    // A key that tells twice (`api_key`: `key`, `apikey`) is what the more telling of the two says.
    words
        .chain(parts)
        .map(|(_, kind)| *kind)
        .max_by_key(Option::is_some)
        .and_then(|kind| of(Reach::Value, kind))
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
