//! Sensor ids that look like those of hardware.

use meetnet_model::redact::PersonalKind;

use super::*;
use crate::pipeline::bare::BareIds;

/// A row each, the first of the first envelope.
fn rows(declarations: &Declarations, ids: &[&str]) -> DatasetRows {
    let heat = declarations.dataset("heat").cloned().unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(&heat));
    for (envelope, id) in (0..).zip(ids) {
        builder.set_text(column("sensor_id"), id);
        builder.set_text(column("property"), "air_temperature");
        builder.set_int(column("time"), 1_000_000);
        builder.set_float(column("value"), 1.0);
        assert!(builder.finish_row(envelope).is_ok());
    }
    builder.take()
}

fn lineages(source: &str, count: usize) -> Vec<meetnet_lake::Lineage> {
    let lineage = meetnet_lake::Lineage {
        sequence: Sequence(1),
        received_at: 10_000_000_000,
        recorded_at: 10_000_000_000,
        source: SourceId::new(source),
        licence: LicenceId::new("CC0-1.0"),
        precedence: 0,
        confirms: false,
    };
    vec![lineage; count]
}

/// Declarations with a source `hidden`, too, whose ids are replaced.
fn with_hidden() -> Arc<Declarations> {
    let hidden = SourceDeclaration {
        topics: vec!["hidden/{device}".to_owned()],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        hardware_id: true,
        ..SourceDeclaration::new("hidden", SourceKind::Mqtt, WireFormat::Json, "CC0-1.0")
    };
    let open = declarations();
    let others = open.sources.values().map(|source| (**source).clone());
    Arc::new(meetnet_model::schemas::builtin().into_declarations(others.chain([hidden])))
}

#[test]
fn an_id_that_looks_like_one_of_hardware_is_told_of_once_per_source() {
    let declarations = with_hidden();
    let check = |source: &str, id: &str, expect: Option<PersonalKind>| {
        let mut ids = BareIds::default();
        let rows = rows(&declarations, &[id, id]);
        let mut note = || ids.note(&rows, &lineages(source, 2), &declarations.sources);
        let expect: Vec<_> = expect
            .map(|kind| (SourceId::new(source), kind))
            .into_iter()
            .collect();
        assert_eq!(note(), expect, "{id}");
        assert!(note().is_empty(), "{id}, again");
    };
    check("timed", "timed-0x00158d0001a2b3c4", Some(PersonalKind::Eui));
    check("timed", "timed-70b3d57ed0001a2b", Some(PersonalKind::Eui));
    check("timed", "timed-AA:BB:CC:DD:EE:FF", Some(PersonalKind::Mac));
    check("timed", "timed-shed/aabbccddee01", Some(PersonalKind::Mac));
    check(
        "timed",
        "timed-esp8266-12345678",
        Some(PersonalKind::ChipId),
    );
    check("timed", "timed-garden", None);
    check("timed", "timed-facade-12", None);
    check("timed", "timed-20260601120000", None);
    // Its ids are pseudonyms.
    check("hidden", "hidden-3841085fcf2f4d7d", None);
    // Nobody knows how it named its sensors.
    check("gone", "gone-0x00158d0001a2b3c4", None);
}

#[test]
fn a_harmless_sensor_hides_no_other_one() {
    let declarations = with_hidden();
    let mut ids = BareIds::default();
    let mut note = |source: &str, of: &[&str]| {
        let rows = rows(&declarations, of);
        let found = ids.note(&rows, &lineages(source, of.len()), &declarations.sources);
        found.len()
    };
    assert_eq!(note("timed", &["timed-a", "timed-b", "timed-a"]), 0);
    assert_eq!(note("timed", &["timed-a", "timed-0x00158d0001a2b3c4"]), 1);
    assert_eq!(note("timed", &["timed-0x00158d0001a2b3c5"]), 0);
    assert_eq!(note("timeless", &["timeless-0x00158d0001a2b3c4"]), 1);
}
