use super::*;
use crate::fields::FieldNames;
use crate::testing::{key, source};

fn naming() -> Naming {
    Naming::new(&source("format = 'json'"), &key())
}

fn hardware(kind: &str, raw: &str, ids: &mut HardwareIds) -> Result<String, IdFault> {
    let mut id = "old".to_owned();
    naming().hardware(kind, raw, ids, &mut id).map(|()| id)
}

#[test]
fn a_hardware_id_is_one_id_whatever_its_case() {
    let mut ids = HardwareIds::default();
    let id = hardware("dev_eui", "70B3D57ED0001A2B", &mut ids).unwrap();
    assert!(id.starts_with("ns-"), "{id}");
    assert!(!id.to_lowercase().contains("70b3d57ed0001a2b"), "{id}");
    assert_eq!(
        hardware("dev_eui", " 70b3d57ed0001a2b ", &mut ids).as_ref(),
        Ok(&id)
    );
    // Not from what the group remembers.
    assert_eq!(
        hardware("dev_eui", "70B3D57ED0001A2B", &mut HardwareIds::default()),
        Ok(id.clone())
    );
    assert_ne!(hardware("chip", "70B3D57ED0001A2B", &mut ids), Ok(id));
    assert_eq!(ids.known.len(), 2);
}

#[test]
fn an_id_is_a_short_text_without_control_characters() {
    let check = |raw: &str, expect: Result<&str, IdFault>| {
        let mut id = String::new();
        let result = naming().plain(raw, &mut id).map(|()| id.as_str());
        assert_eq!(result, expect, "{raw:?}");
    };
    check("balcony", Ok("ns-balcony"));
    check(" garden/shed ", Ok("ns-garden/shed"));
    check("", Err(IdFault::Missing));
    check("  ", Err(IdFault::Missing));
    check("a\nb", Err(IdFault::Wrong));
    check("a\0", Err(IdFault::Wrong));
    check(&"x".repeat(201), Err(IdFault::Wrong));
}

#[test]
fn what_a_group_remembers_is_bounded() {
    let mut ids = HardwareIds::default();
    for number in 0..HARDWARE_IDS_CACHED_MAX + 10 {
        hardware("chip", &number.to_string(), &mut ids).unwrap();
    }
    assert!(ids.known.len() <= HARDWARE_IDS_CACHED_MAX);
}

#[test]
fn a_template_is_literals_and_captures() {
    let topics: Vec<TopicPattern> = ["{site}/+/{device}", "x/{device}/{site}"]
        .into_iter()
        .map(|topic| TopicPattern::parse(topic).unwrap())
        .collect();
    let check = |template: &str, topic: &str, expect: Result<&str, IdFault>| {
        let mut declared = source("format = 'json'");
        declared.sensor_id = Some(ValueRef::Template(template.to_owned()));
        let rule = DeclaredId::compile(&declared, &topics, &mut FieldNames::default());
        let rule = rule.unwrap().unwrap();
        let fields = Fields::text("", &[]);
        let mut id = String::new();
        let ids = &mut HardwareIds::default();
        let result = rule
            .resolve(&naming(), topic, &fields, ids, &mut id)
            .map(|()| id.as_str());
        assert_eq!(result, expect, "{template} on {topic}");
    };
    check("{device}", "home/t/a1", Ok("ns-a1"));
    check("{site}-{device}", "home/t/a1", Ok("ns-home-a1"));
    // The first pattern that takes the topic counts.
    check("{device}", "x/d/s", Ok("ns-s"));
    check("fixed", "whatever", Ok("ns-fixed"));
    check("{device}", "home/t/", Err(IdFault::Missing));
    check("{site}-{device}", "home/t/", Err(IdFault::Missing));
    check("{device}", "home/t", Err(IdFault::UnknownTopic));
}
