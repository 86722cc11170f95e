//! The messages a person reads, the order of merging, and that no text panics.

use proptest::prelude::*;
use std::fs;
use std::path::Path;
use wrd_config::{Admission, Background, Rgb, SessionSettings, Startups, System};
use wrd_proto::gate::Security;

fn messages(text: &str) -> Vec<String> {
    let (_, errors) = System::parse([(Path::new("/etc/wrd-dm/wrd-dm.toml"), text)]);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_text_is_the_defaults() {
    let (system, errors) = System::parse([(Path::new("x"), "")]);
    assert!(errors.is_empty());
    assert_eq!(system, System::default());
    assert_eq!(system.limits.connections, 1024);
    assert_eq!(system.desktop.background, Background::Colour(Rgb { red: 0x2d, green: 0x36, blue: 0x40 }));
}

#[test]
fn every_key_is_understood() {
    let text = r##"
        [tls]
        certificate = "/etc/ssl/wrd.crt"
        key = "/etc/ssl/wrd.key"
        [login]
        security = "nla-required"
        enrol_min_uid = 500
        reconnect_seconds = 60
        [limits]
        connections = 1_000
        login_seconds = 0x3c
        max_width = 3840
        max_height = 2160
        [admission]
        startups = "10:30:100"
        login_screens = 11
        logins = 12
        source_connections = 13
        source_connections_per_minute = 14
        ipv4_prefix_bits = 24
        ipv6_prefix_bits = 56
        penalty_crash_seconds = 1
        penalty_denied_seconds = 2
        penalty_late_seconds = 3
        penalty_silent_seconds = 4
        penalty_min_seconds = 5
        penalty_max_seconds = 6
        exempt = ["192.0.2.0/24", "::1"]
        [session]
        command = "exec sway"
        start_seconds = 20
        [desktop]
        background = "#FFaa00"
        name = "sway"
    "##;
    let (system, errors) = System::parse([(Path::new("x"), text)]);
    assert_eq!(errors, []);
    assert_eq!(system.tls.certificate.as_deref(), Some(Path::new("/etc/ssl/wrd.crt")));
    assert_eq!(system.tls.key.as_deref(), Some(Path::new("/etc/ssl/wrd.key")));
    assert_eq!((system.login.security, system.login.enrol_min_uid), (Security::NlaRequired, 500));
    assert_eq!(system.login.reconnect_seconds, 60);
    assert_eq!((system.limits.connections, system.limits.login_seconds), (1000, 60));
    assert_eq!((system.limits.max_width, system.limits.max_height), (3840, 2160));
    let admission = Admission {
        startups: Startups { begin: 10, percent: 30, full: 100 },
        login_screens: 11,
        logins: 12,
        source_connections: 13,
        source_connections_per_minute: 14,
        ipv4_prefix_bits: 24,
        ipv6_prefix_bits: 56,
        penalty_crash_seconds: 1,
        penalty_denied_seconds: 2,
        penalty_late_seconds: 3,
        penalty_silent_seconds: 4,
        penalty_min_seconds: 5,
        penalty_max_seconds: 6,
        exempt: vec!["192.0.2.0/24".parse().unwrap(), "::1/128".parse().unwrap()],
    };
    assert_eq!(system.admission, admission);
    assert_eq!(system.session.command.as_deref(), Some("exec sway"));
    assert_eq!(system.session.start_seconds, 20);
    assert_eq!(system.desktop.background, Background::Colour(Rgb { red: 255, green: 0xaa, blue: 0 }));
    assert_eq!(system.desktop.name, "sway");
}

#[test]
fn mistakes_are_named_with_file_line_key_and_what_is_allowed() {
    let text = "[limits]\nconnections = 0\nlogin_seconds = \"soon\"\nconections = 5\n\n[sesion]\ncommand = 1\n\n[desktop]\nbackground = \"red\"\nname = true\n";
    assert_eq!(
        messages(text),
        [
            "/etc/wrd-dm/wrd-dm.toml:2: limits.connections: expected a whole number from 1 to 65536, found 0",
            "/etc/wrd-dm/wrd-dm.toml:3: limits.login_seconds: expected a whole number from 5 to 3600, found text",
            "/etc/wrd-dm/wrd-dm.toml:4: limits.conections: unknown key; known in [limits] are connections, login_seconds, max_width, max_height",
            "/etc/wrd-dm/wrd-dm.toml:6: sesion: unknown section; known are admission, desktop, limits, login, session, tls",
            "/etc/wrd-dm/wrd-dm.toml:10: desktop.background: expected a colour such as \"#2d3640\" or the absolute path of a picture, found \"red\"",
            "/etc/wrd-dm/wrd-dm.toml:11: desktop.name: expected text in quotes, found true or false",
        ]
    );
}

#[test]
fn mistakes_about_admission_are_named_one_by_one() {
    let text =
        "[admission]\nstartups = \"10:30\"\nexempt = [\n  \"10.0.0.0/8\",\n  \"10.0.0.0/33\",\n  7,\n]\nlogins = 0\n";
    let startups = "expected \"BEGIN:PERCENT:FULL\", such as \"50:30:400\", with FULL from BEGIN to 4096";
    assert_eq!(
        messages(text),
        [
            format!("/etc/wrd-dm/wrd-dm.toml:2: admission.startups: {startups}, found \"10:30\""),
            "/etc/wrd-dm/wrd-dm.toml:5: admission.exempt: expected an address or a network, such as \"192.0.2.0/24\" or \"2001:db8::/32\", found \"10.0.0.0/33\"".into(),
            "/etc/wrd-dm/wrd-dm.toml:6: admission.exempt: expected text in quotes, found a whole number".into(),
            "/etc/wrd-dm/wrd-dm.toml:8: admission.logins: expected a whole number from 1 to 4096, found 0".into(),
        ]
    );
    for wrong in ["0:30:100", "50:30:40", "10:0:100", "10:101:100", "1:1:5000", "1:2:3:4", "a:b:c", ""] {
        assert_eq!(messages(&format!("[admission]\nstartups = \"{wrong}\"\n")).len(), 1, "{wrong}");
    }
    assert!(messages("[admission]\nexempt = \"::1\"\n")[0].ends_with("expected a list of texts, found text"));
}

#[test]
fn security_is_one_of_four_words() {
    for (word, security) in [
        ("auto", Security::Auto),
        ("nla-preferred", Security::NlaPreferred),
        ("nla-required", Security::NlaRequired),
        ("tls", Security::Tls),
    ] {
        let text = format!("[login]\nsecurity = \"{word}\"\n");
        let (system, errors) = System::parse([(Path::new("x"), text.as_str())]);
        assert_eq!((system.login.security, errors.len()), (security, 0));
    }
    assert_eq!(
        messages("[login]\n\nsecurity = \"nla\"\n"),
        [
            "/etc/wrd-dm/wrd-dm.toml:3: login.security: expected \"auto\", \"nla-preferred\", \"nla-required\" or \"tls\", found \"nla\""
        ]
    );
}

#[test]
fn a_syntax_error_names_its_line() {
    let found = messages("[limits]\nconnections = \n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("/etc/wrd-dm/wrd-dm.toml:2: "), "{found:?}");
    assert!(messages("limits = 3\n")[0].ends_with("limits: expected a section [limits], found a whole number"));
}

#[test]
fn numbers_beyond_every_type_are_out_of_range() {
    let found = messages("[limits]\nconnections = 99999999999999999999999\nmax_width = -1\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|text| text.contains("expected a whole number from")), "{found:?}");
}

#[test]
fn certificate_and_key_come_together() {
    assert_eq!(
        messages("[tls]\nkey = \"/k\"\n"),
        ["/etc/wrd-dm/wrd-dm.toml:2: tls.key: expected tls.certificate beside it: both or none"]
    );
    // One in the file, the other in a drop-in, is both.
    let files = [(Path::new("a"), "[tls]\nkey = \"/k\""), (Path::new("b"), "[tls]\ncertificate = \"/c\"")];
    assert_eq!(System::parse(files).1, []);
}

#[test]
fn drop_ins_come_in_the_order_of_their_names_and_a_bad_value_hides_no_good_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(System::load(dir.path()).unwrap(), System::default());
    let folder = dir.path().join("wrd-dm.toml.d");
    fs::create_dir(&folder).unwrap();
    fs::write(dir.path().join("wrd-dm.toml"), "[limits]\nconnections = 1\nmax_width = 1000\n").unwrap();
    fs::write(folder.join("20-b.toml"), "[limits]\nconnections = 3\n").unwrap();
    fs::write(folder.join("10-a.toml"), "[limits]\nconnections = 2\n").unwrap();
    fs::write(folder.join("30-c.toml.bak"), "nonsense").unwrap();
    let system = System::load(dir.path()).unwrap();
    assert_eq!((system.limits.connections, system.limits.max_width), (3, 1000));

    fs::write(folder.join("40-d.toml"), "[limits]\nconnections = 4\nmax_width = 5\n").unwrap();
    let error = System::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("40-d.toml:3: limits.max_width: "), "{error}");
    let (system, errors) = System::load_lenient(dir.path());
    assert_eq!((system.limits.connections, system.limits.max_width, errors.len()), (4, 1000, 1));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrd-dm.toml");
    fs::create_dir(&file).unwrap();
    let error = System::load(dir.path()).unwrap_err().to_string();
    assert_eq!(error, format!("{}: expected a regular file", file.display()));
    fs::remove_dir(&file).unwrap();
    fs::write(&file, b"[tls]\n# \xff\n").unwrap();
    let error = System::load(dir.path()).unwrap_err().to_string();
    assert_eq!(error, format!("{}:2: expected text in UTF-8", file.display()));
}

#[test]
fn a_users_file_goes_over_the_administrators_and_its_mistakes_keep_nobody_out() {
    let config = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::write(config.path().join("wrd-dm.toml"), "[session]\ncommand = \"admin\"\n[desktop]\nname = \"x\"\n").unwrap();
    let (settings, errors) = SessionSettings::load(config.path(), home.path());
    assert_eq!((settings.command.as_deref(), errors.len()), (Some("admin"), 0));

    let own = home.path().join(wrd_config::USER_FILE);
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "[session]\ncommand = \"mine\"\nstart_seconds = 1\n[desktop]\nbackground = \"/a.png\"\n").unwrap();
    let (settings, errors) = SessionSettings::load(config.path(), home.path());
    assert_eq!(settings.command.as_deref(), Some("mine"));
    assert_eq!(settings.background, Background::Picture("/a.png".into()));
    assert_eq!((settings.start_seconds, settings.desktop_name.as_str()), (30, "x"));
    let shown = errors[0].to_string();
    assert!(shown.ends_with("session.toml:3: session.start_seconds: unknown key; known in [session] are command"));

    fs::write(&own, "[session\n").unwrap();
    let (settings, errors) = SessionSettings::load(config.path(), home.path());
    assert_eq!((settings.command.as_deref(), errors.len()), (Some("admin"), 1));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,400}") {
        System::parse([(Path::new("x"), text.as_str())]);
    }

    #[test]
    fn nothing_shaped_like_a_configuration_panics(
        text in r#"(\[(tls|limits|session|desktop|x)\]\n|(key|connections|max_width|command|background|name|"\u0000") ?= ?("[^"]{0,8}"|-?[0-9_]{1,25}|0x[0-9a-f]{1,20}|\[1\]|\{a=1\}|nan|true|1979-05-27)\n){0,12}"#
    ) {
        let (system, errors) = System::parse([(Path::new("x"), text.as_str())]);
        prop_assert!(system.limits.connections >= 1 && system.limits.max_width >= 640);
        for error in errors {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
