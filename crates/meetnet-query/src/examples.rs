//! Runs what is shown to analysts: the examples of the view `functions`, and those of `docs/sql.md` with their results.

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};

use crate::fixture::{Database, shown};

#[tokio::test]
async fn every_function_has_an_example_that_runs() {
    let database = Database::new();
    let batches = database
        .batches("SELECT name, signature, example FROM functions")
        .await;
    let mut examples = 0;
    for batch in &batches {
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let (names, signatures, statements) = (text(0), text(1), text(2));
        for row in 0..batch.num_rows() {
            let (name, statement) = (names.value(row), statements.value(row));
            assert!(
                signatures.value(row).starts_with(&format!("{name}(")),
                "{name}"
            );
            assert!(
                statement.contains(&format!("{name}(")),
                "{name}: {statement}"
            );
            let found = database.row(statement).await;
            // Where there are no rows, the frame of the table stands in their place.
            assert!(
                !found.starts_with('+') && !found.is_empty(),
                "{name}: {statement}"
            );
            examples += 1;
        }
    }
    assert!(examples > 20, "{examples}");
}

#[tokio::test]
async fn every_example_of_the_page_shows_what_comes_of_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let database = Database::new();
    let (mut statement, mut shown) = (None, 0);
    for (kind, text) in blocks(&page) {
        match (kind, statement.take()) {
            ("sql", None) => statement = Some(text),
            ("text", Some(sql)) => {
                let expected: Vec<Vec<String>> = text.lines().map(cells).collect();
                assert_eq!(table(&database.batches(&sql).await), expected, "{sql}");
                shown += 1;
            }
            (kind, _) => panic!("a block `{kind}` out of turn: a statement, then what it shows"),
        }
    }
    assert!(shown > 5, "{shown}");
}

/// Returns the fenced blocks of a page: what they are, and their text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Returns the names of the columns, then the rows; NULL is an empty cell.
fn table(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let schema = batches.first().expect("rows").schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let mut table = vec![names.collect()];
    for batch in batches {
        let rows = shown(batch).expect("cells").into_iter();
        table.extend(rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()));
    }
    table
}

/// Returns the cells of a line, which bars part.
fn cells(line: &str) -> Vec<String> {
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}
