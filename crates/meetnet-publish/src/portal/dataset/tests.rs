use std::collections::BTreeMap;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use meetnet_model::property::{Correction, CorrectionInput, CorrectionMethod};

use super::*;
use crate::fixture::{self, Answer};

async fn get(path: &str) -> Answer {
    fixture::get(fixture::router(), path).await
}

/// Turns what is written in HTML into what it says.
fn said(html: &str) -> String {
    html.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

/// What can be copied, in order.
fn copied(body: &str) -> Vec<String> {
    body.split("<pre data-copyable tabindex=\"0\"><code>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</code></pre>"))
        .map(|(text, _)| said(text))
        .collect()
}

/// Where links lead within the service.
fn links(body: &str) -> Vec<String> {
    body.split("href=\"/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|path| format!("/{}", said(path)))
        // Not before there is a journal.
        .filter(|path| path != "/readyz")
        .collect()
}

#[test]
fn a_corrected_property_says_of_what_and_how_in_three_languages() {
    let mut declared = meetnet_model::schemas::builtin().properties;
    let at = declared
        .iter()
        .position(|property| property.name == "pm2_5");
    let property = Arc::make_mut(&mut declared[at.unwrap()]);
    let titles = |property: &PropertyDeclaration| {
        Language::ALL.map(|language| property_row(property, language).title)
    };
    let [_, measured, _] = titles(property);
    assert!(!measured.contains('('), "{measured}");
    property.correction = Some(Correction {
        of: "pm2_5".to_owned(),
        method: CorrectionMethod::KappaKoehler,
        humidity: CorrectionInput {
            dataset: "heat".into(),
            property: "relative_humidity".to_owned(),
        },
        kappa: 0.4,
        density: 1.65,
        humidity_max: 95.0,
    });
    for (title, words) in titles(property).iter().zip([
        "(gecorrigeerd uit pm2_5, kappa_koehler)",
        "(corrected from pm2_5, kappa_koehler)",
        "(corrigé à partir de pm2_5, kappa_koehler)",
    ]) {
        assert!(title.ends_with(words), "{title}");
    }
}

#[tokio::test]
async fn it_says_what_the_dataset_is_in_three_languages() {
    for (lang, texts) in [
        ("nl", ["Nieuwste rijen", "Grootheden", "Luchttemperatuur"]),
        ("en", ["Newest rows", "Properties", "Air temperature"]),
        (
            "fr",
            ["Lignes les plus récentes", "Grandeurs", "Température de l"],
        ),
    ] {
        let answer = get(&format!("/datasets/heat?lang={lang}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("content-language"), lang);
        let body = said(&answer.body);
        assert!(body.contains(&format!("<html lang=\"{lang}\">")));
        for text in texts {
            assert!(body.contains(text), "{lang}: {text:?}");
        }
        // By the clocks that the foot of the page names, not in UTC, and numbers as the language writes them.
        assert!(body.contains("Europe/Brussels"), "{lang}");
        let (value, time) = match lang {
            "nl" => ("\u{2212}3,25", "22 november 2026, 03:45:20"),
            "en" => ("\u{2212}3.25", "22 November 2026, 03:45:20"),
            _ => ("\u{2212}3,25", "22 novembre 2026, 03:45:20"),
        };
        for (column, text) in [("value", value), ("time", time)] {
            let cell = format!("<td role=\"cell\" data-label=\"{column}\">{text}</td>");
            assert!(body.contains(&cell), "{lang}: {cell}");
        }
        for text in [
            "°C", // a unit
            "<code>superseded_at</code>",
            "100 % café",          // whom to name
            "creativecommons.org", // the text of the licence
            "<code>sensor_id, property, time</code>",
        ] {
            assert!(body.contains(text), "{lang}: {text:?}");
        }
    }
    let french = [("accept-language", "fr-BE")];
    let answer = fixture::get_with(fixture::router(), "/datasets/heat", &french).await;
    assert_eq!(answer.header("content-language"), "fr");
}

#[tokio::test]
async fn every_public_dataset_has_a_page_whose_links_lead_somewhere() {
    let router = fixture::router();
    for (id, declaration) in &fixture::declarations().datasets {
        let answer = fixture::get(router.clone(), &format!("/datasets/{id}?lang=en")).await;
        if !declaration.is_public() {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{id}");
        assert_eq!(answer.body.matches("<h1").count(), 1, "{id}");
        assert_eq!(answer.body.matches("<script").count(), 1, "{id}");
        assert!(
            !answer.body.contains("style=\""),
            "{id}: the policy forbids it"
        );
        let links = links(&answer.body);
        assert!(links.len() > 10, "{id}: {links:?}");
        for link in links {
            let found = fixture::get(router.clone(), &link).await;
            assert_eq!(found.status, StatusCode::OK, "{id}: {link}: {}", found.body);
        }
        // What is linked to within the page is there.
        for anchor in answer.body.split("href=\"#").skip(1) {
            let anchor = anchor.split('"').next().unwrap_or_default();
            let there = format!("id=\"{anchor}\"");
            assert!(answer.body.contains(&there), "{id}: {anchor}");
        }
    }
    let answer = get("/datasets/nope").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(
        answer.body.contains("/api/v1/datasets lists"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn names_in_a_description_are_set_as_code() {
    let body = get("/datasets/traffic?lang=nl").await.body;
    let (_, lede) = body
        .split_once("<p class=\"lede\">")
        .expect("a description");
    let (lede, _) = lede.split_once("</p>").expect("its end");
    assert!(lede.contains("<code>uptime</code>"), "{lede}");
    assert!(!lede.contains('`'), "{lede}");
    let parts: Vec<(&str, bool)> = text_parts("`a` and `b`, c")
        .into_iter()
        .map(|part| (part.text, part.is_code))
        .collect();
    let expect = [("a", true), (" and ", false), ("b", true), (", c", false)];
    assert_eq!(parts, expect);
}

/// The address that a recipe asks, as its own program would: `q` may still have to be encoded.
fn asked(recipe: &str) -> String {
    const BASE: &str = "http://localhost";
    let address = recipe
        .split('"')
        .find_map(|part| part.strip_prefix(BASE))
        .unwrap_or_else(|| panic!("no address: {recipe}"));
    let encoded = recipe.split_once("--data-urlencode \"q=");
    match encoded.and_then(|(_, rest)| rest.split('"').next()) {
        Some(sql) => links::sql_path(sql, "csv"),
        None => address.to_owned(),
    }
}

#[tokio::test]
async fn what_can_be_copied_is_answered() {
    let body = get("/datasets/heat?lang=en").await.body;
    let copied = copied(&body);
    assert_eq!(copied.len(), 5, "{copied:?}");
    assert_eq!(copied[0], "SELECT * FROM heat ORDER BY time DESC LIMIT 10");
    let mut answered = 0;
    for recipe in copied
        .iter()
        .filter(|recipe| recipe.starts_with("curl") || recipe.starts_with("import pandas"))
    {
        let answer = get(&asked(recipe)).await;
        assert_eq!(answer.status, StatusCode::OK, "{recipe}: {}", answer.body);
        assert!(answer.body.starts_with("sensor_id,property,"), "{recipe}");
        answered += 1;
    }
    assert_eq!(answered, 3, "{copied:?}");
    let tool = format!("meetnet sql --url http://localhost \"{}\"", copied[0]);
    assert!(copied.contains(&tool), "{copied:?}");
}

#[tokio::test]
async fn files_are_listed_newest_first_without_those_of_replaced_rows() {
    let mut lake = fixture::lake(&fixture::declarations());
    let heat = lake.tables.get_mut(&"heat".into()).expect("built in");
    let file = |month: &str, superseded: bool| {
        let folder = format!("licence=CC-BY-4.0/superseded={superseded}/month={month}");
        Arc::new(LiveFile {
            path: format!("{folder}/a.parquet").into(),
            run: "run".into(),
            part: 0,
            bytes: 1_234_567,
            rows: 4_321,
            licence: LicenceId::new("CC-BY-4.0"),
            superseded,
            period: month.into(),
            sha256: "".into(),
            committed_at_ms: 0,
            statistics: BTreeMap::new(),
        })
    };
    Arc::make_mut(heat).files = Arc::new(vec![
        file("2026-10", false),
        file("2026-11", false),
        file("2026-12", true),
    ]);
    let snapshot = Arc::new(ArcSwap::from_pointee(lake));
    let router = crate::public_router(fixture::state_over(snapshot));
    let answer = fixture::get(router, "/datasets/heat?lang=en").await;
    // The files are not there: the page is whole without the rows.
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(answer.body.contains("There are no rows to show now."));
    let files: Vec<String> = links(&answer.body)
        .into_iter()
        .filter(|link| link.starts_with("/files/"))
        .collect();
    let path = |month: &str| {
        format!("/files/heat/licence=CC-BY-4.0/superseded=false/month={month}/a.parquet")
    };
    assert_eq!(files, [path("2026-11"), path("2026-10")]);
    assert!(answer.body.contains("4,321") && answer.body.contains("1,235 kB"));
    let copied = copied(&answer.body);
    let over_file = format!(
        "SELECT * FROM read_parquet('http://localhost{}') LIMIT 10;",
        path("2026-11")
    );
    assert!(copied.contains(&over_file), "{copied:?}");
}
