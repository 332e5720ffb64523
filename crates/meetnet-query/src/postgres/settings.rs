//! What the server says of itself to clients that ask by `SHOW`, `current_setting` or `pg_settings`.

/// Settings and their values, in the order of their names. Clients branch on the version: with this one they send the
/// queries that the catalogue answers.
pub const SETTINGS: [(&str, &str); 25] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("max_function_args", "100"),
    ("max_identifier_length", "63"),
    // JDBC asks for it before it lists keys.
    ("max_index_keys", "32"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", "14.0"),
    ("server_version_num", "140000"),
    ("standard_conforming_strings", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];

/// Returns the value of a setting; upper and lower case are the same.
pub fn setting(name: &str) -> Option<&'static str> {
    let found = SETTINGS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| *value)
}
