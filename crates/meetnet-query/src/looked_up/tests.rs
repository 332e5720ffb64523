use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit, table_scan};

use super::*;

fn scan(name: &str) -> LogicalPlanBuilder {
    let list = DataType::new_list(DataType::Int64, true);
    let schema = Schema::new(vec![
        Field::new("x", DataType::Int64, true),
        Field::new("y", DataType::Utf8, true),
        Field::new("l", list, true),
    ]);
    table_scan(Some(name), &schema, None).expect("a table")
}

fn joined(join_type: JoinType, key: &str, filter: Option<Expr>) -> LogicalPlan {
    let right = scan("b").build().expect("a plan");
    let keys = (vec![format!("a.{key}")], vec![format!("b.{key}")]);
    let join = scan("a").join(right, join_type, keys, filter);
    join.expect("a join").build().expect("a plan")
}

fn shown(plan: LogicalPlan) -> String {
    let plan = each_once(plan).expect("a plan");
    plan.display_indent().to_string()
}

#[test]
fn keys_that_are_looked_up_are_there_once() {
    for join_type in [JoinType::LeftSemi, JoinType::LeftAnti, JoinType::LeftMark] {
        for key in ["x", "y"] {
            let plan = joined(join_type, key, None);
            let schema = Arc::clone(plan.schema());
            let once = each_once(plan).expect("a plan");
            assert_eq!(once.schema(), &schema, "{join_type}");
            let text = once.display_indent().to_string();
            let grouped = format!("Aggregate: groupBy=[[b.{key}]], aggr=[[]]");
            assert!(text.contains(&grouped), "{text}");
            assert_eq!(shown(once), text, "once more");
        }
    }
}

#[test]
fn a_key_that_is_computed_is_there_once_too() {
    let key = |table: &str| col(format!("{table}.x")) % lit(10_i64);
    let right = scan("b").build().expect("a plan");
    let keys = (vec![key("a")], vec![key("b")]);
    let join = scan("a").join_with_expr_keys(right, JoinType::LeftAnti, keys, None);
    let plan = join.expect("a join").build().expect("a plan");
    let text = shown(plan);
    for part in [
        "LeftAnti Join: a.x % Int64(10) = b.x % Int64(10)",
        "Aggregate: groupBy=[[b.x % Int64(10)]], aggr=[[]]",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_wants_more_than_keys_stays_as_it_is() {
    let more = col("b.y").gt(col("a.y"));
    for plan in [
        joined(JoinType::Inner, "x", None),
        joined(JoinType::Left, "x", None),
        joined(JoinType::RightSemi, "x", None),
        joined(JoinType::LeftSemi, "x", Some(more)),
        joined(JoinType::LeftSemi, "l", None),
    ] {
        let before = plan.display_indent().to_string();
        assert_eq!(shown(plan), before);
    }
}
