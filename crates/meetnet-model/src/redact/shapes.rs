//! Texts that look like hardware ids or addresses, whatever key they stand behind.

/// Prefixes of airRohr's sensor names; the chip id follows.
const CHIP_PREFIXES: [&str; 2] = ["esp8266-", "esp32-"];
/// Separators between the groups of a MAC address or EUI, plain and percent-encoded.
const SEPARATORS: [&str; 5] = [":", "-", ".", "%3A", "%3a"];

/// Returns the length of the id or address that `text` begins with, none where it begins with something harmless.
/// `text` begins a word.
pub(super) fn secret_length(text: &str) -> Option<usize> {
    chip_id(text)
        .or_else(|| grouped_hex(text))
        .or_else(|| bare_hex(text))
        .or_else(|| email(text))
}

/// Returns how much of a harmless word can be taken over at once: up to the next place where an id might begin.
pub(super) fn harmless_length(word: &str) -> usize {
    let run = alphanumeric(word);
    if run > 0 {
        return run;
    }
    word.chars().next().map_or(0, char::len_utf8)
}

fn alphanumeric(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn hex(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_hexdigit).count()
}

fn chip_id(text: &str) -> Option<usize> {
    CHIP_PREFIXES.iter().find_map(|prefix| {
        let head = text.get(..prefix.len())?;
        let id = alphanumeric(&text[prefix.len()..]);
        (head.eq_ignore_ascii_case(prefix) && id > 0).then_some(prefix.len() + id)
    })
}

/// `aa:bb:cc:dd:ee:ff`, `AA-BB-…` (six or eight groups), `aabb.ccdd.eeff`.
fn grouped_hex(text: &str) -> Option<usize> {
    let width = hex(text);
    if !matches!(width, 2 | 4) {
        return None;
    }
    let separator = SEPARATORS
        .iter()
        .find(|separator| text[width..].starts_with(**separator))?;
    let mut groups = 1;
    let mut end = width;
    while let Some(rest) = text[end..].strip_prefix(separator)
        && hex(rest) == width
    {
        groups += 1;
        end += separator.len() + width;
    }
    let is_id = match width {
        // Five, because the first group of `macAA:BB:…` hangs on the word before.
        2 => groups >= 5,
        // A date such as 2026-01-02 has groups of other widths; three or four groups of four are an id.
        _ => (3..=4).contains(&groups),
    };
    is_id.then_some(end)
}

/// Twelve (MAC) or sixteen (EUI) hex digits, or a long key; also behind `0x`.
fn bare_hex(text: &str) -> Option<usize> {
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
    let has_letter = digits.bytes().any(|b| b.is_ascii_alphabetic());
    let is_id = matches!(digits.len(), 12 | 16) || (digits.len() > 16 && has_letter);
    is_id.then_some(run)
}

fn email(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let name = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let rest = &text[name..];
    let at = ["@", "%40"].into_iter().find(|at| rest.starts_with(at))?;
    let domain = &rest[at.len()..];
    let length = domain.find(|c| !is_part(c)).unwrap_or(domain.len());
    let domain = domain[..length].trim_end_matches('.');
    // `v3/app@tenant/…` names an application, not a person.
    (name > 0 && domain.contains('.')).then_some(name + at.len() + domain.len())
}
