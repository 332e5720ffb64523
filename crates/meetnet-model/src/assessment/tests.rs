use super::*;

#[test]
fn slots_divide_a_day_and_series_stay_for_a_month_at_most() {
    let check = |slot_s: u32, active_days: u32, expect: &str| {
        let assessment = Assessment {
            grace_s: 0,
            every_s: 0,
            slot_s,
            active_days,
        };
        let problem = assessment.problem().unwrap_or_default();
        assert!(
            problem.contains(expect) && problem.is_empty() == expect.is_empty(),
            "{slot_s} {active_days}: {problem}"
        );
    };
    check(3_600, 7, "");
    check(86_400, 31, "");
    check(1_350, 1, "");
    check(1_349, 7, "`slot_s`");
    check(7_000, 7, "`slot_s`");
    check(0, 7, "`slot_s`");
    check(90_000, 7, "`slot_s`");
    check(3_600, 0, "`active_days`");
    check(3_600, 32, "`active_days`");
}

#[test]
fn observed_datasets_are_those_that_sources_fill() {
    let schemas = crate::schemas::builtin();
    let judged: Vec<&str> = schemas
        .datasets
        .values()
        .filter(|dataset| Assessment::judges(dataset))
        .map(|dataset| dataset.id.as_str())
        .collect();
    assert_eq!(judged, ["air", "heat", "noise", "traffic"]);
}
