use super::*;

fn check(file: &str, text: &str, expect: &[(usize, DeviceDeclaration)]) {
    let devices = read(file, text, false).unwrap();
    let devices: Vec<_> = devices.into_iter().map(|d| (d.line, d.device)).collect();
    assert_eq!(devices, expect, "{text}");
}

fn check_faults(file: &str, text: &str, expect: &[&str]) {
    let faults = read(file, text, false).unwrap_err();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, expect, "{text}");
}

fn device(id: &str) -> DeviceDeclaration {
    DeviceDeclaration {
        id: id.to_owned(),
        ..DeviceDeclaration::default()
    }
}

fn placed() -> DeviceDeclaration {
    DeviceDeclaration {
        station: Some("bondgenotenlaan".to_owned()),
        // On the grid: the second place is the house next door.
        longitude: Some(4.701),
        latitude: Some(50.88),
        calibration: BTreeMap::from([(
            "pm2_5".to_owned(),
            Calibration {
                scale: 0.82,
                offset: -1.1,
            },
        )]),
        constants: BTreeMap::from([("segment_id".to_owned(), Constant::Int(17))]),
        ..device("esp8266-1")
    }
}

#[test]
fn a_csv_registry() {
    check(
        "devices.csv",
        "\u{feff}# sensors of the town hall\n\
         id,station,latitude,longitude,scale.pm2_5,offset.pm2_5,constant.segment_id\n\
         esp8266-1,bondgenotenlaan,50.8796,4.7009,0.82,-1.1,17\n\
         \n\
         esp8266-2,,,,,,\n",
        &[(3, placed()), (5, device("esp8266-2"))],
    );
    // As a spreadsheet saves it in Belgium, and with quotes.
    check(
        "devices.csv",
        "id;station\r\n\"a;1\"; \"say \"\"a\"\"\" \r\n",
        &[(
            2,
            DeviceDeclaration {
                station: Some("say \"a\"".to_owned()),
                ..device("a;1")
            },
        )],
    );
    check("d.csv", "id\nx\n", &[(2, device("x"))]);
    for (cell, since) in [
        ("2025-03-01", "2025-03-01T00:00:00Z"),
        ("2025-03-01T12:00:00+01:00", "2025-03-01T11:00:00Z"),
    ] {
        let named = DeviceDeclaration {
            name: Some("Town hall".to_owned()),
            since: Some(crate::time::parse_rfc3339(since).unwrap()),
            ..device("x")
        };
        let text = format!("id,name,since\nx,Town hall,{cell}\n");
        check("d.csv", &text, &[(2, named)]);
    }
    check_faults(
        "d.csv",
        "id,since\nx,spring\n",
        &["d.csv:2: `since` is no day (2026-01-31) and no time with its offset; write one of them"],
    );
    for (cell, constant) in [
        ("1.5", Constant::Float(1.5)),
        ("true", Constant::Bool(true)),
        ("nan", Constant::Text("nan".to_owned())),
        ("left", Constant::Text("left".to_owned())),
    ] {
        let text = format!("id,constant.c\nx,{cell}\n");
        let constants = BTreeMap::from([("c".to_owned(), constant)]);
        check(
            "d.csv",
            &text,
            &[(
                2,
                DeviceDeclaration {
                    constants,
                    ..device("x")
                },
            )],
        );
    }
}

#[test]
fn a_place_is_as_exact_as_its_source_and_in_a_municipality() {
    let csv = "id,municipality,latitude,longitude\nx,Leuven,50.8796,4.7009\n";
    let toml = "[[device]]\nid = \"x\"\nmunicipality = \"Leuven\"\nlatitude = 50.8796\nlongitude = 4.7009\n";
    for (file, text) in [("d.csv", csv), ("d.toml", toml)] {
        for (are_exact, place) in [(false, (4.701, 50.88)), (true, (4.7009, 50.8796))] {
            let devices = read(file, text, are_exact).unwrap();
            let device = &devices[0].device;
            assert_eq!(device.municipality.as_deref(), Some("Leuven"));
            assert_eq!(device.longitude.zip(device.latitude), Some(place));
        }
    }
    // No exactness makes a place of what is none.
    let faults = read("d.csv", "id,latitude,longitude\nx,50,400\n", true).unwrap_err();
    assert!(
        faults[0].message.contains("no place on Earth"),
        "{faults:?}"
    );
}

#[test]
fn a_toml_registry() {
    check(
        "devices.toml",
        r#"
        [[device]]
        id = "esp8266-1"
        station = "bondgenotenlaan"
        latitude = 50.8799
        longitude = 4.7012
        calibration = { pm2_5 = { scale = 0.82, offset = -1.1 } }
        constants = { segment_id = 17 }

        [[device]]
        id = "esp8266-2"
        "#,
        &[(2, placed()), (10, device("esp8266-2"))],
    );
}

#[test]
fn every_fault_has_its_line_and_no_id() {
    check_faults(
        "d.csv",
        "",
        &["d.csv:1: the registry is empty; its first line names the columns"],
    );
    check_faults(
        "d.csv",
        "\nstation,latitude\n",
        &["d.csv:2: no column `id`; add what each device calls itself"],
    );
    check_faults(
        "d.csv",
        "id,lat\n",
        &[
            "d.csv:1: unknown column `lat`; there are id, station, name, municipality, since, latitude, longitude, \
           scale.PROPERTY, offset.PROPERTY and constant.COLUMN",
        ],
    );
    check_faults(
        "d.csv",
        "id,station,latitude,longitude\n\
         a,s\n\
         ,s,,\n\
         b,s,50.8,\n\
         c,s,500,4\n\
         d,s,\"50,8\",4\n\
         e,\"s,,\n\
         f,\"s\"t,,\n\
         g,,,\n\
         g,,,\n",
        &[
            "d.csv:2: 2 cells, but the first line names 4 columns; quote cells that hold a separator",
            "d.csv:3: the id is empty; write what the device calls itself",
            "d.csv:4: a place needs `longitude` and `latitude`; add the other",
            "d.csv:5: longitude and latitude are no place on Earth; write degrees, WGS 84",
            "d.csv:6: `latitude` is not a number; write digits with a point, such as 50.8796",
            "d.csv:7: a quote is not closed; cells end in the line they begin in",
            "d.csv:8: text behind a closing quote; double the quotes within a cell",
            "d.csv:10: line 9 has the same id; keep one of the two",
        ],
    );
    let many: String = (0..=DEVICES_MAX).map(|id| format!("{id}\n")).collect();
    check_faults(
        "d.csv",
        &format!("id\n{many}"),
        &["d.csv:20002: more than 20000 devices; split them over several sources"],
    );
    let faults = read("d.toml", "[[device]]\nid = \"x\"\nlat = 1\n", false).unwrap_err();
    assert_eq!(faults[0].line, Some(3));
    assert!(
        faults[0].message.contains("unknown field `lat`"),
        "{}",
        faults[0]
    );
}
