use super::*;

/// Commits that are said at most once in ten minutes.
#[test]
fn many_commits_are_one_line_and_those_without_rows_none() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let (air, heat) = (DatasetId::new("air"), DatasetId::new("heat"));
    let mut summary = CommitSummary::default();
    // An idle daemon moves positions on and says nothing, however long.
    for minutes in 0..60 {
        summary.add(&air, 0, at(minutes * 60));
        assert!(!summary.is_due(at(minutes * 60)));
    }
    for minutes in 60..70 {
        summary.add(&air, 100, at(minutes * 60));
        summary.add(&heat, 20, at(minutes * 60));
        assert!(!summary.is_due(at(minutes * 60)), "minute {minutes}");
    }
    assert_eq!((summary.commits, summary.rows), (20, 1_200));
    assert_eq!(summary.datasets, [air, heat].into());
    assert!(!summary.is_due(at(70 * 60 - 1)));
    assert!(summary.is_due(at(70 * 60)));
    summary.tell_if_due(at(70 * 60));
    assert_eq!((summary.commits, summary.rows), (0, 0));
    assert!(summary.since.is_none() && summary.datasets.is_empty());
    assert!(!summary.is_due(at(90 * 60)));
}
