//! Wrong configurations: what is said about them, and where.

use super::{SOURCE, parse, right};

mod sources;

/// Checks that the one problem of `text` is `expect`.
fn check(text: &str, expect: &str) {
    check_with(text, &[], expect);
}

fn check_with(text: &str, environment: &[(&str, &str)], expect: &str) {
    let problems = match parse(text, environment) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.problems,
    };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [expect.to_owned()], "in\n{text}");
}

/// The source with one line changed; its first line is line 2.
fn source(from: &str, to: &str) -> String {
    assert!(SOURCE.contains(from), "{from}");
    SOURCE.replacen(from, to, 1)
}

#[test]
fn unknown_names_come_with_a_near_one() {
    check(
        "[http]\nlisten = \"127.0.0.1:80\"\n[lke]\n",
        "city/meetnet.toml:3: unknown section `lke`; did you mean `lake`?",
    );
    check(
        "[http]\nlisten = \"127.0.0.1:80\"\nconection_max = 3\n",
        "city/meetnet.toml:3: unknown key `conection_max`; did you mean `connections_max`?",
    );
    check(
        "[log]\nformat = \"yaml\"\n",
        "city/meetnet.toml:2: unknown value `yaml`; there are `text`, `json`",
    );
    check(
        "[[dataset]]\nid = \"trafic\"\n",
        "city/meetnet.toml:2: there is no dataset `trafic`; did you mean `traffic`?",
    );
    check(
        &source("\"json\"", "\"jsn\""),
        "city/meetnet.toml:7: unknown format `jsn`; did you mean `json`?",
    );
}

#[test]
fn a_list_that_is_written_as_a_section_is_said_once() {
    let list = |line: usize, name: &str| {
        format!("city/meetnet.toml:{line}: there can be several of these: write [[{name}]]")
    };
    let one = "[source]\nid = \"a\"\nkind = \"http\"\n";
    check(one, &list(1, "source"));
    // Every key of the second is a duplicate to TOML, and those of its parts, too.
    check(&format!("[http]\n{one}{one}"), &list(2, "source"));
    let parts = format!("{one}[source.time]\npointer = \"/t\"\n");
    check(&format!("{parts}\n{parts}{parts}"), &list(1, "source"));
    // The first is right, and the third is written with spaces.
    let first = one.replace("[source]", "[[source]]");
    check(
        &format!("{first}{one}  [ source ] # the third\nid = \"c\"\n"),
        &list(4, "source"),
    );
    check(
        "[dataset]\nid = \"air\"\n\n[[dataset]]\nid = \"heat\"\n",
        &list(1, "dataset"),
    );
    // What overrides one of them is not blamed as well.
    check_with(
        one,
        &[("MEETNET_SOURCE__A__TOKEN", "x")],
        &list(1, "source"),
    );
}

#[test]
fn a_name_that_stands_twice_is_said_once() {
    check(
        "[http]\nlisten = \"127.0.0.1:80\"\n[http]\nlisten = \"127.0.0.1:81\"\nconnections_max = 1\n",
        "city/meetnet.toml:3: the section `http` stands twice; write what is in it under one header",
    );
    check(
        "[[source]]\nid = \"a\"\nkind = \"http\"\nid = \"b\"\n",
        "city/meetnet.toml:4: the key `id` stands twice; remove one",
    );
}

#[test]
fn names_of_queries_stand_in_addresses() {
    check(
        "[[saved_query]]\nname = \"Warmest sensors\"\nsql = \"SELECT 1\"\n",
        "city/meetnet.toml:2: `Warmest sensors` stands in addresses; write lower-case letters, digits, - and _",
    );
    check(
        "[[saved_query]]\nname = \"a\"\nsql = \"SELECT 1\"\n[[saved_query]]\nname = \"a\"\nsql = \"SELECT 2\"\n",
        "city/meetnet.toml:5: there are two queries `a`; rename one",
    );
}

#[test]
fn saved_queries_can_be_answered() {
    let problem = |sql: &str| {
        let text = format!("[[saved_query]]\nname = \"a\"\nsql = \"{sql}\"\n");
        let error = parse(&text, &[]).expect_err(sql);
        assert_eq!(error.problems.len(), 1, "{error}");
        error.problems[0].to_string()
    };
    let start = "city/meetnet.toml:3: the query `a` has no answer: ";
    for (sql, names) in [
        ("DELETE FROM heat", ""),
        ("SELECT nothing_such FROM heat", "nothing_such"),
        ("SELECT 1; SELECT 2", "single"),
    ] {
        let said = problem(sql);
        assert!(said.starts_with(start) && said.contains(names), "{said}");
    }
    let asked = "[[saved_query]]\nname = \"a\"\nsql = \"SELECT max(value) FROM heat WHERE time >= $from\"\n";
    right(asked, &[]);
    // Nothing is taken in here: others may declare it.
    let elsewhere = "[[saved_query]]\nname = \"a\"\nsql = \"SELECT max(value) FROM rain\"\n";
    right(elsewhere, &[]);
}

#[test]
fn nobody_is_locked_out_of_the_postgresql_listener_or_let_in_by_mistake() {
    let pg = |keys: &str| format!("[pg]\nlisten = \"127.0.0.1:5432\"\n{keys}\n");
    check(
        &pg("anonymous = false"),
        "city/meetnet.toml:3: nobody could log in; add `users`, or let anybody read as `public`",
    );
    check(
        &pg("users = [{ name = \"public\", password = { env = \"A\" } }]"),
        "city/meetnet.toml:3: `public` is no name for a user with a password: `public` is anybody; choose another",
    );
    check(
        &pg("tls_required = true"),
        "city/meetnet.toml:3: TLS needs a certificate; add `tls_cert` and `tls_key`",
    );
    check(
        &pg("tls_cert = \"server.pem\""),
        "city/meetnet.toml:3: `tls_cert` needs its key; add `tls_key = { file = \"…\" }`",
    );
    check(
        &format!("[http]\nlisten = \"127.0.0.1:5432\"\n{}", pg("")),
        "city/meetnet.toml: [http] and [pg] both listen on 127.0.0.1:5432; give one another port",
    );
}

#[test]
fn all_addresses_have_the_one_that_another_listener_has() {
    let both =
        |http: &str, pg: &str| format!("[http]\nlisten = \"{http}\"\n[pg]\nlisten = \"{pg}\"\n");
    for (http, pg) in [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::1]:8080", "[::]:8080"),
    ] {
        check(
            &both(http, pg),
            &format!(
                "city/meetnet.toml: [http] listens on {http} and [pg] on {pg}, which is the same port of the same address; \
                 give one another port"
            ),
        );
    }
    for (http, pg) in [
        ("0.0.0.0:8080", "127.0.0.1:8081"),
        ("0.0.0.0:0", "127.0.0.1:0"),
        ("127.0.0.2:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "[::1]:8080"),
    ] {
        right(&both(http, pg), &[]);
    }
}

#[test]
fn passwords_of_flight_do_not_cross_the_network_as_they_are() {
    let flight =
        |listen: &str, keys: &str| format!("[flight]\nlisten = \"{listen}:32010\"\n{keys}\n");
    let users = "users = [{ name = \"a\", password = { env = \"A\" } }]";
    check(
        &flight("0.0.0.0", users),
        "city/meetnet.toml:2: passwords would cross the network as they are; add `tls_cert` and `tls_key`, or listen on \
         127.0.0.1 behind a proxy that encrypts",
    );
    check(
        &flight("127.0.0.1", "anonymous = false"),
        "city/meetnet.toml:3: nobody could log in; add `users`, or let anybody read as `public`",
    );
    check(
        &format!(
            "[http]\nlisten = \"127.0.0.1:32010\"\n{}",
            flight("127.0.0.1", "")
        ),
        "city/meetnet.toml: [http] and [flight] both listen on 127.0.0.1:32010; give one another port",
    );
}

#[test]
fn what_comes_later_is_said_to_come_later() {
    check(
        "[[source]]\nid = \"t\"\nkind = \"poll\"\nsegments = [1]\n",
        "city/meetnet.toml:3: kind `poll` is not in this version, which knows mqtt, http, files, telraam, sensor-community, ircel, opensensemap; remove the source",
    );
}

#[test]
fn a_lake_lies_in_a_folder_or_in_a_bucket_that_can_be_reached() {
    let s3 = |lines: &str| format!("[lake]\nurl = \"s3://city/lake\"\n[s3]\n{lines}");
    let keys = "access_key_id = { env = \"ID\" }\nsecret_access_key = { env = \"SECRET\" }\n";
    check(
        "[lake]\nurl = \"gs://bucket/lake\"\n",
        "city/meetnet.toml:2: there is no lake storage `gs://`; name a local folder or s3://BUCKET/PREFIX",
    );
    check(
        "[lake]\nurl = \"s3://city/lake\"\n",
        "city/meetnet.toml:2: a lake on s3:// needs a section [s3] with region and credentials; see config/s3.toml",
    );
    check(
        "[s3]\nregion = \"eu-west-1\"\ncredentials = \"role\"\n",
        "city/meetnet.toml:1: [s3] is for a lake on s3://BUCKET/PREFIX; set [lake] url, or remove the section",
    );
    check(
        "[lake]\nurl = \"s3:///lake\"\n[s3]\nregion = \"eu-west-1\"\ncredentials = \"role\"\n",
        "city/meetnet.toml:2: a bucket's name has letters, digits, `.`, `-` and `_` only; write s3://BUCKET/PREFIX",
    );
    check(
        &s3("region = \"eu-west-1\"\n"),
        "city/meetnet.toml:3: name access_key_id and secret_access_key, each as { env = \"NAME\" } or { file = \"path\" }; \
         or set credentials = \"role\"",
    );
    check(
        &s3(keys),
        "city/meetnet.toml:3: name the region of the bucket, or the endpoint of another store than AWS",
    );
    check(
        &s3(&format!(
            "region = \"eu-west-1\"\ncredentials = \"role\"\n{keys}"
        )),
        "city/meetnet.toml:3: keys are for credentials = \"keys\"; remove them or that line",
    );
    check(
        &s3("region = \"eu-west-1\"\ncredentials = \"profile\"\n"),
        "city/meetnet.toml:5: unknown value `profile`; there are `keys`, `role`, `anonymous`",
    );
    check(
        &s3("region = \"eu-west-1\"\naccess_key = 1\n"),
        "city/meetnet.toml:5: unknown key `access_key`; did you mean `access_key_id`?",
    );
    check(
        &s3(&format!("endpoint = \"http://127.0.0.1:9000\"\n{keys}")),
        "city/meetnet.toml:4: whoever listens on the way to an http:// endpoint reads the data; use https://, or set allow_http = true",
    );
    check(
        &s3(&format!("endpoint = \"https://id:hidden@store\"\n{keys}")),
        "city/meetnet.toml:4: the endpoint is https://HOST or https://HOST:PORT, without user, query or fragment",
    );
    for endpoint in [
        "store:9000",
        "https://",
        "https://:9000",
        "https://my store",
        "https://store:99999",
        "https://store:port",
    ] {
        check(
            &s3(&format!("endpoint = \"{endpoint}\"\n{keys}")),
            "city/meetnet.toml:4: the endpoint is https://HOST or https://HOST:PORT, without user, query or fragment",
        );
    }
    check(
        &s3(&format!(
            "region = \"\"\nendpoint = \"https://[::1]:9000/s3\"\n{keys}"
        )),
        "city/meetnet.toml:3: the region is empty: write the bucket's, or with an endpoint leave it out",
    );
    check(
        &s3(&format!(
            "region = \"eu-west-1\"\nrequest_time_max = \"10ms\"\n{keys}"
        )),
        "city/meetnet.toml:5: is less than 1s, the least that is safe",
    );
    check(
        &s3("region = \"eu-west-1\"\naccess_key_id = \"AKIA\"\n"),
        "city/meetnet.toml:5: a secret must not stand in the configuration; write { env = \"NAME\" } or { file = \"path\" }",
    );
}

#[test]
fn syntax_errors_name_their_line() {
    let error = parse("[http]\nlisten = 127.0.0.1\n", &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("city/meetnet.toml:2: "), "{error}");
}

#[test]
fn values_are_checked() {
    check(
        "[http]\n",
        "city/meetnet.toml:1: the key `listen` is missing; add it",
    );
    check(
        "[http]\nlisten = \"localhost\"\n",
        "city/meetnet.toml:2: `localhost` is no address to listen on; write ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080",
    );
    check(
        "[query]\nquery_time_max = 30\n",
        "city/meetnet.toml:2: invalid type: integer `30`, expected a duration in quotes with its unit, for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
    );
    check(
        "[query]\nquery_time_max = \"30\"\n",
        "city/meetnet.toml:2: `30` has no unit; write for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
    );
    check(
        "[query]\nmemory_bytes_max = \"1MiB\"\n",
        "city/meetnet.toml:2: is less than 16MiB, the least that works",
    );
    check(
        "[query]\nclient_memory_bytes_max = \"1MiB\"\n",
        "city/meetnet.toml:2: is less than 16MiB, the least that works",
    );
    check(
        "[query]\nrunning_max = 0\n",
        "city/meetnet.toml:2: invalid value: integer `0`, expected a nonzero usize",
    );
    check(
        "[portal]\nzone = \"Leuven\"\n[http]\nlisten = \"127.0.0.1:80\"\n",
        "city/meetnet.toml:2: `Leuven` is no time zone; write an IANA name such as Europe/Brussels",
    );
    check(
        "[portal]\ncontact = \"the data team\"\n[http]\nlisten = \"127.0.0.1:80\"\n",
        "city/meetnet.toml:2: `the data team` is no address to write to; write a mail address such as data@example.org, or that of a page, https://…",
    );
    check(
        "[http]\nlisten = \"127.0.0.1:80\"\n[admin]\nlisten = \"127.0.0.1:80\"\n",
        "city/meetnet.toml: [http] and [admin] both listen on 127.0.0.1:80; give one another port",
    );
    check(
        "[admin]\nlisten = \"127.0.0.1:80\"\nserve_listen = \"127.0.0.1:80\"\n",
        "city/meetnet.toml: [admin] and [admin] serve_listen both listen on 127.0.0.1:80; give one another port",
    );
    check(
        "[admin]\n",
        "city/meetnet.toml: [admin] has no `listen`; add it",
    );
    check(
        "[admin]\nsocket = \"s\"\nconnections_max = 5\n",
        "city/meetnet.toml: [admin] has no `listen`; add it",
    );
    check(
        &format!("[admin]\nsocket = \"/{}\"\n", "s".repeat(107)),
        "city/meetnet.toml:2: the path of the admin socket has 108 bytes, a Unix socket at most 107; \
         name a shorter one with [admin] socket, such as /run/meetnet.sock",
    );
    check(
        &format!("[journal]\ndir = \"/{}\"\n", "j".repeat(100)),
        "city/meetnet.toml: the path of the admin socket has 114 bytes, a Unix socket at most 107; \
         name a shorter one with [admin] socket, such as /run/meetnet.sock",
    );
    check(
        "[admin]\nlisten = \"127.0.0.1:80\"\nserve_listen = \"8082\"\n",
        "city/meetnet.toml:3: `8082` is no address to listen on; write ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080",
    );
    check(
        "[schemas]\ndir = \"nowhere\"\n",
        "city/meetnet.toml:2: cannot read the folder city/nowhere: No such file or directory (os error 2)",
    );
}

#[test]
fn a_dataset_may_not_promise_more_than_its_sources_allow() {
    let text = format!(
        "[[dataset]]\nid = \"heat\"\nlicence = \"CC0-1.0\"\n{}",
        source("CC0-1.0", "CC-BY-4.0")
    );
    check(
        &text,
        "city/meetnet.toml:12: dataset `heat` declares CC0-1.0, but its source `balcony` is under CC-BY-4.0, which asks for attribution; \
         declare CC-BY-4.0 for the dataset, or none so that each row keeps its own, or take the source out",
    );
}

#[test]
fn secrets_stand_nowhere_in_the_file() {
    let advice = "a secret must not stand in the configuration; write { env = \"NAME\" } or { file = \"path\" }";
    check(
        "[privacy]\nsecret = \"hunter2\"\n",
        &format!("city/meetnet.toml:2: {advice}"),
    );
    check(
        &source("kind = \"mqtt\"", "kind = \"mqtt\"\npassword = \"hunter2\""),
        &format!("city/meetnet.toml:5: {advice}"),
    );
    check(
        &source("mqtt://127", "mqtt://user:hunter2@127"),
        "city/meetnet.toml:5: broker URL `127.0.0.1:1883`: credentials do not belong here; use `username` and `password`; write mqtt://HOST[:PORT] or mqtts://HOST[:PORT], over websockets ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH",
    );
    check(
        "[privacy]\nsecret = { evn = \"A\" }\n",
        "city/meetnet.toml:2: unknown key `evn`; there are `env`, `file`",
    );
}

#[test]
fn the_environment_is_checked_too() {
    check_with(
        "",
        &[("MEETNET_HTTP__LISTN", "127.0.0.1:80")],
        "environment variable MEETNET_HTTP__LISTN: unknown key `listn`; did you mean `listen`?",
    );
    check_with(
        "[http]\nlisten = \"127.0.0.1:80\"\n",
        &[("MEETNET_HTTP__LISTEN", "here")],
        "environment variable MEETNET_HTTP__LISTEN: `here` is no address to listen on; write ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080",
    );
    check_with(
        SOURCE,
        &[("MEETNET_SOURCE__GARDEN__URL", "mqtt://broker")],
        "environment variable MEETNET_SOURCE__GARDEN__URL: overrides the source `garden`, which the file does not have; name one that it has, or unset the variable",
    );
    check_with(
        "",
        &[("MEETNET_A__B__C", "1")],
        "environment variable MEETNET_A__B__C: is no override; write MEETNET_SECTION__KEY or MEETNET_SOURCE__ID__KEY, or unset it",
    );
}

#[test]
fn every_problem_is_listed_in_the_order_of_lines() {
    let text = "[http]\nlisten = \"x\"\n[query]\nrow_limt = 1\n[flight]\n[[source]]\nid = \"a\"\nkind = \"smtp\"\n";
    let error = parse(text, &[]).unwrap_err();
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(4), Some(5), Some(8)]);
    assert!(
        error
            .to_string()
            .starts_with("4 problems in the configuration:\n  city/meetnet.toml:2: ")
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = crate::config::Config::load(
        std::path::Path::new("no/such.toml"),
        &super::environment(&[]),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no/such.toml: cannot be read: No such file"),
        "{error}"
    );
}

#[test]
fn keys_are_digests_with_names_of_their_own() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let key = |name: &str, digest: &str| {
        format!("[[api_key]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nrow_limit = 5\n")
    };
    let config = right(&key("university", digest), &[]);
    let found = config.api_keys.find("abc").unwrap();
    assert_eq!(
        (&*found.name, found.limits.row_limit),
        ("university", Some(5))
    );
    let room = "memory_bytes_max = \"1GiB\"\nmemory_total_bytes_max = \"2GiB\"\nquery_spill_bytes_max = \"4GiB\"\n\
                spill_bytes_max = \"8GiB\"\n";
    let config = right(&(key("university", digest) + room), &[]);
    let limits = config.api_keys.find("abc").unwrap().limits;
    assert_eq!(
        (limits.memory_bytes_max, limits.memory_total_bytes_max),
        (Some(1 << 30), Some(2 << 30))
    );
    assert_eq!(
        (limits.query_spill_bytes_max, limits.spill_bytes_max),
        (Some(4 << 30), Some(8 << 30))
    );
    check(
        &(key("university", digest) + "memory_total_bytes_max = \"1MiB\"\n"),
        "city/meetnet.toml:5: is less than 16MiB, the least that works",
    );
    check(
        &key("Jan Peeters", digest),
        "city/meetnet.toml:2: `Jan Peeters` is no name for the holder of a key; write lower-case letters, digits, - and _, \
         and not `public`",
    );
    let twice = key("a", digest) + &key("a", &digest.replace('b', "c"));
    check(
        &twice,
        "city/meetnet.toml:6: there is a key or user `a` already; give each a name of its own",
    );
    let same = key("a", digest) + &key("b", digest);
    check(
        &same,
        "city/meetnet.toml:7: another key has this digest; give each holder one",
    );
    // Whoever puts the key itself there does not find it in a log.
    check(
        &key("a", "my-secret-key"),
        "city/meetnet.toml:3: a SHA-256 has 64 hexadecimal digits; make a key with `openssl rand -hex 32 | tr -d '\\n'`, give \
         it to its holder, and write here what `sha256sum` says of it",
    );
}

#[test]
fn only_named_proxies_say_who_a_client_is() {
    let http = "[http]\nlisten = \"127.0.0.1:80\"\n";
    let config = right(
        &format!("{http}trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n"),
        &[],
    );
    let ingest = "[ingest_http]\nlisten = \"127.0.0.1:81\"\n";
    let keys = "trusted_proxies = [\"10.0.0.0/8\"]\nconnections_per_client_max = 7\nheader_time_max = \"9s\"\n";
    let pushes = right(&format!("{ingest}{keys}"), &[]).ingest_http.unwrap();
    assert_eq!(pushes.clients.proxies.len(), 1);
    assert_eq!(pushes.clients.header.unwrap().as_str(), "x-forwarded-for");
    assert_eq!(pushes.connections.connections_per_client_max, 7);
    assert_eq!(pushes.connections.header_time_max.as_secs(), 9);
    check(
        &format!("{ingest}client_header = \"X-Real-Ip\"\n"),
        "city/meetnet.toml:3: a header is believed of trusted proxies only, and there are none; add `trusted_proxies`",
    );
    let clients = config.http.unwrap().settings.clients;
    assert_eq!(clients.proxies.len(), 2);
    assert_eq!(clients.header.unwrap().as_str(), "x-forwarded-for");
    assert!(
        right(http, &[])
            .http
            .unwrap()
            .settings
            .clients
            .header
            .is_none()
    );
    check(
        &format!("{http}trusted_proxies = [\"proxy\"]\n"),
        "city/meetnet.toml:3: `proxy` is no range of addresses; write an address such as 127.0.0.1, or a range such as \
         10.0.0.0/8 or fd00::/8",
    );
    check(
        &format!("{http}client_header = \"X-Real-IP\"\n"),
        "city/meetnet.toml:3: a header is believed of trusted proxies only, and there are none; add `trusted_proxies`",
    );
}

#[test]
fn an_audit_log_keeps_whole_days() {
    check(
        "[audit]\nretention = \"1h\"\n",
        "city/meetnet.toml:2: is less than 1d, the least that is safe",
    );
}
