use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::dataset::DatasetDeclaration;
use crate::declarations::DECODER_VERSION;
use crate::ids::LicenceId;
use crate::schemas::{self, Schemas};
use crate::source::{DeviceDeclaration, MapEntry, SourceKind};

#[test]
fn a_dataset_asks_for_no_less_than_its_sources() {
    const IDS: [&str; 8] = [
        "CC0-1.0",
        "PDDL-1.0",
        "DbCL-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "ODbL-1.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
    ];
    // A row per source licence, a column per dataset licence, in the order above.
    for (source, row) in IDS.into_iter().zip([
        "xxxxxxxx", // CC0
        "xxxxxxxx", // PDDL
        "xxxxxxxx", // DbCL
        "...xxxxx", // CC-BY
        "....x...", // CC-BY-SA
        ".....x..", // ODbL
        "......xx", // CC-BY-NC
        ".......x", // CC-BY-NC-SA
    ]) {
        for (dataset, mark) in IDS.into_iter().zip(row.chars()) {
            assert_eq!(
                Licence::allows(source, dataset),
                mark == 'x',
                "{source} in {dataset}"
            );
        }
    }
    assert!(Licence::allows("LicenseRef-Stad", "LicenseRef-Stad"));
    assert!(!Licence::allows("LicenseRef-Stad", "CC-BY-NC-SA-4.0"));
    assert!(!Licence::allows("CC0-1.0", "LicenseRef-Stad"));
}

#[test]
fn every_licence_can_be_a_partition_value() {
    for licence in LICENCES {
        assert!(is_licence_id(licence.id), "{}", licence.id);
        assert!(licence.iri.starts_with("http") && licence.url.starts_with("https://"));
        assert_eq!(Licence::find(licence.id), Some(licence));
    }
    for bad in ["", "CC BY 4.0", "CC/BY", "licence=x", "ODbL_1.0", "Lizénz"] {
        assert!(!is_licence_id(bad), "{bad}");
    }
}

#[test]
fn a_licence_is_declared_by_id_or_address() {
    for (text, expect) in [
        ("CC-BY-4.0", Some("CC-BY-4.0")),
        ("LicenseRef-Stad", Some("LicenseRef-Stad")),
        (
            "http://publications.europa.eu/resource/authority/licence/CC_BY_4_0",
            Some("CC-BY-4.0"),
        ),
        (
            "https://publications.europa.eu/resource/authority/licence/CC0",
            Some("CC0-1.0"),
        ),
        (
            "https://creativecommons.org/licenses/by/4.0",
            Some("CC-BY-4.0"),
        ),
        ("https://example.org/licence", None),
        ("CC BY 4.0", None),
        ("", None),
    ] {
        assert_eq!(Licence::read(text), expect.map(LicenceId::new), "{text}");
    }
}

#[test]
fn a_licence_that_is_nearly_a_known_one_is_not_another() {
    let check = |text: &str, expect: Option<&str>| {
        let expect = expect.map(|id| format!("did you mean `{id}`?"));
        assert_eq!(Licence::correction(text), expect, "{text}");
    };
    for (texts, expect) in [
        ("CC0|cc0|CC-0|CC0 1.0|cc0-1.0|Cc0-1", "CC0-1.0"),
        (
            "cc-by-4.0|CC BY 4.0|CC_BY_4_0|CC-BY|ccby4|Creative Commons Attribution 4.0",
            "CC-BY-4.0",
        ),
        ("CC BY-SA|cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("cc-by-nc|CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("cc by-nc-sa 4", "CC-BY-NC-SA-4.0"),
        ("odbl|ODbL|ODBL 1.0|odbl-1", "ODbL-1.0"),
        ("ODC-BY", "ODC-By-1.0"),
        ("pddl", "PDDL-1.0"),
        (
            "licenseref-vlaanderen-gratis-hergebruik-1.0",
            "LicenseRef-Vlaanderen-Gratis-Hergebruik-1.0",
        ),
    ] {
        for text in texts.split('|') {
            check(text, Some(expect));
        }
    }
    // Known ones, and others that SPDX or a publisher has.
    for licence in LICENCES {
        check(licence.id, None);
    }
    for other in [
        "CC-BY-3.0",
        "CC-BY-3.0-AT",
        "CC-BY-ND-4.0",
        "OGL-UK-3.0",
        "etalab-2.0",
        "LicenseRef-Stad",
        "http://publications.europa.eu/resource/authority/licence/CC0",
    ] {
        check(other, None);
    }
}

#[test]
fn a_source_promises_no_more_than_its_publisher() {
    let telraam = |licence: &str, permission: Option<&str>| SourceDeclaration {
        permission: permission.map(str::to_owned),
        ..source("counter", WireFormat::Telraam, licence, &[])
    };
    let refused = |licence: &str, why: &str| {
        format!(
            "source `counter` declares {licence}, but Telraam publishes its data under CC-BY-NC-4.0, {why}; declare \
             CC-BY-NC-4.0, or permission = \"…\" with the agreement that allows {licence}"
        )
    };
    for licence in ["CC-BY-4.0", "ODC-By-1.0"] {
        let refused = refused(licence, "which asks for non-commercial use");
        check(vec![telraam(licence, None)], &[], &[&refused]);
        check(vec![telraam(licence, Some(""))], &[], &[&refused]);
        check(
            vec![telraam(licence, Some("letter of 2026-03-01"))],
            &[],
            &[],
        );
    }
    let why = "which asks for attribution and non-commercial use";
    check(
        vec![telraam("CC0-1.0", None)],
        &[],
        &[&refused("CC0-1.0", why)],
    );
    check(vec![telraam("CC-BY-NC-SA-4.0", None)], &[], &[]);
}

fn source(id: &str, format: WireFormat, licence: &str, mapped: &[&str]) -> SourceDeclaration {
    SourceDeclaration {
        map: mapped
            .iter()
            .map(|dataset| MapEntry::property(*dataset, "p").at_pointer("/p"))
            .collect(),
        ..SourceDeclaration::new(id, SourceKind::Http, format, licence)
    }
}

fn check(sources: Vec<SourceDeclaration>, licences: &[(&str, &str)], expect: &[&str]) {
    check_in(schemas::builtin(), sources, licences, expect);
}

fn check_in(
    schemas: Schemas,
    sources: Vec<SourceDeclaration>,
    licences: &[(&str, &str)],
    expect: &[&str],
) {
    let Schemas {
        mut datasets,
        properties,
    } = schemas;
    for (id, licence) in licences {
        let dataset = datasets.get_mut(&DatasetId::new(id)).unwrap();
        Arc::make_mut(dataset).licence = Some(LicenceId::new(licence));
    }
    let sources: BTreeMap<_, _> = sources
        .into_iter()
        .map(|s| (s.id.clone(), Arc::new(s)))
        .collect();
    let declarations = Declarations {
        decoder_version: DECODER_VERSION,
        datasets,
        properties,
        sources,
    };
    let errors: Vec<String> = check_licences(&declarations)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors, expect);
}

#[test]
fn a_dataset_that_a_city_declares_for_a_format_counts() {
    let mut city = schemas::builtin();
    let mut waste = DatasetDeclaration::clone(&city.datasets[&DatasetId::new("noise")]);
    waste.id = DatasetId::new("waste");
    let mut fill_level = PropertyDeclaration::clone(&city.properties[0]);
    fill_level.name = "fill_level".to_owned();
    fill_level.dataset = waste.id.clone();
    city.datasets.insert(waste.id.clone(), Arc::new(waste));
    city.properties.push(Arc::new(fill_level));
    let orion = || source("orion", WireFormat::Ngsi, "CC-BY-NC-4.0", &[]);
    check_in(
        city.clone(),
        vec![orion()],
        &[("waste", "CC-BY-NC-4.0")],
        &[],
    );
    check_in(
        city,
        vec![orion()],
        &[("waste", "CC0-1.0")],
        &[
            "dataset `waste` declares CC0-1.0, but its source `orion` is under CC-BY-NC-4.0, which asks for attribution and \
           non-commercial use; declare CC-BY-NC-4.0 for the dataset, or none so that each row keeps its own, \
           or take the source out",
        ],
    );
}

#[test]
fn datasets_and_sources_are_named() {
    let telraam = || source("telraam", WireFormat::Telraam, "CC-BY-NC-4.0", &[]);
    let airrohr = || source("airrohr", WireFormat::Airrohr, "ODbL-1.0", &["noise"]);
    let balcony = || source("balcony", WireFormat::Json, "CC0-1.0", &["heat"]);
    check(vec![telraam(), airrohr(), balcony()], &[], &[]);
    check(
        vec![telraam(), balcony()],
        &[("traffic", "CC-BY-NC-4.0"), ("heat", "CC-BY-4.0")],
        &[],
    );
    check(vec![telraam()], &[("air", "CC0-1.0")], &[]);
    check(
        vec![telraam()],
        &[("traffic", "CC-BY-4.0")],
        &[
            "dataset `traffic` declares CC-BY-4.0, but its source `telraam` is under CC-BY-NC-4.0, which asks for \
           non-commercial use; declare CC-BY-NC-4.0 for the dataset, or none so that each row keeps its own, \
           or take the source out",
        ],
    );
    check(
        vec![airrohr(), balcony()],
        &[("noise", "CC0-1.0"), ("heat", "ODbL-1.0")],
        &[
            "dataset `noise` declares CC0-1.0, but its source `airrohr` is under ODbL-1.0, which asks for attribution \
           and the same licence for what is made of it; declare ODbL-1.0 for the dataset, or none so that each \
           row keeps its own, or take the source out",
        ],
    );
    check(
        vec![source("s", WireFormat::Json, "LicenseRef-X", &["air"])],
        &[("air", "CC-BY-4.0")],
        &[
            "dataset `air` declares CC-BY-4.0, but its source `s` is under LicenseRef-X, and we do not know whether one \
           allows the other; declare LicenseRef-X for the dataset, or none so that each row keeps its own, \
           or take the source out",
        ],
    );
    check(
        vec![source("s", WireFormat::Json, "CC BY 4.0", &["air"])],
        &[],
        &[
            "source `s` has the licence `CC BY 4.0`, which is not a licence id; did you mean `CC-BY-4.0`?",
        ],
    );
    check(
        vec![source("s", WireFormat::Json, "cc0", &["air"])],
        &[],
        &["source `s` has the licence `cc0`, which is not a licence id; did you mean `CC0-1.0`?"],
    );
    check(
        vec![source("s", WireFormat::Json, "open data", &["air"])],
        &[],
        &[
            "source `s` has the licence `open data`, which is not a licence id; use an SPDX id such as CC-BY-4.0",
        ],
    );
}

#[test]
fn what_a_device_alone_sends_counts() {
    let device = DeviceDeclaration {
        id: "roof".to_owned(),
        map: vec![MapEntry::property("noise", "laeq").at_pointer("/level")],
        ..DeviceDeclaration::default()
    };
    let balcony = SourceDeclaration {
        devices: vec![device],
        ..source("balcony", WireFormat::Json, "CC-BY-4.0", &["heat"])
    };
    check(
        vec![balcony],
        &[("noise", "CC0-1.0")],
        &[
            "dataset `noise` declares CC0-1.0, but its source `balcony` is under CC-BY-4.0, which asks for attribution; \
           declare CC-BY-4.0 for the dataset, or none so that each row keeps its own, or take the source out",
        ],
    );
}
