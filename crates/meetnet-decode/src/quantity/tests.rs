use super::*;

#[test]
fn a_number_and_what_stands_behind_it() {
    for (text, expect) in [
        ("21.3 °C", Some(("21.3", "°C"))),
        (" -3 % ", Some(("-3", "%"))),
        ("+14µg/m³", Some(("+14", "µg/m³"))),
        ("12,5 µg/m³", Some(("12,5", "µg/m³"))),
        ("30.1\u{a0}inHg", Some(("30.1", "inHg"))),
        // Units that are known may have blanks and brackets.
        ("55 % RH", Some(("55", "% RH"))),
        ("55 dB(A)", Some(("55", "dB(A)"))),
        ("30 [in_i'Hg]", Some(("30", "[in_i'Hg]"))),
        ("21.3 grad", Some(("21.3", "grad"))),
        ("21.3°C", Some(("21.3", "°C"))),
        ("12 \u{3bc}g/m3", Some(("12", "\u{3bc}g/m3"))),
        // No number is guessed at: with a typographic minus, an exponent, digits in groups or beside another number.
        ("\u{2212}5 °C", None),
        ("1e3 ppm", None),
        ("1 013 hPa", None),
        ("12 1", None),
        ("5 ‰", None),
        ("21.3", None),
        ("°C", None),
        ("", None),
        ("-", None),
        (".5 °C", None),
        ("1.2.3", None),
        ("1,234.5 hPa", None),
        ("28.11.2026 11:20", None),
        ("0T18:10:35", None),
        ("12 Main street", None),
        ("1234567890123456789012345 Pa", None),
        ("21.3 °C 22 °C", None),
    ] {
        assert_eq!(split(text), expect, "{text}");
    }
}

#[test]
fn a_format_without_the_key_says_what_helps() {
    let never = UnitInValue::of(&polled(), Some("Cel"), None);
    assert!(never.read("21.3 °C").is_none());
    assert_eq!(
        never.fault("t", "21.3  °C", DecimalComma::Never).as_deref(),
        Some(
            "the value at `t`, `21.3 °C`, has a unit behind the number; let the sender write the number alone"
        )
    );
    assert_eq!(never.fault("t", "cold", DecimalComma::Never), None);
}

/// A source of a format that states its units itself, and that declares the key nevertheless.
fn polled() -> SourceDeclaration {
    let mut source = SourceDeclaration::new(
        "packs",
        meetnet_model::source::SourceKind::Http,
        WireFormat::Senml,
        "CC0-1.0",
    );
    source.unit_in_value = true;
    source
}
