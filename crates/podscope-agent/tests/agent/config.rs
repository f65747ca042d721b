//! The configuration's reference and its errors.

use std::path::Path;

use podscope_agent::config::{ByteSize, Config, Period, SECTIONS, check, reference};

use crate::golden;

const COLLECTORS: [&str; 3] = ["meminfo", "stat", "filesystem"];

fn parse(text: &str) -> Result<Config, String> {
    check::parse(Path::new("agent.toml"), text, &COLLECTORS).map_err(|error| podscope_agent::chain(&error))
}

#[test]
fn the_printed_default_is_the_committed_one() {
    golden::check("tests/agent/golden/default.toml", &reference::default_toml());
}

#[test]
fn the_reference_in_docs_is_made_from_the_code() {
    golden::check("../../docs/agent-config.md", &reference::markdown());
}

#[test]
fn the_printed_default_is_the_default() {
    assert_eq!(parse(&reference::default_toml()), Ok(Config::default()));
}

#[test]
fn every_key_is_documented_and_every_example_is_taken() {
    let mut text = String::new();
    let mut keys = 0;
    for section in SECTIONS {
        if !section.name.is_empty() {
            text.push_str(&format!("[{}]\n", section.name));
        }
        for key in section.keys {
            keys += 1;
            assert!(!key.doc.is_empty(), "{}.{} says nothing", section.name, key.name);
            // `token` and `token_file` exclude each other.
            if let Some(example) = key.example.filter(|_| key.name != "token_file") {
                text.push_str(&format!("{} = {example}\n", key.name));
            }
        }
    }
    assert!(keys > 25, "{keys}");
    let known = podscope_agent::known_collectors();
    let config = check::parse(Path::new("agent.toml"), &text, &known).expect("every example is valid");
    assert_eq!(config.instance.as_deref(), Some("node-017"));
    assert_eq!(
        config.collectors.intervals.get("filesystem"),
        Some(&Period::from_secs(30))
    );
}

#[test]
fn the_reference_lists_exactly_the_keys_the_structs_have() {
    // Every key set, so that none is left out of the serialised form.
    let text: String = SECTIONS
        .iter()
        .map(|section| {
            let keys = section
                .keys
                .iter()
                .filter_map(|key| Some(format!("{} = {}\n", key.name, key.example?)));
            let keys = keys
                .filter(|line| !line.starts_with("token_file"))
                .collect::<String>();
            if section.name.is_empty() {
                keys
            } else {
                format!("[{}]\n{keys}", section.name)
            }
        })
        .collect();
    let mut config = parse(&text).expect("valid");
    config.token_file = Some("/x".into());
    config.write.token_file = Some("/x".into());
    config.remote_write.token_file = Some("/x".into());
    config.fanout.token_file = Some("/x".into());
    config.slurm.token_file = Some("/x".into());
    config.slurm.socket = Some("/x".into());
    let value = toml::Value::try_from(&config).expect("it serialises");
    let root = value.as_table().expect("a table");
    let mut found = Vec::new();
    for (name, value) in root {
        match SECTIONS.iter().find(|section| section.name == name) {
            Some(_) => {
                let table = value.as_table().expect("a section");
                found.extend(table.keys().map(|key| format!("{name}.{key}")));
            }
            None => found.push(format!(".{name}")),
        }
    }
    let mut declared: Vec<String> = SECTIONS
        .iter()
        .flat_map(|section| {
            section
                .keys
                .iter()
                .map(|key| format!("{}.{}", section.name, key.name))
        })
        .collect();
    found.sort();
    declared.sort();
    assert_eq!(found, declared);
}

#[test]
fn values_with_units_are_read() {
    let config = parse("[history]\nmax_age = \"1d12h\"\nmax_bytes = 5000000000\n").expect("valid");
    assert_eq!(config.history.max_age, Period::from_secs(129_600));
    assert_eq!(config.history.max_bytes, ByteSize(5_000_000_000));
}

#[test]
fn a_mistake_is_told_with_file_line_key_and_remedy() {
    let cases = [
        (
            "\nlisten_on = \"x\"\n",
            "agent.toml:2: key `listen_on`: unknown key; did you mean `listen`?",
        ),
        (
            "[history]\nmax_aeg = \"1d\"\n",
            "agent.toml:2: key `history.max_aeg`: unknown key; did you mean `max_age`?",
        ),
        (
            "[histroy]\n",
            "agent.toml:1: key `histroy`: unknown key; did you mean `history`?",
        ),
        (
            "max_age = \"1d\"\n",
            "agent.toml:1: key `max_age`: unknown key; `max_age` belongs into the table [history]",
        ),
        (
            "[gpu]\nlisten = \"127.0.0.1:1\"\n",
            "key `gpu.listen`: unknown key; `listen` belongs to the top of the file",
        ),
        (
            "zzzzzzzzzzzzzzz = 1\n",
            "unknown key; `podscope-agent config --default` prints every key there is",
        ),
        ("listen = 9477\n", "agent.toml:1: key `listen`: invalid type"),
        (
            "[slurm]\nurl = \"slurmctl:6820\"\n",
            "agent.toml:2: key `slurm.url`: is no http or https address",
        ),
        (
            "[slurm]\nurl = \"http://a:1\"\nsocket = \"/x\"\n",
            "key `slurm.url`: stands beside `socket`; keep one of the two",
        ),
        (
            "[slurm]\nurl = \"http://a:1\"\ninterval = \"5m\"\n",
            "agent.toml:3: key `slurm.interval`: is 5m; use \"5s\" to \"60s\"",
        ),
        (
            "[slo]\nobjective = 1.0\n",
            "agent.toml:2: key `slo.objective`: is 1; use a share above 0 and below 1",
        ),
        (
            "[slo]\ntenants = [{ name = \"a\", gpus = 8 }]\n",
            "key `slo.tenants`: are named, but Slurm is not asked; set slurm.url",
        ),
        (
            "[slurm]\nurl = \"http://a:1\"\n[slo]\ntenants = [{ name = \"a\", gpus = 8 }, { name = \"b\", accounts = [\"a\"], gpus = 8 }]\n",
            "an account belongs to one tenant",
        ),
        (
            "[slo]\ntenants = [{ name = \"a\", gpus = 8, prize = 2 }]\n",
            "agent.toml:2: key `slo.tenants`: unknown field `prize`",
        ),
        (
            "[slo]\nidle_gpu_price = -1\n",
            "key `slo.idle_gpu_price`: -1 is negative",
        ),
        (
            "\n\nlisten = \"localhost\"\n",
            "agent.toml:3: key `listen`: invalid socket address",
        ),
        (
            "[history]\nmax_age = \"7 days\"\n",
            "agent.toml:2: key `history.max_age`: \"7 days\" is not a duration; write it like",
        ),
        (
            "[history]\nmax_bytes = \"2 gigs\"\n",
            "key `history.max_bytes`: \"2 gigs\" is not a size; write it like",
        ),
        (
            "[history]\nmax_age = \"1s\"\n",
            "agent.toml:2: key `history.max_age`: is under a minute; keep at least",
        ),
        (
            "labels = { rack = \"a\", job = \"x\" }\n",
            "key `labels.job`: is set by the agent itself; choose another name",
        ),
        (
            "[labels]\n\n\"a-b\" = \"x\"\n",
            "agent.toml:3: key `labels.a-b`: is not a label name; use letters",
        ),
        ("instance = \" \"\n", "key `instance`: is empty; name the node"),
        ("log = \"loud=very\"\n", "key `log`: "),
        (
            "token = \"short\"\n",
            "key `token`: holds a token of fewer than 16 characters; make one with",
        ),
        (
            "token = \"with a blank in the middle\"\n",
            "key `token`: holds a token with characters that cannot stand in a header",
        ),
        (
            "token = \"0123456789abcdef\"\ntoken_file = \"/x\"\n",
            "agent.toml:1: key `token`: stands beside `token_file`; keep one",
        ),
        (
            "[tls]\ncert_file = \"/x\"\n",
            "agent.toml:2: key `tls.cert_file`: has no key to it; set tls.key_file too",
        ),
        (
            "[tls]\nclient_ca_file = \"/x\"\n",
            "key `tls.client_ca_file`: is of no use without TLS",
        ),
        (
            "[limits]\nmax_series = 0\n",
            "agent.toml:2: key `limits.max_series`: is 0; nothing could be asked",
        ),
        (
            "[collectors]\ndisabled = [\"memifno\"]\n",
            "agent.toml:2: key `collectors.disabled`: there is no collector \"memifno\"; did you mean \"meminfo\"?",
        ),
        (
            "[collectors]\nenabled = [\"lustre\"]\n",
            "there is no collector \"lustre\"; there are: meminfo, stat, filesystem",
        ),
        (
            "[collectors.intervals]\nstat = \"1ms\"\n",
            "agent.toml:2: key `collectors.intervals.stat`: is 1ms; use \"100ms\" to \"1h\"",
        ),
        (
            "[collectors]\ndisk_device_exclude = \"(\"\n",
            "agent.toml:2: key `collectors.disk_device_exclude`: ",
        ),
        ("a = \n", "agent.toml:1: "),
        (
            "[gpu]\nenabled = true\nenabled = false\n",
            "agent.toml:3: duplicate key",
        ),
    ];
    for (text, wanted) in cases {
        let error = parse(text).expect_err(text);
        assert!(
            error.contains(wanted),
            "{text:?}\nwanted: {wanted}\n   got: {error}"
        );
    }
}

#[test]
fn the_token_is_never_printed() {
    let config = parse("token = \"0123456789abcdef\"\n").expect("valid");
    assert!(!format!("{config:?}").contains("0123456789"));
    assert!(
        !toml::to_string(&config)
            .expect("it serialises")
            .contains("0123456789")
    );
    let error = parse("token = [\"0123456789abcdef\"]\n").expect_err("not a text");
    assert!(!error.contains("0123456789"), "{error}");
}
