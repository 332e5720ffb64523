use super::*;

#[test]
fn the_text_names_every_source_with_its_licence() {
    let text = sources_toml("127.0.0.1:1883".parse().unwrap());
    for source in DemoSource::ALL {
        let section = text
            .split("[[source]]")
            .find(|s| s.contains(&format!("id = \"{}\"", source.id())));
        let section = section.unwrap();
        assert!(
            section.contains(&format!("licence = \"{}\"", source.licence())),
            "{section}"
        );
        // Every licence but CC0 asks to name somebody.
        let names = section.contains("attribution = \"Simulated ");
        assert_eq!(names, source.licence() != "CC0-1.0", "{section}");
        if source.namespace() != source.id() {
            assert!(
                section.contains(&format!("namespace = \"{}\"", source.namespace())),
                "{section}"
            );
        }
        assert!(
            section.contains("url = \"mqtt://127.0.0.1:1883\""),
            "{section}"
        );
    }
    assert!(
        !text.contains("{{") && !text.contains("}}"),
        "no template braces are left"
    );
}
