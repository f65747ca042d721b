//! Slurm's configuration file (slurm.conf(5)): `Key=Value` lines, `\` continues a line, `#` begins a remark. Lines about nodes
//! and partitions are told apart by their names.

use super::book::Values;

/// What the label `what` says of these changes.
pub const WHAT: &str = "slurm_conf";

/// The settings of a file.
pub fn settings(text: &str) -> Values {
    let mut values = Values::new();
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in joined.lines() {
        let line = without_remark(line).trim();
        let Some((key, value)) = line.split_once('=') else {
            if let Some(file) = line
                .strip_prefix("Include ")
                .or_else(|| line.strip_prefix("include "))
            {
                values.insert(format!("Include {}", file.trim()), "yes".to_owned());
            }
            continue;
        };
        let key = key.trim();
        let named = [
            "NodeName",
            "PartitionName",
            "DownNodes",
            "FrontendName",
            "NodeSet",
        ];
        let own = named.iter().find(|name| name.eq_ignore_ascii_case(key));
        let (name, value) = match own {
            Some(own) => {
                let (subject, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
                let rest: Vec<&str> = rest.split_ascii_whitespace().collect();
                (format!("{own} {}", subject.trim()), rest.join(" "))
            }
            None => (key.to_owned(), value.trim().to_owned()),
        };
        values.insert(name, value);
    }
    values
}

fn without_remark(line: &str) -> &str {
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        if letter == '#' && !escaped {
            return line.get(..at).unwrap_or_default();
        }
        escaped = letter == '\\';
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_setting_and_nodes_have_their_names() {
        let text = "# slurm.conf\nClusterName=emea\nSchedulerParameters=bf_continue, \\\n  bf_window=2880\n\
                    NodeName=n[1-4] CPUs=64   Gres=gpu:h100:8 # the good ones\nPartitionName=train Nodes=ALL Default=YES\n\
                    Include nodes.conf\n\ngarbage\n";
        let found = settings(text);
        let pairs: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("ClusterName", "emea"),
                ("Include nodes.conf", "yes"),
                ("NodeName n[1-4]", "CPUs=64 Gres=gpu:h100:8"),
                ("PartitionName train", "Nodes=ALL Default=YES"),
                ("SchedulerParameters", "bf_continue,    bf_window=2880"),
            ]
        );
    }
}
