//! Texts that look like hardware ids, addresses, credentials or places, whatever key they stand behind.
//!
//! Each look is one function of the table [`SHAPES`]. Excerpts leave out whatever fits; what is searched for leaks counts
//! certain looks only. Every function reads a bounded part of the text.

use std::ops::Range;

use h3o::CellIndex;

use super::{MARK, PersonalKind, is_word};
use crate::privacy::{lat_is_exact, lon_is_exact};

/// Something that looks like personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) kind: PersonalKind,
    /// Where it stands, from the place that was looked at.
    pub(super) range: Range<usize>,
    /// False where it may well be something else: a time in microseconds, a UUID, one of our own pseudonyms.
    pub(super) is_certain: bool,
}

/// The looks, given what stands before the place and from it on. The first that fits counts.
const SHAPES: [fn(&str, &str) -> Option<Look>; 8] = [
    chip_id,
    url_login,
    token,
    uuid,
    grouped_hex,
    bare_hex,
    email,
    coordinates,
];

/// Prefixes of airRohr's sensor names; the chip id follows.
const CHIP_PREFIXES: [&str; 2] = ["esp8266-", "esp32-"];
/// Separators between the groups of a MAC address or EUI, plain and percent-encoded.
const SEPARATORS: [&str; 5] = [":", "-", ".", "%3A", "%3a"];
/// Groups that are counted; more than eight are no id but a fingerprint or a dump.
const GROUPS_MAX: usize = 64;
/// Longest part before the `@` of an address (RFC 5321).
const MAIL_NAME_MAX: usize = 64;
/// Longest domain (RFC 1035).
const DOMAIN_MAX: usize = 253;
/// What stands before the host of a URL, and before user and password.
const AUTHORITY: &str = "://";
/// Longest user and password in a URL that are looked for.
const LOGIN_MAX: usize = 512;
/// Longest token.
const TOKEN_MAX: usize = 4_096;
/// First 24 bits of ids that makers of LoRaWAN, Zigbee and Wi-Fi devices give (IEEE registry), lower case. An HMAC begins
/// with one of them once in half a million.
const MAKERS: [&str; 24] = [
    "0004a3", "00124b", "00137a", "00158d", "000db5", "0080e1", "009569", "04cf8c", "240ac4",
    "24e124", "24a160", "3c6105", "54ef44", "58a0cb", "5ccf7f", "60019f", "647fda", "70b3d5",
    "8cf957", "a4cf12", "a81758", "a84041", "ac1f09", "ecfabc",
];
/// What the log of a table has before the hash of a file that was imported.
const IMPORT: &str = "meetnet/import/";
/// Blanks and commas between two things that belong together.
const GAP_BYTES_MAX: usize = 64;
/// Longest word that may hang on a number.
const LABEL_BYTES_MAX: usize = 64;
/// Decimal places that make two numbers side by side a place.
const PLACES_MIN: usize = 4;
/// Where sensors of a European city stand; pairs elsewhere may be two measurements.
const EUROPE_LAT: Range<f64> = 34.0..72.0;
const EUROPE_LON: Range<f64> = -25.0..45.0;

/// Returns true where [`look`] may find something: at a word, and between the scheme and the host of a URL.
pub(super) fn may_begin(text: &str) -> bool {
    text.starts_with(is_word) || text.starts_with(AUTHORITY)
}

/// Returns what `text` begins with, none where that is harmless. `text` follows `before`, and [`may_begin`].
pub(super) fn look(before: &str, text: &str) -> Option<Look> {
    SHAPES.iter().find_map(|shape| shape(before, text))
}

/// Returns how much of a harmless word can be taken over at once: up to the next place where an id might begin.
pub(super) fn harmless_length(word: &str) -> usize {
    let run = alphanumeric(word);
    if run > 0 {
        return run;
    }
    word.chars().next().map_or(0, char::len_utf8)
}

/// Returns the number of an id that looks like a pseudonym of ours at the end of a text: `namespace-` and 16 lower-case
/// hex digits. A DevEUI that was not made one looks the same.
pub(super) fn pseudonym_at_end(text: &str) -> Option<u64> {
    let start = text.len().checked_sub(16)?;
    let id = text.get(start..)?;
    is_pseudonym(&text[..start], id).then(|| u64::from_str_radix(id, 16).ok())?
}

/// Returns true for 16 lower-case hex digits behind a namespace and a hyphen.
fn is_pseudonym(before: &str, digits: &str) -> bool {
    let mut back = before.chars().rev();
    let has_namespace = back.next() == Some('-')
        && back.next().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | MARK))
        // `eui-70b3…` is how The Things Stack writes an EUI.
        && !before.ends_with("eui-");
    has_namespace && digits.len() == 16 && digits.bytes().all(is_lower_hex)
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn alphanumeric(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn hex(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_hexdigit).count()
}

/// `text` up to `bytes_max`, cut between characters.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn has_letter(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_alphabetic())
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

fn chip_id(_: &str, text: &str) -> Option<Look> {
    CHIP_PREFIXES.iter().find_map(|prefix| {
        let start = text.get(..prefix.len())?;
        let id = alphanumeric(&text[prefix.len()..]);
        let digits = &text[prefix.len()..prefix.len() + id];
        (start.eq_ignore_ascii_case(prefix) && id > 0).then(|| Look {
            kind: PersonalKind::ChipId,
            range: 0..prefix.len() + id,
            // A source may be called `esp8266`: then a pseudonym follows, or a word.
            is_certain: (5..=12).contains(&id) && has_digit(digits) && hex(digits) == id,
        })
    })
}

/// The user and password in `scheme://user:password@host`, from the colon on: what stands as the scheme may be an id,
/// and is looked at for itself.
fn url_login(_: &str, text: &str) -> Option<Look> {
    let rest = head(text.strip_prefix(AUTHORITY)?, LOGIN_MAX);
    let authority = rest
        .find(|c: char| c.is_whitespace() || c.is_control() || "/?#\"'<>\\,".contains(c))
        .unwrap_or(rest.len());
    let login = rest[..authority].rfind('@')?;
    (login > 0 && !rest[..login].starts_with(MARK)).then_some(Look {
        kind: PersonalKind::BasicAuth,
        range: AUTHORITY.len()..AUTHORITY.len() + login,
        is_certain: true,
    })
}

/// JSON Web Tokens, keys of The Things Stack and of AWS, and what follows `Bearer` and `Basic`.
fn token(_: &str, text: &str) -> Option<Look> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '+' | '/');
    let run = |text: &str| {
        let text = head(text, TOKEN_MAX);
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    };
    let found = |range| Look {
        kind: PersonalKind::Token,
        range,
        is_certain: true,
    };
    for scheme in ["bearer", "basic"] {
        let starts = text.get(..scheme.len());
        if starts.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && let Some(gap) = blank_length(&text[scheme.len()..])
        {
            let start = scheme.len() + gap;
            let rest = head(&text[start..], TOKEN_MAX);
            let length = rest.find(|c| !is_part(c) && c != '.').unwrap_or(rest.len());
            let value = &rest[..length];
            // A sentence about tokens has words here: one capital at most, in front.
            let is_mixed = value.bytes().skip(1).any(|b| b.is_ascii_uppercase());
            let is_token = length >= 12 && (has_digit(value) || is_mixed || value.ends_with('='));
            return is_token.then(|| found(start..start + length));
        }
    }
    if text.starts_with("eyJ") || text.starts_with("NNSXS.") {
        let mut end = 0;
        let mut parts = 0;
        loop {
            let length = run(&text[end..]);
            if length == 0 {
                break;
            }
            (end, parts) = (end + length, parts + 1);
            if !text[end..].starts_with('.') || parts == 3 {
                break;
            }
            end += 1;
        }
        return (parts >= 2 && end >= 24).then(|| found(0..end));
    }
    let is_aws = ["AKIA", "ASIA"].iter().any(|start| text.starts_with(start));
    let length = alphanumeric(head(text, 32));
    (is_aws && length == 20).then(|| found(0..length))
}

/// A UUID: a name, not an id of hardware, except that versions 1 and 6 end with a MAC address.
fn uuid(_: &str, text: &str) -> Option<Look> {
    let mut end = 0;
    for (group, width) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 {
            end += usize::from(text[end..].starts_with('-'));
        }
        if hex(head(&text[end..], width + 1)) != width {
            return None;
        }
        end += width;
    }
    let is_last = !text[end..].starts_with(|c: char| c.is_alphanumeric());
    if end != 36 || !is_last {
        return None;
    }
    // A random node has the multicast bit set.
    let node = u8::from_str_radix(&text[24..26], 16).unwrap_or(1);
    let holds_mac = matches!(&text[14..15], "1" | "6") && node & 1 == 0;
    Some(Look {
        kind: PersonalKind::Mac,
        range: 0..end,
        is_certain: holds_mac,
    })
}

/// `aa:bb:cc:dd:ee:ff`, `AA-BB-…` (six or eight groups), `aabb.ccdd.eeff`.
fn grouped_hex(_: &str, text: &str) -> Option<Look> {
    let width = hex(head(text, 5));
    if !matches!(width, 2 | 4) {
        return None;
    }
    let separator = SEPARATORS
        .iter()
        .find(|separator| text[width..].starts_with(**separator))?;
    let mut groups = 1;
    let mut end = width;
    while groups < GROUPS_MAX
        && let Some(rest) = text[end..].strip_prefix(separator)
        && hex(head(rest, width + 1)) == width
    {
        groups += 1;
        end += separator.len() + width;
    }
    let is_id = match width {
        // Five, because the first group of `macAA:BB:…` hangs on the word before.
        2 => groups >= 5,
        // A date such as 2026-01-02 has groups of other widths; three or four groups of four are an id, more an
        // address of IPv6.
        _ => groups >= 3,
    };
    // Decimal groups between points or hyphens may be a version or a date.
    let is_certain = groups * width <= 16 && (*separator == ":" || has_letter(&text[..end]));
    is_id.then(|| Look {
        kind: if groups * width > 12 {
            PersonalKind::Eui
        } else {
            PersonalKind::Mac
        },
        range: 0..end,
        is_certain,
    })
}

/// Twelve (MAC) or sixteen (EUI) hex digits, or a long key; also behind `0x`.
fn bare_hex(before: &str, text: &str) -> Option<Look> {
    let run = alphanumeric(text);
    let word = &text[..run];
    let digits = word
        .strip_prefix("0x")
        .or_else(|| word.strip_prefix("0X"))
        .unwrap_or(word);
    if hex(digits) != digits.len() {
        return None;
    }
    // Long runs of decimal digits are times in nanoseconds; keys of that length have letters.
    let is_mixed = has_letter(digits) && has_digit(digits);
    let is_id = matches!(digits.len(), 12 | 16) || (digits.len() > 16 && has_letter(digits));
    let (kind, is_certain) = match digits.len() {
        12 => (
            PersonalKind::Mac,
            is_mixed && !is_asset(before, &text[run..]),
        ),
        16 if is_pseudonym(before, word) => (PersonalKind::Eui, is_of_maker(digits)),
        16 => (
            PersonalKind::Eui,
            // Times in microseconds have sixteen digits, too.
            (is_mixed || digits.len() < word.len()) && !is_h3_cell(digits),
        ),
        // 24 digits are public ids of openSenseMap, 40 and 64 are hashes of content.
        length => (
            PersonalKind::Passkey,
            length == 32 && is_mixed && !is_file_name(digits) && !before.ends_with(IMPORT),
        ),
    };
    is_id.then_some(Look {
        kind,
        range: 0..run,
        is_certain,
    })
}

/// The hash in the name of a file that pages load: `meetnet-1f2e3d4c5b6a.css`.
fn is_asset(before: &str, after: &str) -> bool {
    let endings = [".css", ".js", ".svg"];
    before.ends_with('-') && endings.iter().any(|ending| after.starts_with(ending))
}

fn is_of_maker(digits: &str) -> bool {
    let start = &digits[..6];
    MAKERS.iter().any(|maker| start.eq_ignore_ascii_case(maker))
}

/// An H3 cell has 15 digits; padded, it has the length of an EUI.
fn is_h3_cell(digits: &str) -> bool {
    u64::from_str_radix(digits, 16).is_ok_and(|number| CellIndex::try_from(number).is_ok())
}

/// UUIDs of version 4 and 7 without hyphens, which our files and runs are named by. Stations write their keys upper case.
fn is_file_name(digits: &str) -> bool {
    digits.bytes().all(is_lower_hex)
        && matches!(digits.as_bytes()[12], b'4' | b'7')
        && matches!(digits.as_bytes()[16], b'8' | b'9' | b'a' | b'b')
}

fn email(_: &str, text: &str) -> Option<Look> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let start = head(text, 4 * MAIL_NAME_MAX);
    let name = start.find(|c| !is_part(c))?;
    let rest = &text[name..];
    let at = ["@", "%40"].into_iter().find(|at| rest.starts_with(at))?;
    let domain = head(&rest[at.len()..], DOMAIN_MAX);
    let length = domain.find(|c| !is_part(c)).unwrap_or(domain.len());
    let domain = domain[..length].trim_end_matches('.');
    // `v3/app@tenant/…` names an application, not a person; so does `app@ttn.eu1`.
    let (_, top) = domain.rsplit_once('.')?;
    (name > 0).then(|| Look {
        kind: PersonalKind::Email,
        range: 0..name + at.len() + domain.len(),
        is_certain: top.len() >= 2 && top.chars().all(char::is_alphabetic),
    })
}

/// Two numbers side by side with the precision of a house: `50.87981, 4.70052`. More of them are measurements. A word may hang
/// on the first: `balcony-50.87981,4.70052`; one that names an axis needs no second number: `lat50.87981lon4.70052`.
fn coordinates(before: &str, text: &str) -> Option<Look> {
    let label = head(text, LABEL_BYTES_MAX);
    let letters = label.find(|c: char| !c.is_alphabetic());
    let label = &label[..letters.unwrap_or(label.len())];
    // Behind a word it is a hyphen, and no sign.
    let is_glued = !label.is_empty() || before.ends_with(char::is_alphanumeric);
    let hyphen = usize::from(is_glued && text[label.len()..].starts_with('-'));
    let at = label.len() + hyphen;
    let before = if at > 0 { "" } else { before };
    let numbers = &text[at..];
    let look = pair(before, numbers).or_else(|| axis(label, numbers))?;
    Some(Look {
        range: at + look.range.start..at + look.range.end,
        ..look
    })
}

/// Two precise numbers, and not more, that are a place in either order.
fn pair(before: &str, text: &str) -> Option<Look> {
    let (first, first_end) = precise_number(text)?;
    let gap = separator_length(&text[first_end..])?;
    let (second, length) = precise_number(&text[first_end + gap..])?;
    let end = first_end + gap + length;
    let rest = head(&text[end..], GAP_BYTES_MAX);
    let goes_on = rest
        .find(|c| !is_between(c))
        .is_some_and(|gap| gap > 0 && precise_number(&text[end + gap..]).is_some());
    if goes_on || ends_with_number(before) {
        return None;
    }
    let is_place = |lat: f64, lon: f64| lat.abs() <= 90.0 && lon.abs() <= 180.0;
    let is_exact = |lat: f64, lon: f64| lat_is_exact(lat) || lon_is_exact(lon);
    let is_near = |lat: f64, lon: f64| EUROPE_LAT.contains(&lat) && EUROPE_LON.contains(&lon);
    let orders = [(first, second), (second, first)];
    let fits = |test: &dyn Fn(f64, f64) -> bool| orders.iter().any(|(lat, lon)| test(*lat, *lon));
    fits(&|lat, lon| is_place(lat, lon) && is_exact(lat, lon)).then(|| Look {
        kind: PersonalKind::Coordinates,
        range: 0..end,
        is_certain: fits(&|lat, lon| is_near(lat, lon) && is_exact(lat, lon)),
    })
}

/// The number that hangs on the name of an axis.
fn axis(label: &str, text: &str) -> Option<Look> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
    let is_exact: fn(f64) -> bool = if is_one_of(&["lat", "latitude"]) {
        lat_is_exact
    } else if is_one_of(&["lon", "lng", "longitude"]) {
        lon_is_exact
    } else {
        return None;
    };
    let (number, length) = number_of_places(text)?;
    // Between further points it is a version.
    let is_number = !text[length..].starts_with('.') && is_exact(number);
    is_number.then_some(Look {
        kind: PersonalKind::Coordinates,
        range: 0..length,
        is_certain: true,
    })
}

/// Returns a number with at least [`PLACES_MIN`] decimal places that `text` begins with, and its length; none where the
/// word goes on behind it. What follows behind `_` or a hyphen is another word.
fn precise_number(text: &str) -> Option<(f64, usize)> {
    let (number, length) = number_of_places(text)?;
    let behind = &text[length..];
    let goes_on = behind.starts_with(is_word) && !behind.starts_with(['_', '-']);
    (!goes_on).then_some((number, length))
}

/// The same whatever follows.
fn number_of_places(text: &str) -> Option<(f64, usize)> {
    let text = head(text, 24);
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let places = unsigned
        .get(whole..)?
        .strip_prefix('.')?
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if !(1..=3).contains(&whole) || places < PLACES_MIN {
        return None;
    }
    let length = text.len() - unsigned.len() + whole + 1 + places;
    Some((text[..length].parse().ok()?, length))
}

/// Returns the length of what stands between two numbers that are one place.
fn separator_length(text: &str) -> Option<usize> {
    if text.starts_with("%2C") || text.starts_with("%2c") {
        return Some(3);
    }
    if text.starts_with(is_joint) {
        return Some(1);
    }
    let start = head(text, GAP_BYTES_MAX);
    let length = start.find(|c| !is_separator(c)).unwrap_or(start.len());
    (length > 0).then_some(length)
}

/// Returns the length of the blanks that `text` begins with, none where there are none.
fn blank_length(text: &str) -> Option<usize> {
    let length = head(text, GAP_BYTES_MAX).find(|c: char| !is_blank(c))?;
    (length > 0).then_some(length)
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '|') || is_blank(c)
}

/// What joins two numbers in the names of things and topics.
fn is_joint(c: char) -> bool {
    matches!(c, '_' | '/' | ':')
}

/// What stands between the numbers of a list: brackets of the inner lists too.
fn is_between(c: char) -> bool {
    matches!(c, '[' | ']' | '(' | ')') || is_separator(c) || is_joint(c)
}

/// What an excerpt shows as a blank.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Returns true where a precise number stands right before, whatever its sign: that may be the hyphen of a word.
fn ends_with_number(before: &str) -> bool {
    let text = before.trim_end_matches(is_between);
    if text.len() == before.len() {
        return false;
    }
    let mut start = text.len();
    while start > 0
        && text.len() - start < 24
        && matches!(text.as_bytes()[start - 1], b'0'..=b'9' | b'.')
    {
        start -= 1;
    }
    precise_number(&text[start..]).is_some()
}
