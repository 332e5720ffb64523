use arrow::datatypes::{DataType, Field, Schema};
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit, table_scan};

use super::*;
use crate::fixture::Database;

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

/// Returns true where a subquery is grouped before these keys are looked up in it.
fn is_grouped(right: LogicalPlanBuilder, keys: &[&str]) -> bool {
    let names = |table: &str| keys.iter().map(|key| format!("{table}.{key}")).collect();
    let keys: (Vec<String>, Vec<String>) = (names("a"), names("b"));
    let right = right.build().expect("a plan");
    let join = scan("a").join(right, JoinType::LeftSemi, keys, None);
    let plan = join.expect("a join").build().expect("a plan");
    let groups = |text: &str| text.matches("Aggregate:").count();
    let before = groups(&plan.display_indent().to_string());
    groups(&shown(plan)) > before
}

#[test]
fn what_is_grouped_is_not_grouped_again() {
    let groups = |columns: &[&str]| {
        let columns: Vec<Expr> = columns.iter().map(|name| col(*name)).collect();
        let grouped = scan("b").aggregate(columns, vec![max(col("b.y"))]);
        grouped.expect("groups")
    };
    let pairs = || groups(&["b.x", "b.y"]);
    let where_y = |is_one: bool| {
        let condition = match is_one {
            true => lit("one").eq(col("b.y")),
            false => col("b.y").not_eq(lit("one")),
        };
        pairs().filter(condition).expect("a condition")
    };
    let columns = |names: &[&str]| {
        let columns: Vec<Expr> = names.iter().map(|name| col(*name)).collect();
        pairs().project(columns).expect("columns")
    };
    let limited = groups(&["b.x"]).limit(0, Some(9)).expect("a limit");
    for (right, keys, expect) in [
        (scan("b"), vec!["x"], true),
        (groups(&["b.x"]), vec!["x"], false),
        (limited, vec!["x"], false),
        (pairs(), vec!["x"], true),
        (pairs(), vec!["y", "x"], false),
        (where_y(true), vec!["x"], false),
        (where_y(false), vec!["x"], true),
        (columns(&["b.y", "b.x"]), vec!["x", "y"], false),
        (columns(&["b.y"]), vec!["y"], true),
        (scan("b").distinct().expect("rows"), vec!["x", "y"], true),
    ] {
        let text = right.plan().display_indent().to_string();
        assert_eq!(is_grouped(right, &keys), expect, "{keys:?} in {text}");
    }
}

/// The key of the counts is `segment_id` and `time`.
#[tokio::test]
async fn keys_of_a_dataset_are_there_once_already() {
    let database = Database::new();
    let same_key = "b.segment_id = a.segment_id AND b.time = a.time";
    for (condition, expect) in [
        (
            format!("EXISTS (SELECT 1 FROM counts AS b WHERE {same_key})"),
            false,
        ),
        (
            format!("NOT EXISTS (SELECT 1 FROM counts AS b WHERE {same_key})"),
            false,
        ),
        (
            format!("EXISTS (SELECT 1 FROM counts_history AS b WHERE {same_key})"),
            true,
        ),
        (
            "EXISTS (SELECT 1 FROM counts AS b WHERE b.time = a.time)".to_owned(),
            true,
        ),
        (
            "time IN (SELECT time FROM counts WHERE segment_id = 1)".to_owned(),
            false,
        ),
        (
            "time IN (SELECT t FROM (SELECT time AS t FROM counts WHERE segment_id = 1) AS b)"
                .to_owned(),
            false,
        ),
        (
            "time IN (SELECT time FROM counts WHERE segment_id > 1)".to_owned(),
            true,
        ),
        (
            "segment_id IN (SELECT segment_id FROM counts WHERE segment_id < 9)".to_owned(),
            true,
        ),
    ] {
        let sql = format!("EXPLAIN SELECT car FROM counts AS a WHERE {condition}");
        let plan = database.text(&sql).await;
        assert_eq!(
            plan.contains("AggregateExec"),
            expect,
            "{condition}: {plan}"
        );
        assert!(plan.contains("Join"), "{plan}");
    }
}
