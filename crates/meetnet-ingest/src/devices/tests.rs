use meetnet_model::schemas;
use meetnet_model::source::{DeviceDeclaration, SourceDeclaration, SourceKind, WireFormat};

use super::*;
use crate::intake::memory::MemorySink;

fn source(id: &str, places: &[Option<f64>]) -> SourceDeclaration {
    let device = |latitude: &Option<f64>| DeviceDeclaration {
        id: "esp8266-1234567".to_owned(),
        longitude: latitude.map(|_| 4.7),
        latitude: *latitude,
        ..DeviceDeclaration::default()
    };
    SourceDeclaration {
        devices: places.iter().map(device).collect(),
        ..SourceDeclaration::new(id, SourceKind::Http, WireFormat::Airrohr, "ODbL-1.0")
    }
}

#[test]
fn each_source_with_places_is_told_once_and_no_device_is_named() {
    let declarations = schemas::builtin().into_declarations([
        source("boxes", &[None, Some(50.88)]),
        source("others", &[Some(50.88), Some(50.9)]),
        source("nowhere", &[None]),
        source("empty", &[]),
    ]);
    let (sink, intake) = MemorySink::new(true);
    assert_eq!(announce_devices(&intake, &declarations).unwrap(), 2);
    let taken = sink.taken();
    let sources: Vec<&str> = taken.iter().map(|taken| taken.source.as_str()).collect();
    assert_eq!(sources, ["boxes", "others"]);
    for envelope in taken {
        assert_eq!(envelope.meta, [("about".to_owned(), "devices".to_owned())]);
        assert!(!format!("{envelope:?}").contains("1234567"));
    }
    sink.set_full(true);
    assert!(announce_devices(&intake, &declarations).is_err());
}
