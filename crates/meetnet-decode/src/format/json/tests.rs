mod bodies;
mod declarations;
mod language;
mod sensor_and_time;
mod validity;
mod values;

use expect_test::Expect;

use crate::testing;

const BALCONY: &str = r#"
    format = 'json'
    topics = ['zigbee2mqtt/{device}']
    sensor_id = '{device}'
    sentinels = [-999, -9999]
    map = [
      { dataset = 'heat', property = 'air_temperature', pointer = '/temperature', unit = 'Cel' },
      { dataset = 'heat', property = 'relative_humidity', pointer = '/humidity', unit = '%' },
      { dataset = 'heat', property = 'air_pressure', pointer = '/air/pressure', unit = 'Pa' },
    ]"#;

/// Decodes `body` from one device of the source `BALCONY`.
fn check(body: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(BALCONY, "zigbee2mqtt/a1", body));
}

fn check_source(source: &str, topic: &str, body: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(source, topic, body));
}

const COUNTER: &str = r#"
    format = 'json'
    time = { pointer = '/at', format = 'rfc3339' }
    map = [
      { dataset = 'traffic', column = 'segment_id', pointer = '/segment' },
      { dataset = 'traffic', column = 'interval_s', pointer = '/minutes', unit = 'min' },
      { dataset = 'traffic', column = 'bike', pointer = '/bikes' },
      { dataset = 'traffic', column = 'v85', pointer = '/speed', unit = 'm/s' },
      { dataset = 'traffic', column = 'speed_hist', pointer = '/hist' },
    ]"#;
