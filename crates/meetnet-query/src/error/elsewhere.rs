//! What to write in place of functions that other databases have.

/// Returns what stands here for a function of another database; None for a name that none has.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "dayofweek" | "weekday" | "todayofweek" => {
            "date_part('isodow', time), which is 1 on Mondays, or date_part('dow', time), which is 0 on Sundays"
        }
        "dayofyear" | "todayofyear" => "date_part('doy', time)",
        "dayofmonth" | "todayofmonth" => "day(time)",
        "toyear" => "year(time)",
        "tomonth" => "month(time)",
        "tohour" => "hour(time)",
        "tominute" => "minute(time)",
        "epoch" | "unix_timestamp" | "tounixtimestamp" => "date_part('epoch', time)",
        "tostartofhour" | "tostartofday" | "tostartofweek" | "tostartofmonth" | "tostartofyear"
        | "tostartofinterval" => "time_bucket(INTERVAL '1 hour', time), or of any other interval",
        "date_diff" | "datediff" | "timestampdiff" | "timediff" => {
            "date_part('epoch', b - a), the seconds from a to b"
        }
        "date_add" | "dateadd" | "adddate" | "timestampadd" => "time + INTERVAL '1 day'",
        "date_sub" | "datesub" | "subdate" => "time - INTERVAL '1 day'",
        "date_format" | "strftime" | "formatdatetime" => "to_char(time, '%Y-%m-%d %H:%M')",
        "str_to_date" | "strptime" | "parsedatetime" => "to_timestamp(text, '%d/%m/%Y %H:%M')",
        "dayname" => "to_char(time, '%A')",
        "monthname" => "to_char(time, '%B')",
        "weekofyear" | "toisoweek" => "week(time)",
        "yearweek" => "to_char(time, '%G-W%V')",
        "epoch_ms" | "epoch_us" | "epoch_ns" => "date_part('epoch', time) * 1000",
        "make_timestamp" | "make_timestamptz" => {
            "make_date(2026, 1, 31) + make_interval(hours => 12, mins => 30)"
        }
        "getdate"
        | "sysdate"
        | "systimestamp"
        | "clock_timestamp"
        | "statement_timestamp"
        | "transaction_timestamp" => "now()",
        "curdate" => "current_date",
        "last_day" => "date_trunc('month', time) + INTERVAL '1 month' - INTERVAL '1 day'",
        "group_concat" | "listagg" => "string_agg(text, ', ')",
        "max_by" | "arg_max" | "argmax" => {
            "last(value, time), or first_value(value ORDER BY by DESC)"
        }
        "min_by" | "arg_min" | "argmin" => "first(value, time), or first_value(value ORDER BY by)",
        "percentile" | "quantile" => "percentile_cont(0.95) WITHIN GROUP (ORDER BY value)",
        "approx_quantile" => "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY value)",
        "percentile_disc" | "quantile_disc" => {
            "percentile_disc(0.95) WITHIN GROUP (ORDER BY value), of one number from 0 to 1 that is written there, without OVER: of several, one call for each"
        }
        "count_if" | "countif" => "count(*) FILTER (WHERE condition)",
        "sum_if" | "sumif" => "sum(x) FILTER (WHERE condition)",
        "avg_if" | "avgif" => "avg(x) FILTER (WHERE condition)",
        "product" | "geomean" | "geometric_mean" => "exp(sum(ln(x))), or exp(avg(ln(x)))",
        "list" | "grouparray" => "array_agg(x)",
        "histogram" => "width_bucket(x, low, high, count), and GROUP BY it",
        "std" | "stdev" => "stddev(x)",
        "if" | "iif" => "CASE WHEN condition THEN a ELSE b END",
        "isnull" => "x IS NULL, or coalesce(x, y)",
        "safe_cast" | "to_number" => "TRY_CAST(x AS DOUBLE)",
        "mod" => "a % b",
        "div" => "a / b of whole numbers, which leaves out the rest, or trunc(a / b)",
        "trim_array" => "list[:array_length(list) - n]",
        "num_nulls" => "(a IS NULL)::int + (b IS NULL)::int",
        "num_nonnulls" => "(a IS NOT NULL)::int + (b IS NOT NULL)::int",
        "timezone" => "time AT TIME ZONE 'Europe/Brussels'",
        "make_interval" => {
            "make_interval(hours => n), with years, months, weeks, days, hours, mins or secs, each once"
        }
        "md5" | "sha1" | "sha256" | "hashtext" | "hashtextextended" => {
            "the value itself, which compares and groups as well: hashes are not made here"
        }
        "format" | "printf" => {
            "format('%s of %s', a, b), which knows %s alone, concat(a, ' ', b), or to_char(time, '%Y-%m-%d')"
        }
        "len" => "length(text), or array_length(list)",
        "regexp_extract" | "regexp_substr" => "regexp_match(text, pattern)[1]",
        "regexp_matches" | "regexp_full_match" => {
            "regexp_like(text, pattern), text ~ pattern, or regexp_match(text, pattern)"
        }
        "string_split" | "str_split" | "regexp_split_to_array" | "splitbychar" => {
            "string_to_array(text, ',')"
        }
        "typeof" => "arrow_typeof(x)",
        "charindex" => "strpos(text, part)",
        "ucase" => "upper(text)",
        "lcase" => "lower(text)",
        "generate_series" | "range" => "SELECT value FROM generate_series(1, 9)",
        _ => return None,
    })
}
