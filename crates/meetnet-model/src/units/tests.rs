use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn values_convert_to_sane_decimals() {
    for (value, from, to, expect) in [
        (32.0, "[degF]", "Cel", 0.0),
        (212.0, "[degF]", "Cel", 100.0),
        (68.0, "°F", "°C", 20.0),
        (-40.0, "F", "C", -40.0),
        (54.3, "degF", "degC", 12.388_888_889),
        (274.2, "K", "Cel", 1.05),
        (273.15, "K", "Cel", 0.0),
        (20.5, "Cel", "K", 293.65),
        (451.0, "[degF]", "K", 505.927_777_778),
        (0.55, "1", "%", 55.0),
        (415.0, "[ppb]", "[ppm]", 0.415),
        (101_325.0, "Pa", "hPa", 1013.25),
        (98_765.43, "Pa", "hPa", 987.6543),
        (101.325, "kPa", "hPa", 1013.25),
        (1013.25, "mbar", "hPa", 1013.25),
        (1013.2, "mBar", "hPa", 1013.2),
        (29.92, "inHg", "hPa", 1_013.207_481_19),
        (760.0, "mm[Hg]", "hPa", 1_013.250_144_354),
        (1.0, "atm", "hPa", 1013.25),
        (101_325.0, "Pa", "atm", 1.0),
        (std::f64::consts::PI, "rad", "deg", 180.0),
        (1.5, "rad", "°", 85.943_669_27),
        (36.0, "deg", "rad", 0.628_318_531),
        (3_600.0, "J", "W.h", 1.0),
        (2.5, "kWh", "J", 9_000_000.0),
        (9.0, "kJ", "Wh", 2.5),
        (3.6, "MJ", "kWh", 1.0),
        (1.2, "MWh", "kWh", 1_200.0),
        (36.0, "km/h", "m/s", 10.0),
        (10.0, "mph", "m/s", 4.4704),
        (10.0, "[kn_i]", "m/s", 5.144_444_444),
        (0.1, "[in_i]", "mm", 2.54),
        (1.2, "cm", "mm", 12.0),
        (3.2, "l/m²", "mm", 3.2),
        (0.02, "in/h", "mm/h", 0.508),
        (0.35, "mg/m3", "ug/m3", 350.0),
        (12.3, "ng/m3", "ug/m3", 0.0123),
        (12.3, "\u{b5}g/m³", "mg/m³", 0.0123),
        (12.3, "\u{3bc}g/m³", "mg/m³", 0.0123),
        (0.3, "ng/m3", "mg/m3", 3e-7),
        (2.5, "h", "min", 150.0),
        (15.0, "min", "s", 900.0),
        (1.5, "klx", "lux", 1500.0),
        (55.25, "dB(A)", "dB[A]", 55.25),
    ] {
        let conversion = Conversion::between(from, to, None).unwrap();
        assert_eq!(
            conversion.apply(value).to_bits(),
            f64::to_bits(expect),
            "{value} {from} -> {to}"
        );
    }
}

fn gas(molar_mass: f64) -> Gas {
    Gas {
        molar_mass,
        temperature: REFERENCE_TEMPERATURE,
    }
}

#[test]
fn gases_convert_by_their_molar_mass() {
    // At 20 Cel the factors of European reporting (1.91 for NO2, 2.00 for O3, 1.16 for CO), at 25 Cel the US EPA's.
    for (value, from, to, molar_mass, temperature, expect) in [
        (1.0, "[ppb]", "ug/m3", 46.0055, 20.0, 1.912_51),
        (1.0, "[ppb]", "ug/m3", 47.998, 20.0, 1.995_34),
        (1.0, "[ppm]", "mg/m3", 28.010, 20.0, 1.164_41),
        (1.0, "[ppb]", "ug/m3", 46.0055, 25.0, 1.880_432),
        (1.0, "[ppb]", "ug/m3", 47.998, 25.0, 1.961_873),
        (1.0, "[ppm]", "mg/m3", 28.010, 25.0, 1.144_884),
        (100.0, "ug/m3", "[ppb]", 46.0055, 25.0, 53.179_295),
    ] {
        let gas = Gas {
            molar_mass,
            temperature,
        };
        let result = Conversion::between(from, to, Some(gas))
            .unwrap()
            .apply(value);
        assert!(
            (result - expect).abs() < 1e-5,
            "{value} {from} -> {result} {to}"
        );
    }
}

#[test]
fn a_linear_conversion_leaves_no_noise() {
    for (scale, offset, value, expect) in [
        (0.1, 0.0, 215.0, 21.5),
        (0.1, -40.0, 615.0, 21.5),
        (0.1, 0.0, 3.0, 0.3),
        (0.01, -40.0, 6155.0, 21.55),
        (1.0, 0.0, 0.1, 0.1),
        (-1.0, 100.0, 30.0, 70.0),
    ] {
        assert_eq!(Conversion::linear(scale, offset).apply(value), expect);
    }
    assert!(Conversion::linear(1.0, 0.0).is_identity());
}

#[test]
fn what_cannot_be_converted() {
    for (from, to, molar_mass, expect) in [
        (
            "Cel",
            "hPa",
            None,
            "`Cel` cannot become `hPa`: they measure different things",
        ),
        (
            "mm",
            "mm/h",
            None,
            "`mm` cannot become `mm/h`: they measure different things",
        ),
        (
            "ppb",
            "ug/m3",
            None,
            "`ppb` becomes `ug/m3` only with the gas's molar mass; declare `molar_mass` for the property",
        ),
        (
            "ug/m3",
            "[ppm]",
            Some(0.0),
            "`ug/m3` becomes `[ppm]` only with the gas's molar mass; declare `molar_mass` for the property",
        ),
        (
            "furlong",
            "m",
            None,
            "unknown unit `furlong`; use a UCUM code such as Cel, [degF], %, hPa, m/s, mm, ug/m3 or [ppb]",
        ),
    ] {
        assert_eq!(
            Conversion::between(from, to, molar_mass.map(gas))
                .unwrap_err()
                .to_string(),
            expect
        );
    }
}

#[test]
fn the_table_is_consistent() {
    let codes: HashSet<_> = UNITS.iter().map(|u| u.code).collect();
    assert_eq!(codes.len(), UNITS.len(), "a code stands twice");
    let aliases: HashSet<_> = ALIASES.iter().map(|(alias, _)| alias).collect();
    assert_eq!(aliases.len(), ALIASES.len(), "an alias stands twice");
    for (alias, code) in ALIASES {
        assert!(
            codes.contains(code) && !codes.contains(alias),
            "{alias} -> {code}"
        );
        assert_eq!(canonical_unit(alias), Some(*code));
    }
    for a in UNITS {
        for b in UNITS.iter().filter(|b| b.dimension == a.dimension) {
            let there = Conversion::between(a.code, b.code, None).unwrap();
            let back = Conversion::between(b.code, a.code, None).unwrap();
            let value = 12.5;
            assert!(
                (back.apply(there.apply(value)) - value).abs() < 1e-5,
                "{} {}",
                a.code,
                b.code
            );
        }
    }
    for (unit, expect) in [
        ("Cel", Some("Cel")),
        ("°C", Some("Cel")),
        ("", None),
        ("cel", None),
    ] {
        assert_eq!(canonical_unit(unit), expect, "{unit}");
    }
}

proptest! {
    #[test]
    fn identity_is_bit_exact(bits in any::<u64>()) {
        let conversion = Conversion::between("°C", "Cel", None).unwrap();
        prop_assert!(conversion.is_identity());
        prop_assert_eq!(conversion.apply(f64::from_bits(bits)).to_bits(), bits);
    }

    #[test]
    fn pascals_to_the_hundredth_are_exact_hectopascals(centipascals in 0_i64..20_000_000) {
        let pascals = centipascals as f64 / 100.0;
        let expect: f64 = format!("{}.{:04}", centipascals / 10_000, centipascals % 10_000).parse().unwrap();
        prop_assert_eq!(Conversion::between("Pa", "hPa", None).unwrap().apply(pascals), expect);
    }
}
