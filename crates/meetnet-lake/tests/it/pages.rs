//! The pages of files as they are written outside unit tests, which have small ones.

use bytes::Bytes;
use meetnet_testkit::files::FaultyFiles;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;

use crate::city::{LAKE, apply, heat, open};

/// Rows of each of two sensors.
const ROWS: i64 = 4_464;

#[test]
fn declared_columns_have_pages_by_the_pace_of_their_series_which_begin_at_the_same_rows() {
    // Minutes between two rows, and how many pages that makes. Ten minutes are a month of rows.
    for (minutes, pages) in [(10, 9), (5, 5), (1, 2)] {
        let files = FaultyFiles::new();
        let mut lake = open(&files, 0, |_| {}).expect("opens");
        let of_sensor =
            |sensor| (0..ROWS).map(move |row| (sensor, row * minutes, (row % 50) as f64));
        let rows: Vec<_> = (1..=2).flat_map(of_sensor).collect();
        apply(&mut lake, 1, &rows).expect("applied");
        lake.commit_all().expect("committed");
        let snapshot = heat(&mut lake);
        assert_eq!(snapshot.files.len(), 1);
        let path = std::path::Path::new(LAKE)
            .join("heat")
            .join(&*snapshot.files[0].path);
        let content = Bytes::from(files.content(&path).expect("a live file"));
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&content, options).expect("a footer");
        let indexes = metadata.metadata().offset_index().expect("a page index");
        let columns = metadata.schema().fields().iter().zip(&indexes[0]);
        for (field, index) in columns {
            let starts: Vec<i64> = index
                .page_locations()
                .iter()
                .map(|page| page.first_row_index)
                .collect();
            let is_declared =
                ["sensor_id", "property", "time", "value"].contains(&field.name().as_str());
            let expected = if is_declared { pages } else { 1 };
            // A column of nulls has no rows to divide.
            if field.name() != "interval_s" {
                assert_eq!(
                    starts.len(),
                    expected,
                    "{} at {minutes} minutes",
                    field.name()
                );
            }
            if is_declared && minutes == 10 {
                let all: Vec<i64> = (0..9).map(|page| page * 1_024).collect();
                assert_eq!(starts, all, "{}", field.name());
            }
        }
    }
}
