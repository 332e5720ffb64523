use std::sync::Arc;

use super::*;
use crate::declarations::Declarations;
use crate::schemas;
use crate::source::{MapEntry, SourceDeclaration, SourceKind, WireFormat};

fn declarations() -> Declarations {
    let source = |id: &str, licence: &str, attribution: Option<&str>| SourceDeclaration {
        attribution: attribution.map(str::to_owned),
        map: vec![MapEntry::property("heat", "air_temperature").at_pointer("/t")],
        ..SourceDeclaration::new(id, SourceKind::Http, WireFormat::Json, licence)
    };
    let mut declarations = schemas::builtin().into_declarations([
        source("city", "CC-BY-4.0", Some("City of Leuven")),
        source("club", "CC-BY-4.0", Some("Garden club")),
        source("again", "CC-BY-4.0", Some("City of Leuven")),
        source("desk", "CC0-1.0", None),
    ]);
    declarations.state_licences();
    declarations
}

fn check(stored: &[&str], only: Option<&[&str]>, licences: &str, attributions: &str) {
    let declarations = declarations();
    let ids = |ids: &[&str]| ids.iter().map(LicenceId::new).collect::<BTreeSet<_>>();
    let (stored, only) = (ids(stored), only.map(ids));
    let mut rights = Rights::default();
    rights.add(
        declarations.dataset("heat").unwrap(),
        &stored,
        only.as_ref(),
    );
    assert_eq!(rights.licence_text(), licences);
    assert_eq!(rights.attribution_text(), attributions);
}

#[test]
fn rights_are_those_of_the_sources_and_of_what_lies_there() {
    let named = "City of Leuven; Garden club";
    check(&[], None, "CC-BY-4.0, CC0-1.0", named);
    check(&["ODbL-1.0"], None, "CC-BY-4.0, CC0-1.0, ODbL-1.0", named);
    check(&["ODbL-1.0"], Some(&["CC0-1.0", "PDDL-1.0"]), "CC0-1.0", "");
    check(&[], Some(&[]), "", "");
}

#[test]
fn a_dataset_of_no_source_states_what_lies_there_and_its_own_name() {
    let mut declarations = declarations();
    declarations.sources.clear();
    declarations.state_licences();
    let heat = declarations.datasets.get_mut(&"heat".into()).unwrap();
    assert!(heat.source_licences.is_empty());
    Arc::make_mut(heat).attribution = Some("Leuven".to_owned());
    let mut rights = Rights::default();
    let stored = LicenceId::new("CC-BY-4.0");
    rights.add(heat, [&stored], None);
    rights.add(heat, [&stored], None);
    assert_eq!(rights.licence_text(), "CC-BY-4.0");
    assert_eq!(rights.attributions, ["Leuven"]);
    // As the journal and the table logs keep it.
    let bytes = declarations.to_bytes();
    assert_eq!(Declarations::from_bytes(&bytes).unwrap(), declarations);
}
