use super::{CONFIG_VARIABLE, PlaceOptions, configuration_of};
use crate::config::{Config, Environment, LakePlace};

fn config(url: &str, variables: &[(&str, &str)]) -> Config {
    let mut environment = Environment::default();
    for (name, value) in variables {
        environment.set(*name, *value);
    }
    let text = configuration_of(url, &environment);
    let file = std::path::Path::new("--lake");
    Config::parse(file, &text, &Environment::default()).expect(&text)
}

#[test]
fn a_folder_is_meant_as_it_is_written() {
    for url in ["data/lake", "/srv/it's a \"lake\""] {
        let LakePlace::Folder(folder) = config(url, &[]).lake.place else {
            panic!("{url} is a folder");
        };
        assert_eq!(folder, std::path::Path::new(url));
    }
}

#[test]
fn a_bucket_is_reached_as_the_environment_says() {
    let check = |variables: &[(&str, &str)], credentials: &str, region: &str| {
        let LakePlace::S3(s3) = config("s3://city/lake", variables).lake.place else {
            panic!("a bucket");
        };
        assert_eq!(s3.credentials.as_str(), credentials, "{variables:?}");
        assert_eq!(s3.region, region, "{variables:?}");
        s3.endpoint
    };
    let region = ("AWS_REGION", "eu-west-1");
    let key = ("AWS_ACCESS_KEY_ID", "key");
    assert_eq!(check(&[region], "anonymous", "eu-west-1"), None);
    check(&[region, key], "keys", "eu-west-1");
    check(
        &[region, key, ("AWS_SESSION_TOKEN", "token")],
        "keys",
        "eu-west-1",
    );
    check(&[region, ("AWS_ROLE_ARN", "role")], "role", "eu-west-1");
    let endpoint = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000");
    let found = check(&[endpoint, key], "keys", "us-east-1");
    assert_eq!(found.as_deref(), Some("http://127.0.0.1:9000"));
}

#[test]
fn what_is_named_on_the_command_line_wins_over_the_configuration_of_the_shell() {
    let check =
        |[config, lake, url]: [Option<&str>; 3], shell: Option<&str>, expect: Option<&str>| {
            let options = PlaceOptions {
                config: config.map(Into::into),
                lake: lake.map(str::to_owned),
                url: url.map(str::to_owned),
                api_key_file: None,
            };
            let mut environment = Environment::default();
            if let Some(file) = shell {
                environment.set(CONFIG_VARIABLE, file);
            }
            let found = options.config_file(&environment);
            assert_eq!(
                found,
                expect.map(std::path::Path::new),
                "{options:?}, {shell:?}"
            );
        };
    let shell = Some("shell.toml");
    check([None; 3], None, None);
    check([None; 3], Some(""), None);
    check([None; 3], shell, shell);
    check([Some("named.toml"), None, None], shell, Some("named.toml"));
    check([None, Some("data/lake"), None], shell, None);
    check([None, None, Some("https://data.example.org")], shell, None);
}
