use super::*;

#[test]
fn figures_have_as_many_decimals_as_they_need() {
    let texts = [0, 10_000, 215_000, -5_000, 1, 12_340_000].map(decimal);
    assert_eq!(texts, ["0", "1", "21.5", "-0.5", "0.0001", "1234"]);
}

#[test]
fn cells_stand_under_each_other() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let text = table(&[row(["source", "of", "rows"]), row(["a", "temp", ""])]);
    assert_eq!(text, "  source  of    rows\n  a       temp\n");
}
