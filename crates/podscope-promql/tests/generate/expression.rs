//! Expressions that Prometheus accepts, and a few that it refuses.

use super::Random;

/// A whole query.
pub(crate) fn query(random: &mut Random, instant: bool) -> String {
    let depth = random.between(0, 4) as u32;
    match random.below(40) {
        0 => scalar(random, depth),
        1 if instant => format!("{}[{}]", plain_selector(random), range(random)),
        2 if instant => format!("({})[{}:{}]", vector(random, depth), range(random), step(random)),
        3 => wrong(random),
        4 | 5 => {
            let sort = random.pick(&["sort", "sort_desc"]);
            format!("{sort}({})", vector(random, depth))
        }
        6 if instant => "\"text\"".to_owned(),
        _ => vector(random, depth),
    }
}

fn wrong(random: &mut Random) -> String {
    random
        .pick(&[
            "requests_total + on(instance) temperature",
            "level > bool on(instance) level",
            "{path=~\".*\"}",
            "rate(temperature)",
            "1 > 2",
            "sum(1)",
            "temperature and 1",
            "temperature + on(instance) group_left(instance) memory_used",
            "abs({__name__=~\"memory_.*\"})",
            "rate({__name__=~\"requests_total|temperature\"}[5m]) + {__name__=~\"memory_.*\"}",
            "-{__name__=~\"memory_.*\"}",
            "topk(NaN, temperature)",
            "topk(1e300, temperature)",
            "label_replace(temperature, \"\", \"x\", \"zone\", \".*\")",
            "label_replace(temperature, \"a\", \"x\", \"zone\", \"(\")",
            "label_replace(temperature, \"instance\", \"x\", \"instance\", \".*\")",
            "label_join(temperature, \"zone\", \"-\")",
            "count_values(\"\", level)",
            "temperature[5m]",
            "limitk(2, temperature)",
            "mad_over_time(temperature[5m])",
            "sum by (instance",
            "temperature offset",
            "quantile(2, temperature)",
            "temperature * on(instance) group_right() memory_used",
            "level == on(instance) group_left() memory_used",
            "+temperature[5m]",
            "memory_used / memory_total",
            "{__name__=~\"memory_.*\"} * 2",
            "{__name__=~\"level|memory_used\"} > 1",
            "abs(-{__name__=~\"level|memory_used\"})",
        ])
        .to_owned()
}

const METRICS: [&str; 7] = [
    "requests_total",
    "temperature",
    "memory_used",
    "memory_total",
    "level",
    "build_info",
    "weird",
];

/// A selector without modifiers.
fn plain_selector(random: &mut Random) -> String {
    if random.one_in(15) {
        return random
            .pick(&[
                "{__name__=\"temperature\"}",
                "{job=\"node\",__name__!~\"memory.*\"}",
                "{__name__=~\"level|build_info\"}",
                "no_such_metric",
                "no_such_metric{instance=\"n1\",a!=\"b\"}",
            ])
            .to_owned();
    }
    let metric = METRICS[random.below(7) as usize];
    selector_of(random, metric)
}

fn selector_of(random: &mut Random, metric: &str) -> String {
    let matchers = random.pick(&[
        "",
        "",
        "",
        "{instance=\"n1\"}",
        "{instance!=\"n1\"}",
        "{instance=~\"n[12]\"}",
        "{zone=\"\"}",
        "{zone=~\".+\"}",
        "{code!~\"5..\"}",
        "{path=\"/\",instance=~\"n1|n3\"}",
    ]);
    format!("{metric}{matchers}")
}

fn modifiers(random: &mut Random) -> String {
    let mut text = String::new();
    if random.one_in(12) {
        text.push_str(random.pick(&[" @ start()", " @ end()", " @ 1700000600", " @ 300.5", " @ -1200"]));
    }
    if random.one_in(8) {
        text.push_str(random.pick(&[
            " offset 1m",
            " offset 90s",
            " offset -2m",
            " offset 10m",
            " offset 7",
        ]));
    }
    text
}

fn selector(random: &mut Random) -> String {
    format!("{}{}", plain_selector(random), modifiers(random))
}

fn range(random: &mut Random) -> &'static str {
    random.pick(&["1m", "5m", "5m", "10m", "47s", "90", "1m30s", "20m"])
}

fn step(random: &mut Random) -> &'static str {
    random.pick(&["", "10s", "30s", "1m", "77s"])
}

fn matrix(random: &mut Random, depth: u32) -> String {
    if depth > 0 && random.one_in(4) {
        let inner = vector(random, depth - 1);
        return format!(
            "({inner})[{}:{}]{}",
            range(random),
            step(random),
            modifiers(random)
        );
    }
    format!(
        "{}[{}]{}",
        plain_selector(random),
        range(random),
        modifiers(random)
    )
}

fn number(random: &mut Random) -> &'static str {
    random.pick(&[
        "0", "1", "2", "-3", "0.5", "1e3", "7.25", "64", "-0.125", "Inf", "NaN", "100", "2000",
    ])
}

pub(crate) fn scalar(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return match random.below(8) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", selector(random)),
            _ => number(random).to_owned(),
        };
    }
    match random.below(5) {
        0 => format!("scalar({})", vector(random, depth - 1)),
        1 => format!("-({})", scalar(random, depth - 1)),
        2 => {
            let op = random.pick(&["==", "!=", ">", "<", ">=", "<="]);
            format!("({} {op} bool {})", scalar(random, 0), number(random))
        }
        _ => {
            let op = random.pick(&["+", "-", "*", "/", "%", "^", "atan2"]);
            format!("({} {op} {})", scalar(random, depth - 1), scalar(random, 0))
        }
    }
}

fn labels(random: &mut Random) -> &'static str {
    random.pick(&[
        "",
        "instance",
        "path",
        "instance, path",
        "zone",
        "job, code",
        "le",
        "__name__",
        "nothing",
    ])
}

fn grouping(random: &mut Random) -> String {
    match random.below(4) {
        0 => String::new(),
        1 => format!(" without ({})", labels(random)),
        _ => format!(" by ({})", labels(random)),
    }
}

/// A vector whose values are exact, and apart from each other unless they are equal.
fn exact(random: &mut Random, depth: u32) -> String {
    if depth == 0 || random.one_in(3) {
        return selector(random);
    }
    match random.below(7) {
        0 | 1 => {
            let op = random.pick(&["sum", "min", "max", "count", "group"]);
            format!("{op}{}({})", grouping(random), exact(random, depth - 1))
        }
        2 => {
            let function = random.pick(&[
                "min_over_time",
                "max_over_time",
                "count_over_time",
                "last_over_time",
                "first_over_time",
                "present_over_time",
                "sum_over_time",
                "changes",
                "resets",
                "idelta",
            ]);
            format!(
                "{function}({}[{}]{})",
                plain_selector(random),
                range(random),
                modifiers(random)
            )
        }
        3 => format!("-{}", selector(random)),
        4 => format!(
            "({} {} {})",
            exact(random, depth - 1),
            random.pick(&["+", "-", "*"]),
            random.pick(&["1", "2", "0.5", "64"])
        ),
        5 => format!("abs({})", exact(random, depth - 1)),
        _ => selector(random),
    }
}

/// A vector without equal values, for ranking.
fn distinct(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("sum by (instance, path) ({})", selector_of(random, "temperature")),
        1 => format!("avg_over_time(temperature[{}])", random.pick(&["5m", "90s"])),
        2 => format!("-{}", selector_of(random, "memory_used")),
        _ => format!("temperature{}", modifiers(random)),
    }
}

const RANGE_FUNCTIONS: [&str; 19] = [
    "rate",
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "resets",
    "changes",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
];

const SMOOTH: [&str; 22] = [
    "abs", "exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "deg", "rad", "abs", "sqrt",
];

/// An instant vector.
pub(crate) fn vector(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return selector(random);
    }
    match random.below(26) {
        0..=3 => range_function(random, depth),
        4..=7 => aggregation(random, depth),
        8 | 9 => with_scalar(random, depth),
        10..=13 => vector_vector(random, depth),
        14 => {
            let function = SMOOTH[random.below(22) as usize];
            format!("{function}({})", vector(random, depth - 1))
        }
        15 => {
            let function = random.pick(&[
                "ceil",
                "floor",
                "sgn",
                "round",
                "hour",
                "minute",
                "month",
                "year",
                "day_of_week",
                "day_of_month",
                "day_of_year",
                "days_in_month",
            ]);
            format!("{function}({})", exact(random, depth - 1))
        }
        16 => {
            let scalar = scalar(random, 0);
            match random.below(4) {
                0 => format!(
                    "clamp({}, {scalar}, {})",
                    vector(random, depth - 1),
                    number(random)
                ),
                1 => format!("clamp_min({}, {scalar})", vector(random, depth - 1)),
                2 => format!("clamp_max({}, {scalar})", vector(random, depth - 1)),
                _ => format!(
                    "round({}, {})",
                    exact(random, depth - 1),
                    random.pick(&["5", "0.25", "16", "-2", "0"])
                ),
            }
        }
        17 => relabel(random, depth),
        18 | 19 => quantile_of_histogram(random, depth),
        20 => match random.below(3) {
            0 => format!("absent_over_time({})", matrix(random, depth)),
            1 => format!("absent({})", vector(random, depth - 1)),
            _ => format!("absent({})", selector(random)),
        },
        21 => format!("vector({})", scalar(random, depth - 1)),
        22 => match random.below(3) {
            0 => format!("timestamp({})", vector(random, depth - 1)),
            1 => format!(
                "{}()",
                random.pick(&["hour", "minute", "month", "year", "day_of_week", "days_in_month"])
            ),
            _ => format!("timestamp({})", selector(random)),
        },
        23 => format!("-({})", vector(random, depth - 1)),
        24 => {
            let set = random.pick(&["and", "or", "unless"]);
            format!(
                "({} {set}{} {})",
                vector(random, depth - 1),
                matching(random),
                vector(random, depth - 1)
            )
        }
        _ => selector(random),
    }
}

fn range_function(random: &mut Random, depth: u32) -> String {
    match random.below(12) {
        0 => format!(
            "quantile_over_time({}, {})",
            quantile(random),
            matrix(random, depth)
        ),
        1 => {
            let ahead = if random.one_in(4) {
                scalar(random, 1)
            } else {
                random.pick(&["60", "3600", "-30"]).to_owned()
            };
            format!("predict_linear({}, {ahead})", matrix(random, depth))
        }
        _ => {
            let function = RANGE_FUNCTIONS[random.below(19) as usize];
            format!("{function}({})", matrix(random, depth))
        }
    }
}

fn quantile(random: &mut Random) -> String {
    if random.one_in(6) {
        return format!(
            "scalar(level{{instance=\"n1\",kind=\"low\"}}) / {}",
            random.pick(&["5", "4", "8"])
        );
    }
    random
        .pick(&["0.5", "0", "1", "0.9", "-1", "NaN", "0.25", "0.33"])
        .to_owned()
}

fn aggregation(random: &mut Random, depth: u32) -> String {
    match random.below(14) {
        0 => {
            let op = random.pick(&["topk", "bottomk"]);
            let k = match random.below(8) {
                0 => "scalar(level{instance=\"n1\",kind=\"low\"})",
                1 => "scalar(max(level)) - 2",
                _ => random.pick(&["1", "2", "3", "5", "0", "-1", "1.7"]),
            };
            format!("{op}{}({k}, {})", grouping(random), distinct(random))
        }
        1 => {
            let quantile = quantile(random);
            format!(
                "quantile{}({quantile}, {})",
                grouping(random),
                vector(random, depth - 1)
            )
        }
        2 => {
            let name = random.pick(&["value", "instance", "zone"]);
            let of = if random.one_in(2) {
                selector_of(random, "level")
            } else {
                exact(random, depth - 1)
            };
            format!("count_values{}(\"{name}\", {of})", grouping(random))
        }
        _ => {
            let op = random.pick(&[
                "sum", "sum", "avg", "avg", "min", "max", "count", "group", "stddev", "stdvar",
            ]);
            format!("{op}{}({})", grouping(random), vector(random, depth - 1))
        }
    }
}

fn with_scalar(random: &mut Random, depth: u32) -> String {
    let swap = random.one_in(2);
    let (left, op) = match random.below(3) {
        0 => {
            let bool = if random.one_in(2) { " bool" } else { "" };
            let op = random.pick(&["==", "!=", ">", "<", ">=", "<="]);
            (exact(random, depth - 1), format!("{op}{bool}"))
        }
        1 => (exact(random, depth - 1), "%".to_owned()),
        _ => (
            vector(random, depth - 1),
            random.pick(&["+", "-", "*", "/", "^", "atan2"]).to_owned(),
        ),
    };
    let right = if random.one_in(3) {
        scalar(random, depth - 1)
    } else {
        number(random).to_owned()
    };
    if swap {
        format!("({right} {op} ({left}))")
    } else {
        format!("(({left}) {op} {right})")
    }
}

fn matching(random: &mut Random) -> String {
    match random.below(6) {
        0 | 1 => String::new(),
        2 => format!(" ignoring ({})", labels(random)),
        3 => " on ()".to_owned(),
        _ => format!(" on ({})", labels(random)),
    }
}

fn vector_vector(random: &mut Random, depth: u32) -> String {
    let op = random.pick(&["+", "-", "*", "/", "+", "/", "^", "atan2"]);
    match random.below(7) {
        0 => format!(
            "(temperature {op} on (instance) group_left ({}) memory_used)",
            random.pick(&["", "job", "zone"])
        ),
        1 => {
            let include = random.pick(&["", "version", "version, rack"]);
            format!(
                "(build_info * on (instance) group_right ({include}) ({}))",
                vector(random, depth - 1)
            )
        }
        2 => {
            let op = random.pick(&["==", "!=", ">", "<", ">=", "<="]);
            let bool = if random.one_in(2) { " bool" } else { "" };
            format!(
                "({} {op}{bool}{} {})",
                exact(random, depth - 1),
                matching(random),
                exact(random, depth - 1)
            )
        }
        3 => {
            let (function, by) = (
                random.pick(&["sum", "max", "avg"]),
                random.pick(&["instance", "path", "instance, path"]),
            );
            format!(
                "({function} by ({by}) ({}) {op} {function} by ({by}) ({}))",
                vector(random, depth - 1),
                vector(random, depth - 1)
            )
        }
        4 => format!(
            "(memory_used {op} on (instance) {})",
            selector_of(random, "memory_total")
        ),
        5 => {
            let inner = vector(random, depth - 1);
            format!("({inner} {op} on (instance, path, code, zone, device, kind) {inner})")
        }
        _ => format!(
            "({} {op}{} {})",
            vector(random, depth - 1),
            matching(random),
            vector(random, depth - 1)
        ),
    }
}

fn relabel(random: &mut Random, depth: u32) -> String {
    let inner = vector(random, depth - 1);
    if random.one_in(3) {
        let separator = random.pick(&["-", "", "::"]);
        let target = random.pick(&["joined", "zone", "__name__"]);
        return format!("label_join({inner}, \"{target}\", \"{separator}\", \"path\", \"instance\")");
    }
    let (target, replacement) = (
        random.pick(&["copy", "path", "zone", "__name__"]),
        random.pick(&["$1", "x-$1", "${1}y", "", "fixed", "$2"]),
    );
    let pattern = random.pick(&["(.*)", "n(.)", "/(.*)", "(n1|n2)", "no match"]);
    format!(
        "label_replace({inner}, \"{target}\", \"{replacement}\", \"{}\", \"{pattern}\")",
        random.pick(&["instance", "path", "le"])
    )
}

fn quantile_of_histogram(random: &mut Random, depth: u32) -> String {
    let buckets = match random.below(6) {
        0 => "latency_bucket".to_owned(),
        1 => format!("sum by (le) (rate(latency_bucket[{}]))", range(random)),
        2 => format!("sum by (le, path) (increase(latency_bucket[{}]))", range(random)),
        3 => vector(random, depth - 1),
        _ => format!(
            "rate({}[{}])",
            selector_of(random, "latency_bucket"),
            range(random)
        ),
    };
    if random.one_in(5) {
        return format!(
            "histogram_fraction({}, {}, {buckets})",
            random.pick(&["0", "0.2", "-Inf", "1"]),
            random.pick(&["0.5", "1.7", "Inf", "3"])
        );
    }
    let quantile = random.pick(&["0.5", "0.9", "0.99", "0", "1", "1.5", "-0.1", "NaN"]);
    format!("histogram_quantile({quantile}, {buckets})")
}
