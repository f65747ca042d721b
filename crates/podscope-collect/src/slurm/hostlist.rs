//! Slurm's short form of node names: `n[1-3,07],gpu-[01-64]-ib[0-1],login` (`src/common/hostlist.c` reads the same).

use super::error::SlurmError;

/// Nodes that one list may name; Slurm's own limit for a cluster is 65,536.
pub const MOST_NODES: usize = 65_536;
/// Digits of a number in brackets.
const MOST_DIGITS: usize = 18;
/// Characters of a list, shown in an error.
const SHOWN: usize = 60;

/// The names of a list, in its order.
///
/// # Errors
///
/// A list that is not well formed, or that names more than [`MOST_NODES`]; nothing is expanded before it is counted.
pub fn expand(text: &str) -> Result<Vec<String>, SlurmError> {
    let parts = parse(text)?;
    let total = total(text, &parts)?;
    let mut names = Vec::with_capacity(total);
    for part in &parts {
        let mut made = vec![String::new()];
        for piece in part {
            made = match piece {
                Piece::Text(text) => {
                    made.iter_mut().for_each(|name| name.push_str(text));
                    made
                }
                Piece::Ranges(ranges) => made
                    .iter()
                    .flat_map(|name| {
                        ranges
                            .iter()
                            .flat_map(move |range| range.names().map(move |number| format!("{name}{number}")))
                    })
                    .collect(),
            };
        }
        names.append(&mut made);
    }
    Ok(names)
}

/// How many nodes a list names.
///
/// # Errors
///
/// As [`expand`].
pub fn count(text: &str) -> Result<usize, SlurmError> {
    total(text, &parse(text)?)
}

#[derive(Debug)]
enum Piece<'a> {
    Text(&'a str),
    Ranges(Vec<Range>),
}

#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    last: u64,
    width: usize,
}

impl Range {
    fn names(self) -> impl Iterator<Item = String> {
        (self.first..=self.last).map(move |number| format!("{number:0width$}", width = self.width))
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        format!("{short}...")
    } else {
        short
    }
}

fn bad(text: &str, why: &'static str) -> SlurmError {
    SlurmError::Hostlist {
        list: shown(text),
        why,
    }
}

fn total(text: &str, parts: &[Vec<Piece<'_>>]) -> Result<usize, SlurmError> {
    let mut total: u128 = 0;
    for part in parts {
        let mut product: u128 = 1;
        for piece in part {
            if let Piece::Ranges(ranges) = piece {
                let sum: u128 = ranges
                    .iter()
                    .map(|range| u128::from(range.last - range.first) + 1)
                    .sum();
                product = product.saturating_mul(sum);
            }
        }
        total = total.saturating_add(product);
    }
    if total > MOST_NODES as u128 {
        return Err(SlurmError::HostlistBomb {
            list: shown(text),
            nodes: total,
        });
    }
    usize::try_from(total).map_err(|_| bad(text, "names too many nodes"))
}

fn parse(text: &str) -> Result<Vec<Vec<Piece<'_>>>, SlurmError> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let stop = rest.find([',', '[', ']']).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(stop);
        let plain = plain.trim();
        if !plain.is_empty() {
            part.push(Piece::Text(plain));
        }
        let mut letters = tail.chars();
        match letters.next() {
            None => break,
            Some(',') => {
                if !part.is_empty() {
                    parts.push(std::mem::take(&mut part));
                }
                rest = letters.as_str();
            }
            Some('[') => {
                let (inner, after) = letters
                    .as_str()
                    .split_once(']')
                    .ok_or_else(|| bad(text, "has a bracket that is not closed"))?;
                part.push(Piece::Ranges(ranges(text, inner)?));
                rest = after;
            }
            Some(_) => return Err(bad(text, "closes a bracket that is not open")),
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

fn ranges(text: &str, inner: &str) -> Result<Vec<Range>, SlurmError> {
    inner
        .split(',')
        .map(|one| {
            let one = one.trim();
            let (first, last) = one.split_once('-').unwrap_or((one, one));
            let number = |digits: &str| -> Result<u64, SlurmError> {
                if digits.is_empty() || digits.len() > MOST_DIGITS {
                    return Err(bad(text, "has a range without numbers"));
                }
                digits
                    .parse()
                    .map_err(|_| bad(text, "has a range without numbers"))
            };
            let range = Range {
                first: number(first)?,
                last: number(last)?,
                width: first.len(),
            };
            if range.last < range.first {
                return Err(bad(text, "has a range that goes backwards"));
            }
            Ok(range)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_the_nodes_that_slurm_means_by_them() {
        for (list, names) in [
            ("n3", vec!["n3"]),
            ("n[1-3]", vec!["n1", "n2", "n3"]),
            ("n[08-10,2]", vec!["n08", "n09", "n10", "n2"]),
            ("a,b[1-2],c", vec!["a", "b1", "b2", "c"]),
            ("r[1-2]-n[0-1]x", vec!["r1-n0x", "r1-n1x", "r2-n0x", "r2-n1x"]),
            (
                "emea-gpu-[01-02],emea-gpu-64",
                vec!["emea-gpu-01", "emea-gpu-02", "emea-gpu-64"],
            ),
            ("", vec![]),
            (" n1 , n2 ", vec!["n1", "n2"]),
        ] {
            assert_eq!(expand(list).expect(list), names, "{list}");
            assert_eq!(count(list).expect(list), names.len(), "{list}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_name_before_it_is_expanded() {
        for bomb in [
            "n[1-9999999]",
            "n[0-9][0-9][0-9][0-9][0-9][0-9]",
            "n[1-999999999999999999],n[1-999999999999999999]",
            "n[0-99999999][0-99999999][0-99999999][0-99999999][0-99999999]",
        ] {
            let error = expand(bomb).expect_err(bomb).to_string();
            assert!(error.contains(bomb.get(..12).expect("ASCII")), "{error}");
            assert!(error.contains("65536"), "{error}");
        }
        let error = expand("n[1-9999999]").expect_err("a bomb").to_string();
        assert!(error.contains("9999999 nodes"), "{error}");
    }

    #[test]
    fn what_is_no_list_says_what_is_wrong_with_it() {
        for (list, why) in [
            ("n[1-3", "not closed"),
            ("n1]", "not open"),
            ("n[3-1]", "backwards"),
            ("n[]", "without numbers"),
            ("n[a-b]", "without numbers"),
            ("n[1-]", "without numbers"),
            ("n[1-99999999999999999999]", "without numbers"),
        ] {
            let error = expand(list).expect_err(list).to_string();
            assert!(
                error.contains(why) && error.contains(list.get(..4).unwrap_or(list)),
                "{error}"
            );
        }
    }
}
