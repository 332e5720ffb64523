use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::aggregates::PhysicalGroupBy;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};

use super::*;
use crate::cooperative::Cooperative;

/// Two partitions of batches whose rows lie as in files: `sensor`, `property`, `time`, and a `value` with gaps. Some
/// sensors have no name, and the second partition goes on with the sensors of the first.
fn table() -> Result<MemTable> {
    let field = |name: &str, of: DataType| Field::new(name, of, true);
    let schema = Arc::new(Schema::new(vec![
        field("sensor", DataType::Utf8),
        field("property", DataType::Utf8),
        field("time", DataType::Int64),
        field("value", DataType::Float64),
    ]));
    let batch = |first: i64| {
        let rows = first..first + 500;
        let sensor = rows.clone().map(|row| match row / 130 {
            3 => None,
            number => Some(format!("sensor with a long name {number}")),
        });
        let property = rows
            .clone()
            .map(|row| if row / 65 % 2 == 0 { "a" } else { "b" });
        let value = rows
            .clone()
            .map(|row| (row % 11 != 0).then_some((row % 17) as f64));
        RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(StringArray::from_iter(sensor)),
                Arc::new(StringArray::from_iter_values(property)),
                Arc::new(Int64Array::from_iter_values(rows)),
                Arc::new(Float64Array::from_iter(value)),
            ],
        )
    };
    let partition = |first: i64| {
        (first..first + 2_000)
            .step_by(500)
            .map(batch)
            .collect::<Result<Vec<_>, _>>()
    };
    MemTable::try_new(Arc::clone(&schema), vec![partition(0)?, partition(1_900)?])
}

/// Returns what is asked, with and without the rule, and whether runs were grouped.
async fn asked(sql: &str, partitions: usize) -> Result<(String, String, bool)> {
    let mut answers = Vec::new();
    let mut is_grouped = false;
    for has_rule in [true, false] {
        let mut state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(partitions))
            .with_default_features();
        if has_rule {
            state = state.with_physical_optimizer_rule(Arc::new(GroupedRuns));
        }
        let context = SessionContext::new_with_state(state.build());
        context.register_table("rows", Arc::new(table()?))?;
        let rows = context.sql_with_options(sql, SQLOptions::new()).await?;
        let plan = rows.create_physical_plan().await?;
        is_grouped |= displayable(plan.as_ref())
            .indent(false)
            .to_string()
            .contains("RunAggregateExec: mode=Partial");
        let batches = collect(plan, context.task_ctx()).await?;
        let shown = pretty_format_batches(&batches)?.to_string();
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        answers.push(lines.join("\n"));
    }
    let without = answers.pop().unwrap_or_default();
    Ok((answers.pop().unwrap_or_default(), without, is_grouped))
}

async fn check(sql: &str, is_grouped: bool) -> Result<()> {
    for partitions in [1, 2] {
        let (with, without, grouped) = asked(sql, partitions).await?;
        assert_eq!(with, without, "{sql}");
        assert_eq!(grouped, is_grouped, "{sql}, {partitions} partitions");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_answers() -> Result<()> {
    for sql in [
        "SELECT sensor, count(*), count(value), sum(value), avg(value), min(value), max(time) FROM rows GROUP BY 1",
        "SELECT sensor, property, count(*) FILTER (WHERE value > 5), avg(value) FILTER (WHERE time % 2 = 0) FROM rows GROUP BY 1, 2",
        "SELECT property, time / 50, sum(value) FROM rows WHERE value > 3 GROUP BY 1, 2",
        "SELECT time % 7, count(*) FROM rows GROUP BY 1",
        "SELECT sensor IS NULL, count(*) FROM rows GROUP BY 1",
        "SELECT DISTINCT sensor, property FROM rows",
        "SELECT time / 100, count(DISTINCT sensor) FROM rows GROUP BY 1",
        "SELECT sensor, percentile_cont(0.9) WITHIN GROUP (ORDER BY value) FROM rows GROUP BY 1",
        "SELECT sensor, last_value(value ORDER BY time) FROM rows GROUP BY 1",
        "SELECT sensor, count(*) AS n FROM rows GROUP BY 1 HAVING count(*) > 130 ORDER BY n DESC, sensor LIMIT 3",
        "SELECT half, count(*) FROM (SELECT sensor, time / 65 AS half FROM rows UNION ALL SELECT property, time FROM rows) GROUP BY 1",
        "SELECT sensor, count(*) FROM rows WHERE time < 0 GROUP BY 1",
    ] {
        check(sql, true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_has_no_runs_stays() -> Result<()> {
    for sql in [
        "SELECT count(*), avg(value) FROM rows",
        "SELECT sensor, property, count(*) FROM rows GROUP BY GROUPING SETS ((sensor), (property), ())",
        "SELECT sensor, array_agg(DISTINCT property ORDER BY property) FROM rows GROUP BY 1",
    ] {
        check(sql, false).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_reads_groups_out_gives_way_to_cancellation() -> Result<()> {
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(1))
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(GroupedRuns))
        .with_physical_optimizer_rule(Arc::new(Cooperative));
    let context = SessionContext::new_with_state(state.build());
    context.register_table("rows", Arc::new(table()?))?;
    let sql = "SELECT sensor, count(*) FROM rows GROUP BY 1";
    let rows = context.sql_with_options(sql, SQLOptions::new()).await?;
    let plan = rows.create_physical_plan().await?;
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    let above = lines
        .windows(2)
        .find(|pair| pair[1].starts_with("RunAggregateExec"))
        .map(|pair| pair[0]);
    assert_eq!(above, Some("CooperativeExec"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn groups_that_memory_does_not_hold_go_on() -> Result<()> {
    let table: Arc<dyn ExecutionPlan> = {
        let context = SessionContext::new();
        context.register_table("rows", Arc::new(table()?))?;
        let rows = context
            .sql_with_options("SELECT time FROM rows", SQLOptions::new())
            .await?;
        rows.create_physical_plan().await?
    };
    let time = (
        datafusion::physical_expr::expressions::col("time", &table.schema())?,
        "time".to_owned(),
    );
    let step = AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(vec![time]),
        Vec::new(),
        Vec::new(),
        Arc::clone(&table),
        table.schema(),
    )?;
    let step: Arc<dyn ExecutionPlan> = Arc::new(RunAggregateExec::new(Arc::new(step)));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(1)))
        .build_arc()?;
    let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let states = collect(step, context.task_ctx()).await?;
    let read = collect(table, SessionContext::new().task_ctx()).await?;
    // Times differ but for those that both partitions have.
    assert_eq!(rows(&states), rows(&read));
    assert!(states.len() > 2, "each batch goes on by itself");
    Ok(())
}

#[test]
fn gathering_stops_where_it_makes_nothing_fewer() {
    for (rows, groups, expected) in [
        (50_000, 50_000, false),
        (100_000, 90_000, true),
        (100_000, 79_000, false),
    ] {
        let mut probe = exec::Probe::default();
        probe.add(rows, groups);
        assert_eq!(probe.is_useless, expected, "{rows} rows, {groups} groups");
    }
}
