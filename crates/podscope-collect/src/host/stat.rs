//! `/proc/stat`: CPU time by mode, interrupts, context switches, processes. What node_exporter splits into its `cpu` and
//! `stat` collectors is one read here: on a node with hundreds of cores it is the costliest file of all.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::one_file::FileFormat;
use crate::collector::Descriptor;
use crate::error::{CollectError, Problems};
use crate::text::{Line, Text};

/// Ticks per second of the kernel's user interface: 100 on every architecture Linux runs on today (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// An idle counter that falls by this many ticks means that the CPU was taken out and put back.
const RESET_TICKS: u64 = 300;

/// The columns of a `cpu` line: the metric and its `mode`. Time in guests is also contained in user and nice.
const MODES: [(&MetricDef, &str); 10] = [
    (&host::NODE_CPU_SECONDS_TOTAL, "user"),
    (&host::NODE_CPU_SECONDS_TOTAL, "nice"),
    (&host::NODE_CPU_SECONDS_TOTAL, "system"),
    (&host::NODE_CPU_SECONDS_TOTAL, "idle"),
    (&host::NODE_CPU_SECONDS_TOTAL, "iowait"),
    (&host::NODE_CPU_SECONDS_TOTAL, "irq"),
    (&host::NODE_CPU_SECONDS_TOTAL, "softirq"),
    (&host::NODE_CPU_SECONDS_TOTAL, "steal"),
    (&host::NODE_CPU_GUEST_SECONDS_TOTAL, "user"),
    (&host::NODE_CPU_GUEST_SECONDS_TOTAL, "nice"),
];
const IDLE: usize = 3;

/// The counters of every CPU, as last told.
#[derive(Debug, Default)]
pub(crate) struct Stat {
    told: Vec<[u64; MODES.len()]>,
}

impl FileFormat for Stat {
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "stat",
        job: Job::Node,
        interval_ms: 1000,
        metrics: host::stat::ALL,
        touches: &["/proc/stat"],
    };
    const PATH: &'static str = "/proc/stat";

    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems) {
        for line in text.lines() {
            problems.note(line.and_then(|line| self.line(line, row)));
        }
    }
}

impl Stat {
    fn line(&mut self, line: Line<'_>, row: &mut Row) -> Result<(), CollectError> {
        let mut fields = line.fields();
        let def = match fields.next().unwrap_or("") {
            "intr" => &host::NODE_INTR_TOTAL,
            "ctxt" => &host::NODE_CONTEXT_SWITCHES_TOTAL,
            "processes" => &host::NODE_FORKS_TOTAL,
            "btime" => &host::NODE_BOOT_TIME_SECONDS,
            "procs_running" => &host::NODE_PROCS_RUNNING,
            "procs_blocked" => &host::NODE_PROCS_BLOCKED,
            // The sum of all CPUs.
            "cpu" => return Ok(()),
            name => match name.strip_prefix("cpu") {
                Some(cpu) => return self.cpu(line, cpu, row),
                None => return Ok(()),
            },
        };
        row.set(def, &[], line.count(fields.next(), "a count")? as f64);
        Ok(())
    }

    fn cpu(&mut self, line: Line<'_>, cpu: &str, row: &mut Row) -> Result<(), CollectError> {
        // The kernel's own limit (CONFIG_NR_CPUS) is 8192: a larger number is garbage, and must not claim memory.
        let number: usize = cpu.parse().map_err(|_| line.expected("a CPU number"))?;
        if number >= 8192 {
            return Err(line.expected("a CPU number"));
        }
        let mut now = [0; MODES.len()];
        let mut columns = 0;
        for field in line.fields().skip(1).take(MODES.len()) {
            now[columns] = line.count(Some(field), "a count of ticks")?;
            columns += 1;
        }
        // Kernels before 2.6 have four columns; none has fewer.
        if columns <= IDLE {
            return Err(line.expected("at least four counts of ticks"));
        }
        if self.told.len() <= number {
            self.told.resize(number + 1, [0; MODES.len()]);
        }
        let told = &mut self.told[number];
        let reset = told[IDLE] >= now[IDLE] + RESET_TICKS;
        for (at, (def, mode)) in MODES.iter().enumerate().take(columns) {
            // Idle and iowait of a CPU without tick may step back a little; a counter may not.
            told[at] = if reset { now[at] } else { told[at].max(now[at]) };
            row.set(
                def,
                &[("cpu", cpu), ("mode", mode)],
                told[at] as f64 / TICKS_PER_SECOND,
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stat: &mut Stat, text: &str) -> (Vec<String>, Vec<CollectError>) {
        let mut row = Row::new();
        let mut problems = Problems::default();
        stat.parse(
            Text {
                path: "/proc/stat",
                bytes: text.as_bytes(),
            },
            &mut row,
            &mut problems,
        );
        let samples = row
            .samples()
            .map(|(column, value)| format!("{} {value}", column.labels))
            .collect();
        (samples, problems.take())
    }

    #[test]
    fn a_counter_that_steps_back_a_little_stands_still_and_a_replugged_cpu_starts_anew() {
        let mut stat = Stat::default();
        let iowait = r#"node_cpu_seconds_total{cpu="0",mode="iowait"}"#;
        let told = |stat: &mut Stat, text| {
            let samples = parse(stat, text).0;
            samples
                .into_iter()
                .find(|sample| sample.starts_with(iowait))
                .expect("there is iowait")
        };
        assert_eq!(told(&mut stat, "cpu0 1 1 1 5000 400"), format!("{iowait} 4"));
        assert_eq!(told(&mut stat, "cpu0 1 1 1 5000 390"), format!("{iowait} 4"));
        assert_eq!(told(&mut stat, "cpu0 1 1 1 10 5"), format!("{iowait} 0.05"));
    }

    #[test]
    fn a_column_the_kernel_lacks_is_absent() {
        let (samples, problems) = parse(&mut Stat::default(), "cpu0 1 2 3 4\n");
        assert_eq!(samples.len(), 4);
        assert!(problems.is_empty());
    }

    #[test]
    fn one_bad_line_does_not_cost_the_others() {
        let (samples, problems) = parse(
            &mut Stat::default(),
            "cpu0 1 2 x 4\ncpu1 1 2 3 4\nctxt 7\nbtime\n",
        );
        assert_eq!(samples.len(), 5);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "/proc/stat:1: a count of ticks expected, found \"cpu0 1 2 x 4\"",
                "/proc/stat:4: a count expected, found \"btime\""
            ]
        );
    }
}
