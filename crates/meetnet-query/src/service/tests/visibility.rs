//! What a session may not see is in no answer: private datasets, rows of other licences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::schemas;

use super::{service, text};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest, SessionKind};
use crate::service::QueryService;

/// What a long dataset measures, and in which unit: by what is declared now, and of what a session may see.
#[tokio::test]
async fn properties_are_those_declared_now_of_datasets_that_are_seen() {
    let lake = fixture::Lake::new();
    for (id, kind) in [("heat", DatasetKind::Long), ("air", DatasetKind::Private)] {
        lake.publish(lake.table(&fixture::declaration(id, kind)));
    }
    let declarations = schemas::builtin().into_declarations([]);
    let now = Arc::new(ArcSwap::from_pointee(declarations.clone()));
    let options = QueryOptions {
        declarations: Some(Arc::clone(&now)),
        ..QueryOptions::default()
    };
    let declared = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let units = "SELECT concat('units ', string_agg(dataset || ' ' || unit, ', ' ORDER BY dataset))
                 FROM properties WHERE property IN ('air_temperature', 'no2')";
    let check = async |service: &QueryService, request: QueryRequest, expected: &str| {
        let told = text(service, request).await.expect("units");
        assert!(told.contains(expected), "no `{expected}` in\n{told}");
    };
    for service in [&declared, &service(&lake)] {
        check(service, QueryRequest::public(units), "units heat Cel ").await;
        let private = QueryRequest::private(units);
        check(service, private, "units air ug/m3, heat Cel ").await;
    }
    let mut changed = declarations;
    for property in &mut changed.properties {
        Arc::make_mut(property).unit = "K".to_owned();
    }
    now.store(Arc::new(changed));
    check(&declared, QueryRequest::public(units), "units heat K ").await;
    // No table tells that a unit has changed: such an answer is not kept, and has no tag.
    for (sql, is_kept) in [
        ("SELECT place FROM heat", true),
        (
            "SELECT unit FROM heat JOIN properties ON place = property",
            false,
        ),
    ] {
        let answer = declared.query(QueryRequest::public(sql)).await;
        let state = answer.expect("an answer").state;
        assert_eq!(state.is_some(), is_kept, "{sql}");
    }
}

#[tokio::test]
async fn private_datasets_exist_for_the_data_team_only() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT count(*) FROM notes";
    assert!(
        text(&service, QueryRequest::private(sql))
            .await
            .expect("rows")
            .contains("| 1 ")
    );
    let tables = text(&service, QueryRequest::public("SHOW TABLES"))
        .await
        .expect("tables");
    assert!(
        tables.contains("counts") && !tables.contains("notes"),
        "{tables}"
    );
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'notes'";
    let columns = service
        .query(QueryRequest::public(columns))
        .await
        .expect("columns")
        .collect()
        .await;
    assert_eq!(columns.expect("columns").len(), 0);
}

#[tokio::test]
async fn no_row_of_another_licence_gets_through() {
    let lake = fixture::lake();
    let service = service(&lake);
    let only = |licence: &str, sql: &str| QueryRequest {
        licences: Some(BTreeSet::from([LicenceId::new(licence)])),
        ..QueryRequest::private(sql)
    };
    // Whatever names the dataset: itself, its history, a time, a subquery, a join.
    for (licence, sql, rows) in [
        ("ODbL-1.0", "SELECT count(*) FROM counts", 10),
        ("CC0-1.0", "SELECT count(*) FROM counts", 601),
        ("CC-BY-4.0", "SELECT count(*) FROM counts", 0),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM counts WHERE licence <> 'ODbL-1.0'",
            0,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM meetnet.public.counts AS c",
            10,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM (SELECT * FROM counts LIMIT 1000)",
            10,
        ),
        ("ODbL-1.0", "SELECT count(*) FROM revised_history", 2),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM revised_as_of('2026-02-11T00:00:00Z')",
            1,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM generate_series(1, 1) WHERE 1 IN (SELECT segment_id FROM counts)",
            0,
        ),
        (
            "CC0-1.0",
            "SELECT count(*) FROM counts a JOIN counts b USING (segment_id, time) WHERE a.segment_id = 9",
            0,
        ),
        (
            "ODbL-1.0",
            "WITH c AS (SELECT * FROM counts UNION ALL SELECT * FROM counts) SELECT count(*) FROM c",
            20,
        ),
    ] {
        let mut answer = service.query(only(licence, sql)).await.expect(sql);
        let batches = answer.collect().await.expect(sql);
        let counted = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(counted, rows, "{licence}: {sql}");
    }
}

/// Declares a licence of a source, or of the dataset itself.
fn declare(lake: &fixture::Lake, dataset: &str, change: impl Fn(&mut DatasetDeclaration)) {
    let snapshot = lake.snapshot.load_full();
    let table = &snapshot.tables[&DatasetId::new(dataset)];
    let mut declaration = (*table.declaration).clone();
    change(&mut declaration);
    let table = TableSnapshot {
        declaration: Arc::new(declaration),
        ..(**table).clone()
    };
    let mut tables = snapshot.tables.clone();
    tables.insert(DatasetId::new(dataset), Arc::new(table));
    lake.snapshot.store(Arc::new(LakeSnapshot { tables }));
}

#[tokio::test]
async fn a_licence_that_nobody_knows_is_refused_with_those_that_are_known() {
    let lake = fixture::lake();
    declare(&lake, "counts", |counts| {
        let source = (LicenceId::new("LicenseRef-Club"), vec!["Club".to_owned()]);
        counts.source_licences = BTreeMap::from([source]);
        counts.licence = Some(LicenceId::new("LicenseRef-City"));
    });
    declare(&lake, "notes", |notes| {
        notes.licence = Some(LicenceId::new("LicenseRef-Team"));
    });
    let service = service(&lake);
    let anybody = SessionKind::Public;
    let cases: [(SessionKind, &[&str], Option<&str>); 7] = [
        (anybody, &["CC0-1.0", "ODbL-1.0"], None),
        // Known, though no row has it.
        (anybody, &["PDDL-1.0"], None),
        (anybody, &["LicenseRef-Club", "LicenseRef-City"], None),
        (anybody, &["CC-BY-4.O"], Some("CC-BY-4.O")),
        (anybody, &["CC0-1.0", "cc0-1.0"], Some("cc0-1.0")),
        // What a private dataset has is known to the data team only.
        (anybody, &["LicenseRef-Team"], Some("LicenseRef-Team")),
        (SessionKind::Private, &["LicenseRef-Team"], None),
    ];
    for (session, licences, refused) in cases {
        let request = QueryRequest {
            session,
            licences: Some(licences.iter().map(LicenceId::new).collect()),
            ..QueryRequest::public("SELECT count(*) FROM counts")
        };
        let answer = service.query(request.clone()).await.map(drop);
        let described = service.describe(request, Vec::new()).await.map(drop);
        for outcome in [answer, described] {
            let error = outcome.err();
            assert_eq!(
                error.is_some(),
                refused.is_some(),
                "{licences:?}: {error:?}"
            );
            let (Some(error), Some(refused)) = (error, refused) else {
                continue;
            };
            assert_eq!(error.kind, QueryErrorKind::BadRequest);
            let said = &error.message;
            assert!(
                said.starts_with(&format!("`{refused}` is no known")),
                "{said}"
            );
            for known in ["CC0-1.0", "PDDL-1.0", "LicenseRef-City", "LicenseRef-Club"] {
                assert!(said.contains(known), "{said}");
            }
            assert_eq!(
                said.matches("LicenseRef-Team").count(),
                usize::from(refused == "LicenseRef-Team")
            );
        }
    }
}
