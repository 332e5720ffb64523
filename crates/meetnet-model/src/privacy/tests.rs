use proptest::prelude::*;

use super::*;

#[test]
fn a_device_has_one_pseudonym_however_its_id_is_written() {
    let key = PrivacyKey::new("a secret of the city");
    let expect = key.hardware_id("mac", "aabbccddeeff");
    assert_eq!(expect.len(), 16);
    assert!(
        expect
            .bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    );
    for same in [
        "AA:BB:CC:DD:EE:FF",
        "aa-bb-cc-dd-ee-ff",
        " aabb.ccdd.eeff\n",
        "AABBCCDDEEFF",
    ] {
        assert_eq!(key.hardware_id("mac", same), expect, "{same}");
    }
    for (kind, raw) in [
        ("dev_eui", "aabbccddeeff"),
        ("mac", "aabbccddeefe"),
        ("macaa", "bbccddeeff"),
    ] {
        assert_ne!(key.hardware_id(kind, raw), expect, "{kind} {raw}");
    }
    assert_ne!(
        PrivacyKey::new("another").hardware_id("mac", "aabbccddeeff"),
        expect
    );
    assert_eq!(format!("{key:?}"), "PrivacyKey(…)");
}

#[test]
fn pseudonyms_never_change() {
    // Stored ids depend on this construction: HMAC-SHA-256(secret, kind 0x00 canonical id), first 8 bytes.
    let key = PrivacyKey::new(b"key");
    assert_eq!(key.hardware_id("chip", "123456"), "3841085fcf2f4d7d");
    let long = "0123456789abcdef".repeat(9);
    assert_eq!(key.hardware_id("mac", &long), "13e9924c2841e787");
}

#[test]
fn a_text_has_one_pseudonym_per_kind_and_spelling() {
    let key = PrivacyKey::new("a secret for tests only");
    let pseudonym = key.pseudonym("sensor", "ns-Balcony");
    assert_eq!(pseudonym, key.pseudonym("sensor", "ns-Balcony"));
    assert!(pseudonym.len() == 32 && pseudonym.bytes().all(|b| b.is_ascii_hexdigit()));
    let others = [
        key.pseudonym("sensor", "ns-balcony"),
        key.pseudonym("sensor", "nsBalcony"),
        key.pseudonym("segment", "ns-Balcony"),
        PrivacyKey::new("another").pseudonym("sensor", "ns-Balcony"),
    ];
    assert!(!others.contains(&pseudonym));
    assert!(!pseudonym.starts_with(&key.hardware_id("sensor", "ns-Balcony")));
}

#[test]
fn places_are_snapped() {
    for (lon, lat, expect) in [
        (4.700_5, 50.879_8, (4.7010, 50.880)),
        (4.700_1, 50.879_4, (4.6995, 50.879)),
        (-0.000_1, 0.000_4, (0.0, 0.0)),
        (180.0, -90.0, (180.0, -90.0)),
    ] {
        let (x, y) = snap(lon, lat);
        assert_eq!(
            (x.to_bits(), y.to_bits()),
            (f64::to_bits(expect.0), f64::to_bits(expect.1)),
            "{x} {y}"
        );
    }
    let place = snap_place(4.700_5, 50.879_8).unwrap();
    assert_eq!((place.lon, place.lat), (4.701, 50.88));
    for (cell, resolution) in [
        (place.h3_r7, Resolution::Seven),
        (place.h3_r9, Resolution::Nine),
    ] {
        let cell = h3o::CellIndex::try_from(u64::try_from(cell).unwrap()).unwrap();
        assert_eq!(cell.resolution(), resolution);
    }
    for (lon, lat) in [
        (f64::NAN, 50.0),
        (4.0, 91.0),
        (181.0, 50.0),
        (4.0, f64::INFINITY),
    ] {
        assert_eq!(snap_place(lon, lat), None, "{lon} {lat}");
        assert_eq!(exact_place(lon, lat), None, "{lon} {lat}");
    }
}

#[test]
fn exact_places_stay_where_they_are() {
    let (lon, lat) = (4.700_52, 50.879_81);
    let place = exact_place(lon, lat).unwrap();
    assert_eq!((place.lon, place.lat), (lon, lat));
    let point = LatLng::new(lat, lon).unwrap();
    let cell = u64::from(point.to_cell(Resolution::Nine));
    assert_eq!(u64::try_from(place.h3_r9).unwrap(), cell);
    // On the grid both say the same.
    assert_eq!(exact_place(4.701, 50.88), snap_place(4.701, 50.88));
}

proptest! {
    #[test]
    fn snapping_twice_changes_nothing_and_moves_little(lon in -180.0..=180.0_f64, lat in -90.0..=90.0_f64) {
        let (x, y) = snap(lon, lat);
        prop_assert_eq!(snap(x, y), (x, y));
        prop_assert!((x - lon).abs() <= 0.000_751 && (y - lat).abs() <= 0.000_501);
    }

    #[test]
    fn neighbours_share_their_cells(dx in 0.0..0.001_f64, dy in 0.0..0.0007_f64) {
        // Anywhere in one cell of the grid gives one published place.
        let published = snap_place(4.701 - 0.0005 + dx, 50.88 - 0.00035 + dy);
        prop_assert_eq!(published, snap_place(4.701, 50.88));
    }
}
