use meetnet_lake::check::{Counts, Finding, FindingKind, Place, Severity};
use meetnet_lake::known::TablePosition;
use meetnet_lake::repair::{
    HeldPart, KeyRange, LeftAlone, QuarantinedFile, RawFrames, SourceRange, TimeRange,
};
use meetnet_model::ids::Sequence;

use super::*;

fn finding() -> Finding {
    Finding {
        place: Place::Table {
            dataset: "heat".into(),
            file: Some("a.parquet".to_owned()),
        },
        severity: Severity::Damage,
        kind: FindingKind::FileHash,
        what: "its content is another".to_owned(),
        to_do: "restore it".to_owned(),
    }
}

fn quarantined() -> QuarantinedFile {
    let at = TimeRange { first: 0, last: 0 };
    let sources = SourceRange {
        least: "garden".to_owned(),
        greatest: "garden".to_owned(),
    };
    QuarantinedFile {
        dataset: "heat".into(),
        path: "a.parquet".to_owned(),
        kept_as: Some("_quarantine/a.parquet".to_owned()),
        fault: FindingKind::FileHash,
        what: "its content is another".to_owned(),
        rows: 8,
        superseded: false,
        held: vec![HeldPart {
            rows: 8,
            is_read: true,
            keys: vec![KeyRange {
                column: "sensor_id".to_owned(),
                least: "x".to_owned(),
                greatest: "y".to_owned(),
            }],
            sources: sources.clone(),
            received_at: at,
            recorded_at: at,
        }],
        raw: vec![RawFrames {
            sources,
            wanted: at,
            frames: 2,
            sequences: Some((Sequence(5), Sequence(6))),
            found: Some(at),
            files: vec!["one.journal".to_owned()],
            begins_later: true,
        }],
        has_imports: true,
    }
}

fn answer(findings: Vec<Finding>, repaired: Option<Repaired>) -> Answer {
    Answer {
        accepted: vec![],
        repaired,
        report: Report {
            findings,
            counts: Counts::default(),
        },
    }
}

#[test]
fn the_text_says_what_is_wrong_and_what_to_do() {
    let check = |answer: Answer, expect: &[&str], failed: Option<&str>| {
        let text = text::describe(&answer);
        for expect in expect {
            assert!(text.contains(expect), "`{expect}` in: {text}");
        }
        let judged = answer
            .judge()
            .err()
            .map(|failure| failure.error().to_string());
        assert_eq!(judged.as_deref(), failed);
        let json = serde_json::to_value(&answer).unwrap();
        assert!(
            json["findings"].is_array() && json["counts"]["rows"].is_u64(),
            "{json}"
        );
    };
    check(answer(vec![], None), &["nothing is wrong"], None);
    check(
        answer(vec![finding()], None),
        &[
            "damage   table heat, a.parquet\n",
            "what to do: restore it\n",
        ],
        Some("1 problem found"),
    );
    let repaired = Repaired {
        files: vec![quarantined()],
        left: vec![],
    };
    check(
        answer(vec![], Some(repaired.clone())),
        &[
            "taken out of table heat: a.parquet\n",
            "kept as _quarantine/a.parquet\n",
            "8 rows: sensor_id x to y\n",
            "2 raw messages of source garden",
            "but not back to its beginning",
            "sequences 5 to 6, in one.journal\n",
            "  files were imported into heat: those that its rows came from bring them back",
            "\n    meetnet rejects replay --all-messages --sequence 5..6 --source garden --config FILE\n",
        ],
        None,
    );
    let at = |version, through| TablePosition {
        version,
        through: Sequence(through),
    };
    let lost = |found| LostTable {
        dataset: "heat".into(),
        known: at(26, 40),
        found,
    };
    check(
        Answer {
            accepted: vec![lost(None), lost(Some(at(3, 5)))],
            ..answer(vec![], None)
        },
        &[
            "accepted: table `heat` is missing, and was at version 26 with messages through 40\n",
            "accepted: table `heat` is at version 3 with messages through 5, and was at version 26",
            "nothing is wrong",
        ],
        None,
    );
    let left = LeftAlone {
        dataset: "heat".into(),
        path: None,
        reason: "no disk".to_owned(),
    };
    check(
        answer(
            vec![],
            Some(Repaired {
                left: vec![left],
                ..repaired
            }),
        ),
        &["not repaired: table heat, the table: no disk\n"],
        Some("0 problems found, 1 place not repaired"),
    );
}
